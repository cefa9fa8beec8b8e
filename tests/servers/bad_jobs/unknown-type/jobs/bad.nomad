job "bad" {
  type     = "cronjob"
  priority = 1000
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
