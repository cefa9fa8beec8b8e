# Stands in for a migration: writes the row that the api cannot do without.
job "postgres_setup" {
  type = "batch"

  group "setup" {
    restart {
      attempts = 0
    }

    reschedule {
      attempts = 0
    }

    task "migrate" {
      driver = "raw_exec"

      config {
        command = "python3"
        args    = ["local/migrate.py"]
      }

      template {
        destination = "local/migrate.py"
        data        = <<-PYTHON
          from urllib.request import Request, urlopen

          database = "{{ range nomadService "postgres" }}http://{{ .Address }}:{{ .Port }}{{ end }}"
          if not database:
              raise SystemExit("postgres is not there")
          urlopen(Request(database + "/greeting", data=b"Hello from a row in postgres\n", method="PUT"))
          print("wrote one row")
        PYTHON
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
