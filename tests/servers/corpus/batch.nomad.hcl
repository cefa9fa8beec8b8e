# A batch job with its own priority, placed all at once.
job "corpus-batch" {
  type        = "batch"
  datacenters = ["nowhere"]
  priority    = 71
  all_at_once = true
  group "g" {
    count            = 3
    max_run_duration = "2h"
    task "t" {
      driver = "mock_driver"
      config {
        run_for   = "10ms"
        exit_code = 0
      }
    }
  }
}
