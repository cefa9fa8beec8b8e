job "bad" {
  group "g" {
    count = var.cuont
    task "t" {
      driver = "mock_driver"
    }
  }
}
