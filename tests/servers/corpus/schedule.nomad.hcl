# A task that only runs at certain hours: a feature of Nomad Enterprise.
job "corpus-schedule" {
  datacenters = ["nowhere"]
  group "g" {
    task "t" {
      driver = "mock_driver"
      schedule {
        cron {
          start    = "30 9 * * * *"
          end      = "0 16"
          timezone = "Europe/Berlin"
        }
      }
    }
  }
}
