# An ingress gateway: listeners for tcp and http, TLS, limits and headers.
job "corpus-gateway-ingress" {
  datacenters = ["nowhere"]
  group "g" {
    network {
      mode = "bridge"
      port "inbound" {
        static = 18080
      }
    }
    service {
      name = "corpus-ingress"
      port = "inbound"
      connect {
        gateway {
          proxy {
            connect_timeout                     = "500ms"
            envoy_gateway_no_default_bind       = true
            envoy_gateway_bind_tagged_addresses = true
            envoy_dns_discovery_type            = "LOGICAL_DNS"
            envoy_gateway_bind_addresses "one" {
              address = "0.0.0.0"
              port    = 18080
            }
            config {
              envoy_stats_flush_interval = "10s"
            }
          }
          ingress {
            tls {
              enabled         = true
              tls_min_version = "TLSv1_2"
              tls_max_version = "TLSv1_3"
              cipher_suites   = ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
              sds {
                cluster_name  = "sds"
                cert_resource = "cert"
              }
            }
            listener {
              port     = 18080
              protocol = "tcp"
              service {
                name = "db"
              }
            }
            listener {
              port     = 18081
              protocol = "http"
              service {
                name                    = "web"
                hosts                   = ["web.example.com", "*.example.com"]
                max_connections         = 100
                max_pending_requests    = 50
                max_concurrent_requests = 25
                tls {
                  sds {
                    cluster_name  = "sds"
                    cert_resource = "web"
                  }
                }
                request_headers {
                  add {
                    X-From = "ingress"
                  }
                  set {
                    X-Only = "one"
                  }
                  remove = ["X-Secret"]
                }
                response_headers {
                  add {
                    X-Served-By = "corpus"
                  }
                  set {
                    Server = "none"
                  }
                  remove = ["X-Powered-By"]
                }
              }
            }
          }
        }
      }
    }
  }
}
