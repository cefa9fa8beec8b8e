# A Consul namespace of a group's own.
job "corpus-consul-namespace" {
  datacenters = ["nowhere"]
  group "g" {
    consul {
      namespace = "team-a"
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
