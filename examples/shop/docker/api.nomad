# GET /articles: the rows of the table that postgres_setup makes, as JSON. Python's standard library and psql.
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
        path     = "/articles"
        interval = "1s"
        timeout  = "5s"
      }
    }

    update {
      min_healthy_time = "500ms"
      healthy_deadline = "1m"
    }

    task "api" {
      driver = "docker"

      # The image has no psql; a real job would bring an image of its own.
      config {
        image        = "python:3.13-alpine"
        network_mode = "host"
        command      = "/bin/sh"
        args         = ["-c", "apk add --quiet --no-cache postgresql-client && exec python3 /local/api.py"]
      }

      template {
        destination = "local/api.py"
        data        = <<-PYTHON
          import os
          import subprocess
          from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

          QUERY = "SELECT coalesce(json_agg(article ORDER BY id), '[]') FROM article"


          def read_articles():
              command = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", QUERY]
              return subprocess.run(command, check=True, capture_output=True, timeout=5).stdout


          class Api(BaseHTTPRequestHandler):
              def do_GET(self):
                  if self.path != "/articles":
                      self.send_error(404)
                      return
                  try:
                      body = read_articles()
                  except subprocess.CalledProcessError as error:
                      self.send_error(503, explain=error.stderr.decode())
                      return
                  self.send_response(200)
                  self.send_header("Content-Type", "application/json")
                  self.send_header("Content-Length", str(len(body)))
                  self.end_headers()
                  self.wfile.write(body)


          address = (os.environ["NOMAD_IP_http"], int(os.environ["NOMAD_PORT_http"]))
          ThreadingHTTPServer(address, Api).serve_forever()
        PYTHON
      }

      template {
        destination = "local/database.env"
        env         = true
        data        = <<-ENV
          PGUSER=api
          PGDATABASE=shop
          {{ range nomadService "postgres" }}
          PGHOST={{ .Address }}
          PGPORT={{ .Port }}
          {{ end }}
        ENV
      }

      resources {
        cpu    = 100
        memory = 128
      }
    }
  }
}
