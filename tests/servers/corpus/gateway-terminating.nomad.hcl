# A terminating gateway for a service outside the mesh.
job "corpus-gateway-terminating" {
  datacenters = ["nowhere"]
  group "g" {
    network {
      mode = "bridge"
    }
    service {
      name = "corpus-terminating"
      connect {
        gateway {
          terminating {
            service {
              name      = "legacy-api"
              ca_file   = "/etc/ssl/ca.pem"
              cert_file = "/etc/ssl/cert.pem"
              key_file  = "/etc/ssl/key.pem"
              sni       = "legacy.example.com"
            }
            service {
              name = "plain-api"
            }
          }
        }
      }
    }
  }
}
