# PostgreSQL from the machine's packages, with its data in the allocation's folder.
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
        type     = "tcp"
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
        command = "/bin/sh"
        args    = ["local/start.sh"]
      }

      template {
        destination = "local/start.sh"
        data        = <<-SHELL
          set -eu

          # Debian keeps the programs of each version in a folder of its own, off the PATH.
          bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
          bin="$${bin:-$(dirname "$(command -v postgres)")}"

          data="$NOMAD_ALLOC_DIR/data/postgres"
          mkdir -p "$data"
          chmod 700 "$data"

          # PostgreSQL refuses to run as root.
          as_user=""
          if [ "$(id -u)" = 0 ]; then
            user=postgres
            id "$user" >/dev/null 2>&1 || user=nobody
            chown -R "$user" "$data"
            as_user="setpriv --reuid=$user --regid=$(id -g "$user") --clear-groups"
          fi
          cd "$data"

          # Anybody on this machine may connect: fine for an example on loopback, and for nothing else.
          [ -s PG_VERSION ] || $as_user "$bin/initdb" --pgdata=. --username=shop --auth=trust --encoding=UTF8 --no-sync
          exec $as_user "$bin/postgres" -D . -h "$NOMAD_IP_db" -p "$NOMAD_PORT_db" -k ""
        SHELL
      }

      # SIGINT, Nomad's default, is PostgreSQL's fast shutdown.
      kill_timeout = "20s"

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }
}
