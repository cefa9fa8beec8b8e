# Every lifecycle hook, with and without sidecar, around a leader.
job "corpus-lifecycle" {
  datacenters = ["nowhere"]
  group "g" {
    task "before" {
      driver = "mock_driver"
      lifecycle {
        hook = "prestart"
      }
    }
    task "beside" {
      driver = "mock_driver"
      lifecycle {
        hook    = "prestart"
        sidecar = true
      }
    }
    task "main" {
      driver = "mock_driver"
      leader = true
    }
    task "after-start" {
      driver = "mock_driver"
      lifecycle {
        hook    = "poststart"
        sidecar = false
      }
    }
    task "along" {
      driver = "mock_driver"
      lifecycle {
        hook    = "poststart"
        sidecar = true
      }
    }
    task "after" {
      driver = "mock_driver"
      lifecycle {
        hook = "poststop"
      }
    }
  }
}
