# Services in Nomad's own catalogue, one with an address of its own.
job "corpus-service-nomad" {
  datacenters = ["nowhere"]
  group "g" {
    network {
      port "http" {}
    }
    service {
      name     = "corpus-nomad"
      port     = "http"
      provider = "nomad"
      tags     = ["a", "b"]
      kind     = "internal"
      check {
        type     = "tcp"
        interval = "5s"
        timeout  = "1s"
      }
    }
    service {
      name     = "corpus-nomad-outside"
      port     = "8443"
      address  = "203.0.113.9"
      provider = "nomad"
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
