# A sidecar proxy with exposed paths and upstreams, and its task with everything changed that may be.
job "corpus-connect-sidecar" {
  datacenters = ["nowhere"]
  group "g" {
    network {
      mode = "bridge"
      port "metrics" {
        to = -1
      }
    }
    service {
      name = "corpus-sidecar"
      port = "8080"
      connect {
        sidecar_service {
          tags                      = ["proxy", "v1"]
          port                      = "8081"
          disable_default_tcp_check = true
          meta {
            team = "platform"
          }
          proxy {
            local_service_address = "127.0.0.1"
            local_service_port    = 8080
            config {
              envoy_prometheus_bind_addr = "0.0.0.0:9102"
              protocol                   = "http"
            }
            expose {
              path {
                path            = "/metrics"
                protocol        = "http"
                local_path_port = 9000
                listener_port   = "metrics"
              }
            }
            upstreams {
              destination_name      = "db"
              destination_namespace = "default"
              destination_partition = "default"
              destination_type      = "service"
              local_bind_port       = 5432
              local_bind_address    = "127.0.0.1"
              datacenter            = "dc2"
              mesh_gateway {
                mode = "local"
              }
              config {
                connect_timeout_ms = 5000
              }
            }
            upstreams {
              destination_name       = "cache"
              destination_peer       = "elsewhere"
              local_bind_socket_path = "/var/run/cache.sock"
              local_bind_socket_mode = "0600"
            }
          }
        }
        sidecar_task {
          name           = "proxy"
          driver         = "mock_driver"
          user           = "nobody"
          kill_timeout   = "10s"
          kill_signal    = "SIGTERM"
          shutdown_delay = "5s"
          config {
            run_for = "1h"
          }
          env {
            ENVOY_LEVEL = "debug"
          }
          meta {
            side = "car"
          }
          resources {
            cpu    = 50
            memory = 32
          }
          logs {
            max_files     = 2
            max_file_size = 3
          }
          volume_mount {
            volume      = "certs"
            destination = "/certs"
            read_only   = true
          }
          identity {
            name = "proxy"
            aud  = ["proxy.example"]
            ttl  = "1h"
          }
        }
      }
    }
    volume "certs" {
      type   = "host"
      source = "certs"
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
