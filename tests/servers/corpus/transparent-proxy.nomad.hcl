# A transparent proxy with every exception that it can make.
job "corpus-transparent-proxy" {
  datacenters = ["nowhere"]
  group "g" {
    network {
      mode = "bridge"
    }
    service {
      name = "corpus-transparent"
      port = "9001"
      connect {
        sidecar_service {
          proxy {
            transparent_proxy {
              uid                    = "101"
              outbound_port          = 15001
              exclude_inbound_ports  = ["9002", "9003"]
              exclude_outbound_ports = [443, 80]
              exclude_outbound_cidrs = ["10.0.0.0/8"]
              exclude_uids           = ["1001"]
              no_dns                 = true
            }
          }
        }
      }
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
