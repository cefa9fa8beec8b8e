# A check that goes through the sidecar's exposed path.
job "corpus-check-expose" {
  datacenters = ["nowhere"]
  group "g" {
    network {
      mode = "bridge"
    }
    service {
      name = "corpus-expose"
      port = "9001"
      connect {
        sidecar_service {}
      }
      check {
        name     = "health"
        type     = "http"
        path     = "/health"
        expose   = true
        interval = "10s"
        timeout  = "2s"
      }
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
