job "bad" {
  prioritty = 50
  group "g" {
    count = "many"
    task "t" {
      driver = "mock_driver"
      memory = 100
    }
  }
}
