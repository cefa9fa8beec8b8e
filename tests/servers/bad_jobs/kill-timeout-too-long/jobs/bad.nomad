job "bad" {
  group "g" {
    task "t" {
      driver       = "mock_driver"
      kill_timeout = "15m"
    }
  }
}
