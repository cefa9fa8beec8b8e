# PostgreSQL's own image, on the host's network.
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
      driver = "docker"

      config {
        image        = "postgres:17-alpine"
        network_mode = "host"
        args         = ["-h", "${NOMAD_IP_db}", "-p", "${NOMAD_PORT_db}"]
      }

      # Anybody on this machine may connect: fine for an example on loopback, and for nothing else.
      env {
        POSTGRES_USER             = "shop"
        POSTGRES_HOST_AUTH_METHOD = "trust"
      }

      # PostgreSQL's fast shutdown.
      kill_signal  = "SIGINT"
      kill_timeout = "20s"

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }
}
