job "bad" {
  namespace = "nobody"
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
