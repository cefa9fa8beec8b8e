# Copied from bad.nomad, the ID forgotten.
job "bad" {
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
