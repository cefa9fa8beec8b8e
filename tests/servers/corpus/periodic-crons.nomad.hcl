# A periodic job with several schedules that is switched off.
job "corpus-periodic-crons" {
  type        = "sysbatch"
  datacenters = ["nowhere"]
  periodic {
    crons = [
      "0 4 1 1 *",
      "@yearly",
    ]
    enabled = false
  }
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
