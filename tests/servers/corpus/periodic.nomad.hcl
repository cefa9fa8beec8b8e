# A periodic job in a time zone of its own.
job "corpus-periodic" {
  type        = "batch"
  datacenters = ["nowhere"]
  periodic {
    cron             = "15 3 1 1 *"
    prohibit_overlap = true
    time_zone        = "America/New_York"
  }
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
