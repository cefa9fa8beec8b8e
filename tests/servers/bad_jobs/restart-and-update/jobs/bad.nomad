job "bad" {
  update {
    max_parallel      = -1
    healthy_deadline  = "10m"
    progress_deadline = "5m"
  }
  group "g" {
    restart {
      attempts = 10
      delay    = "10m"
      interval = "1m"
      mode     = "sometimes"
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
