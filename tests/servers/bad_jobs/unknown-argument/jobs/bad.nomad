job "bad" {
  group "g" {
    counts = 2
    task "t" {
      driver = "mock_driver"
    }
  }
}
