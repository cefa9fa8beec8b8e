# Creates what the api works with: a role, a database, a table and a row. May run any number of times.
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
      driver = "docker"

      config {
        image        = "postgres:17-alpine"
        network_mode = "host"
        entrypoint   = ["/bin/sh"]
        args         = ["/local/migrate.sh"]
      }

      template {
        destination = "local/migrate.sh"
        data        = <<-SHELL
          set -eu
          psql="psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username=shop"
          $psql --dbname=postgres --file=/local/database.sql
          $psql --dbname=shop --file=/local/tables.sql
        SHELL
      }

      template {
        destination = "local/database.sql"
        data        = <<-SQL
          SELECT 'CREATE ROLE api LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'api') \gexec
          SELECT 'CREATE DATABASE shop' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'shop') \gexec
        SQL
      }

      template {
        destination = "local/tables.sql"
        data        = <<-SQL
          SET client_min_messages = warning;
          CREATE TABLE IF NOT EXISTS article (id int PRIMARY KEY, name text NOT NULL);
          INSERT INTO article VALUES (1, 'a pair of red shoes') ON CONFLICT DO NOTHING;
          GRANT SELECT ON article TO api;
        SQL
      }

      template {
        destination = "local/database.env"
        env         = true
        data        = <<-ENV
          {{ range nomadService "postgres" }}
          PGHOST={{ .Address }}
          PGPORT={{ .Port }}
          {{ end }}
        ENV
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
}
