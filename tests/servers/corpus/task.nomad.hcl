# What a task itself can say: user, signals, delays, and a driver's nested configuration.
job "corpus-task" {
  datacenters = ["nowhere"]
  group "g" {
    task "t" {
      driver         = "raw_exec"
      user           = "nobody"
      leader         = true
      kill_timeout   = "25s"
      kill_signal    = "SIGINT"
      shutdown_delay = "2s"
      kind           = "none"
      config {
        command = "/bin/sh"
        args    = ["-c", "exec sleep 100"]
      }
    }
    task "nested" {
      driver = "docker"
      config {
        image = "example/app:1.2"
        ports = ["http"]
        mount {
          type   = "bind"
          source = "local"
          target = "/data"
        }
        mount {
          type   = "tmpfs"
          target = "/tmp"
          tmpfs_options {
            size = 100000
          }
        }
        labels = {
          "com.example.app" = "corpus"
        }
        privileged = false
      }
    }
  }
}
