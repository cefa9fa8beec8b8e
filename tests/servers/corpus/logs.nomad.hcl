# Log rotation, and logs switched off in the new and the old way.
job "corpus-logs" {
  datacenters = ["nowhere"]
  group "g" {
    task "rotated" {
      driver = "mock_driver"
      logs {
        max_files     = 3
        max_file_size = 5
      }
    }
    task "disabled" {
      driver = "mock_driver"
      logs {
        disabled = true
      }
    }
    task "not-enabled" {
      driver = "mock_driver"
      logs {
        enabled = false
      }
    }
  }
}
