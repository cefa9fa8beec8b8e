job "bad" {
  region = "mars"
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
