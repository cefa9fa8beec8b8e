# nginx from the machine's packages, in front of the api.
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
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "exec \"$(command -v nginx || echo /usr/sbin/nginx)\" -c \"$NOMAD_TASK_DIR/nginx.conf\" -e stderr"]
      }

      template {
        destination   = "local/nginx.conf"
        change_mode   = "signal"
        change_signal = "SIGHUP"
        data          = <<-NGINX
          daemon off;
          worker_processes 1;
          pid {{ env "NOMAD_TASK_DIR" }}/nginx.pid;
          events {}
          http {
            access_log /dev/stdout;
            client_body_temp_path {{ env "NOMAD_TASK_DIR" }}/body;
            proxy_temp_path {{ env "NOMAD_TASK_DIR" }}/proxy;
            fastcgi_temp_path {{ env "NOMAD_TASK_DIR" }}/fastcgi;
            uwsgi_temp_path {{ env "NOMAD_TASK_DIR" }}/uwsgi;
            scgi_temp_path {{ env "NOMAD_TASK_DIR" }}/scgi;
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
