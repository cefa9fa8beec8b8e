job "bad" {
  datacenters = "dc1"
  group "g" {
    count = "two"
    task "t" {
      driver = "mock_driver"
    }
  }
}
