# Many regions: a feature of Nomad Enterprise.
job "corpus-multiregion" {
  multiregion {
    strategy {
      max_parallel = 1
      on_failure   = "fail_all"
    }
    region "west" {
      count       = 2
      datacenters = ["west-1"]
      node_pool   = "default"
      meta {
        side = "left"
      }
    }
    region "east" {
      count       = 1
      datacenters = ["east-1", "east-2"]
    }
  }
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
