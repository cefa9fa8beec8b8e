# Several groups of different sizes, one of them empty, and a group's own shutdown delay.
job "corpus-groups" {
  datacenters = ["nowhere"]
  group "two" {
    count          = 2
    shutdown_delay = "3s"
    task "first" {
      driver = "mock_driver"
    }
    task "second" {
      driver = "mock_driver"
    }
  }
  group "none" {
    count = 0
    task "t" {
      driver = "mock_driver"
    }
  }
  group "default" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
