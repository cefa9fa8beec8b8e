# nginx's own image on the host's network, in front of the api.
job "nginx" {
  group "web" {
    network {
      port "http" {}
    }

    service {
      name     = "nginx"
      port     = "http"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/articles"
        interval = "1s"
        timeout  = "5s"
      }
    }

    update {
      min_healthy_time = "500ms"
      healthy_deadline = "1m"
    }

    task "nginx" {
      driver = "docker"

      config {
        image        = "nginx:1.29-alpine"
        network_mode = "host"
        volumes      = ["local/nginx.conf:/etc/nginx/nginx.conf:ro"]
      }

      template {
        destination = "local/nginx.conf"
        change_mode = "restart"
        data        = <<-NGINX
          worker_processes 1;
          pid /tmp/nginx.pid;
          events {}
          http {
            access_log /dev/stdout;
            upstream api {
              {{ range nomadService "api" }}
              server {{ .Address }}:{{ .Port }};
              {{ else }}
              server 127.0.0.1:9; # nobody is there
              {{ end }}
            }
            server {
              listen {{ env "NOMAD_ADDR_http" }};
              location / {
                proxy_pass http://api;
              }
            }
          }
        NGINX
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
}
