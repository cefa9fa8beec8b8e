job "bad" {
  group "g" {
    task "t" {
      driver       = "mock_driver"
      kill_timeout = "5 seconds"
    }
  }
}
