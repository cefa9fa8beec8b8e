job "bad" {
  node_pool = "gpus"
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
