# Restarts in place: a group's rule and a task's own.
job "corpus-restart" {
  datacenters = ["nowhere"]
  group "g" {
    restart {
      attempts         = 3
      interval         = "10m"
      delay            = "20s"
      mode             = "delay"
      render_templates = true
    }
    task "default" {
      driver = "mock_driver"
    }
    task "own" {
      driver = "mock_driver"
      restart {
        attempts = 0
        mode     = "fail"
      }
    }
  }
}
