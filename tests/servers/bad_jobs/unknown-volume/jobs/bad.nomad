job "bad" {
  group "g" {
    task "t" {
      driver = "mock_driver"
      volume_mount {
        volume      = "data"
        destination = "/data"
      }
    }
  }
}
