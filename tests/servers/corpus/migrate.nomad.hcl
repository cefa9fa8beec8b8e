# How a group moves away from a node that is drained.
job "corpus-migrate" {
  datacenters = ["nowhere"]
  migrate {
    max_parallel = 2
  }
  group "g" {
    count = 2
    migrate {
      max_parallel     = 1
      health_check     = "task_states"
      min_healthy_time = "15s"
      healthy_deadline = "4m30s"
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
