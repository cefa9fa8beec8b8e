# HTTP checks: method, body, headers, TLS; restarts of a group's and of a task's service.
job "corpus-check-http" {
  datacenters = ["nowhere"]
  group "g" {
    network {
      port "http" {}
    }
    service {
      name = "corpus-http"
      port = "http"
      check_restart {
        limit = 5
        grace = "1m"
      }
      check {
        name                     = "post"
        type                     = "http"
        protocol                 = "https"
        method                   = "POST"
        path                     = "/health?full=1"
        body                     = "{\"ping\": \"<pong> & more\"}"
        interval                 = "10s"
        timeout                  = "2s"
        initial_status           = "warning"
        success_before_passing   = 3
        failures_before_critical = 4
        failures_before_warning  = 2
        tls_server_name          = "http.example.com"
        tls_skip_verify          = true
        on_update                = "ignore_warnings"
        notes                    = "what to look at when this fails"
        address_mode             = "host"
        header {
          Authorization = ["Basic ZWxhc3RpYzpjaGFuZ2VtZQ=="]
          Accept        = ["text/html", "application/json"]
        }
        check_restart {
          limit           = 3
          grace           = "90s"
          ignore_warnings = true
        }
      }
    }
    task "t" {
      driver = "mock_driver"
      service {
        name = "corpus-http-task"
        port = "http"
        check_restart {
          limit = 2
          grace = "30s"
        }
        check {
          type     = "http"
          path     = "/"
          interval = "10s"
          timeout  = "2s"
          header {
            X-Probe = ["task"]
          }
          check_restart {
            limit = 1
          }
        }
      }
    }
  }
}
