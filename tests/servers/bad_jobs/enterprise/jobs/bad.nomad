job "bad" {
  group "g" {
    task "t" {
      driver = "mock_driver"
      resources {
        cores = 1
        numa {
          affinity = "require"
        }
      }
    }
  }
}
