# The older network block, inside a task's resources.
job "corpus-network-task" {
  datacenters = ["nowhere"]
  group "g" {
    task "t" {
      driver = "mock_driver"
      resources {
        cpu    = 20
        memory = 10
        network {
          mbits = 10
          port "http" {}
          port "admin" {
            static = 29090
          }
        }
      }
    }
  }
}
