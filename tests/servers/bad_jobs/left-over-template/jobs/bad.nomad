job "bad" {
  group "g" {
    count = [[ .count ]]
    task "t" {
      driver = "mock_driver"
    }
  }
}
