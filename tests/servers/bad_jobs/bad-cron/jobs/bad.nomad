job "bad" {
  type = "batch"
  periodic {
    crons = ["61 25 * *"]
  }
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
