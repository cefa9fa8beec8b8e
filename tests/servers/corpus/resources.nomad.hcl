# Resources: shares and whole cores, memory that may grow, room for secrets.
job "corpus-resources" {
  datacenters = ["nowhere"]
  group "g" {
    task "shares" {
      driver = "mock_driver"
      resources {
        cpu        = 100
        memory     = 64
        memory_max = 128
        secrets    = 2
      }
    }
    task "cores" {
      driver = "mock_driver"
      resources {
        cores  = 1
        memory = 32
      }
    }
  }
}
