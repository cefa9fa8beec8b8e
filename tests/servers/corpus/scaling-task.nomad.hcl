# A task that an autoscaler gives more memory and CPU.
job "corpus-scaling-task" {
  datacenters = ["nowhere"]
  group "g" {
    task "t" {
      driver = "mock_driver"
      scaling "cpu" {
        enabled = true
        min     = 20
        max     = 1000
        policy {
          cooldown = "1m"
        }
      }
      scaling "mem" {
        enabled = false
        min     = 64
        max     = 512
      }
    }
  }
}
