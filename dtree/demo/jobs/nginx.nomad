# Stands in for nginx: passes every request on to the api, and ends at once where there is none.
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
        path     = "/"
        interval = "1s"
        timeout  = "2s"
      }
    }

    update {
      min_healthy_time = "500ms"
      healthy_deadline = "1m"
    }

    task "nginx" {
      driver = "raw_exec"

      config {
        command = "python3"
        args    = ["local/nginx.py"]
      }

      template {
        destination = "local/nginx.py"
        data        = <<-PYTHON
          import os
          from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
          from urllib.request import urlopen

          UPSTREAM = "{{ range nomadService "api" }}http://{{ .Address }}:{{ .Port }}{{ end }}"


          class Proxy(BaseHTTPRequestHandler):
              def do_GET(self):
                  with urlopen(UPSTREAM + self.path, timeout=2) as answer:
                      body = answer.read()
                  self.send_response(200)
                  self.end_headers()
                  self.wfile.write(body)


          if not UPSTREAM:
              raise SystemExit("api is not there")
          address = (os.environ["NOMAD_IP_http"], int(os.environ["NOMAD_PORT_http"]))
          ThreadingHTTPServer(address, Proxy).serve_forever()
        PYTHON
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
