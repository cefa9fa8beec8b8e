# Another Consul cluster than the default one: a feature of Nomad Enterprise.
job "corpus-consul-cluster" {
  datacenters = ["nowhere"]
  group "g" {
    consul {
      cluster = "second"
    }
    service {
      name    = "corpus-second"
      cluster = "second"
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
