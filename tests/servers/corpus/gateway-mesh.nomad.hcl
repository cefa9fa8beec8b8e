# A mesh gateway, reachable from outside on a host network of its own.
job "corpus-gateway-mesh" {
  datacenters = ["nowhere"]
  group "g" {
    network {
      mode = "bridge"
      port "wan" {
        host_network = "public"
      }
    }
    service {
      name = "corpus-mesh"
      port = "wan"
      connect {
        gateway {
          mesh {}
          proxy {
            connect_timeout = "1s"
          }
        }
      }
    }
  }
}
