job "bad" {
  meta {
    name = uper("x")
  }
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
