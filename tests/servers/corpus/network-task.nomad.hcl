# The older network block, inside a task's resources.
job "corpus-network-task" {
  datacenters = ["nowhere"]
  group "g" {
    task "t" {
      driver = "mock_driver"
      resources {
        cpu    = 20
        memory = 10
        disk   = 50
        iops   = 5
        network {
          mbits  = 10
          device = "eth0"
          cidr   = "192.0.2.0/24"
          ip     = "192.0.2.7"
          port "http" {}
          port "admin" {
            static = 29090
          }
        }
      }
    }
  }
}
