# A service in Consul with every parameter.
job "corpus-service-consul" {
  datacenters = ["nowhere"]
  group "g" {
    network {
      port "http" {}
    }
    service {
      name                = "corpus-consul-${NOMAD_ALLOC_INDEX}"
      port                = "http"
      provider            = "consul"
      cluster             = "default"
      tags                = ["web", "urlprefix-/"]
      canary_tags         = ["canary"]
      enable_tag_override = true
      address_mode        = "auto"
      on_update           = "ignore"
      meta {
        version = "1"
      }
      canary_meta {
        version = "2"
      }
      tagged_addresses {
        lan = "192.0.2.1"
        wan = "198.51.100.1"
      }
      weights {
        passing = 10
        warning = 5
      }
    }
    task "t" {
      driver = "mock_driver"
      service {
        port         = "http"
        address_mode = "driver"
        meta {
          of = "task"
        }
        canary_meta {
          of = "canary"
        }
        tagged_addresses {
          lan = "192.0.2.2"
        }
        weights {
          passing = 1
          warning = 1
        }
      }
    }
  }
}
