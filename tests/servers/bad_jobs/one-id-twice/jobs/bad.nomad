job "bad" {
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
