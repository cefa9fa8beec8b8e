job "bad" {
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
job "worse" {
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
