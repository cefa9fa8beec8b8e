# Where a failed allocation goes: the job's rule and a group's own.
job "corpus-reschedule" {
  datacenters = ["nowhere"]
  reschedule {
    delay          = "30s"
    delay_function = "exponential"
    max_delay      = "1h"
    unlimited      = true
  }
  group "default" {
    task "t" {
      driver = "mock_driver"
    }
  }
  group "own" {
    reschedule {
      attempts       = 5
      interval       = "2h"
      delay          = "1m"
      delay_function = "fibonacci"
      max_delay      = "15m"
      unlimited      = false
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
