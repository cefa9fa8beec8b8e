# Workload identities: the default one, and others with every parameter, for a task and for services.
job "corpus-identity" {
  datacenters = ["nowhere"]
  group "g" {
    network {
      port "http" {}
    }
    service {
      name = "corpus-identity"
      port = "http"
      identity {
        aud = ["consul.io"]
        ttl = "1h"
      }
    }
    task "t" {
      driver = "mock_driver"
      service {
        name = "corpus-identity-task"
        port = "http"
        identity {
          aud = ["consul.io"]
        }
      }
      identity {
        env         = true
        file        = true
        change_mode = "noop"
      }
      identity {
        name          = "example"
        aud           = ["oidc.example.com", "second.example.com"]
        env           = true
        file          = true
        filepath      = "local/example.jwt"
        ttl           = "30m"
        change_mode   = "signal"
        change_signal = "SIGHUP"
      }
    }
  }
}
