# Stands in for PostgreSQL: a table of rows behind HTTP, which needs a second to open.
job "postgres" {
  group "db" {
    network {
      port "db" {}
    }

    service {
      name     = "postgres"
      port     = "db"
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

    task "postgres" {
      driver = "raw_exec"

      config {
        command = "python3"
        args    = ["local/postgres.py"]
      }

      template {
        destination = "local/postgres.py"
        data        = <<-PYTHON
          import os
          import time
          from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

          ROWS = {"/": b"ready"}


          class Table(BaseHTTPRequestHandler):
              def do_GET(self):
                  row = ROWS.get(self.path)
                  self.send_response(404 if row is None else 200)
                  self.end_headers()
                  self.wfile.write(row or b"no such row\n")

              def do_PUT(self):
                  ROWS[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
                  self.send_response(201)
                  self.end_headers()


          print("database system is starting up", flush=True)
          time.sleep(1)
          address = (os.environ["NOMAD_IP_db"], int(os.environ["NOMAD_PORT_db"]))
          ThreadingHTTPServer(address, Table).serve_forever()
        PYTHON
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
