# Consul's namespace and partition for a group and a task.
job "corpus-consul" {
  datacenters = ["nowhere"]
  group "g" {
    consul {
      cluster   = "default"
      partition = "default"
    }
    task "t" {
      driver = "mock_driver"
      consul {
        cluster   = "default"
        partition = "default"
      }
    }
  }
}
