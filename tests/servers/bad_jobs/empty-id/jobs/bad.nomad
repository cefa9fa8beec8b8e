job "" {
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
