# A small HTTP API. It reads a row that postgres_setup has to write first, and ends at once without it.
job "api" {
  group "api" {
    network {
      port "http" {}
    }

    service {
      name     = "api"
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

    task "api" {
      driver = "raw_exec"

      config {
        command = "python3"
        args    = ["local/api.py"]
      }

      template {
        destination = "local/api.py"
        data        = <<-PYTHON
          import os
          import time
          from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
          from urllib.request import urlopen

          DATABASE = "{{ range nomadService "postgres" }}http://{{ .Address }}:{{ .Port }}{{ end }}"


          def read_greeting():
              if not DATABASE:
                  raise SystemExit("postgres is not there")
              with urlopen(DATABASE + "/greeting", timeout=2) as answer:
                  return answer.read()


          class Api(BaseHTTPRequestHandler):
              def do_GET(self):
                  body = read_greeting()
                  self.send_response(200)
                  self.end_headers()
                  self.wfile.write(body)


          read_greeting()
          time.sleep(1)
          address = (os.environ["NOMAD_IP_http"], int(os.environ["NOMAD_PORT_http"]))
          ThreadingHTTPServer(address, Api).serve_forever()
        PYTHON
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
