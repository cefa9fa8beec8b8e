# Updates: the job's rule and a group's own, with canaries.
job "corpus-update" {
  datacenters = ["nowhere"]
  update {
    max_parallel      = 3
    stagger           = "20s"
    health_check      = "checks"
    min_healthy_time  = "7s"
    healthy_deadline  = "2m"
    progress_deadline = "5m"
    auto_revert       = true
  }
  group "default" {
    task "t" {
      driver = "mock_driver"
    }
  }
  group "own" {
    count = 2
    update {
      max_parallel     = 1
      canary           = 1
      auto_promote     = true
      health_check     = "task_states"
      min_healthy_time = "0s"
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
