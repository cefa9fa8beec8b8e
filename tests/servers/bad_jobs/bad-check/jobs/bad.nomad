job "bad" {
  group "g" {
    service {
      name     = "web"
      port     = "8080"
      provider = "nomad"
      check {
        type     = "http"
        interval = "10s"
        timeout  = "2s"
      }
      check {
        type     = "ping"
        interval = "10s"
        timeout  = "2s"
      }
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
