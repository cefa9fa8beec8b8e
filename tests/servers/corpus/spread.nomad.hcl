# Spreading a job and a group over attributes, with and without targets.
job "corpus-spread" {
  datacenters = ["nowhere", "nobody"]
  spread {
    attribute = "${node.datacenter}"
    weight    = 100
    target "nowhere" {
      percent = 100
    }
  }
  spread {
    attribute = "${node.class}"
  }
  group "g" {
    count = 2
    spread {
      attribute = "${meta.rack}"
      weight    = 50
      target "r1" {
        percent = 70
      }
      target "r2" {
        percent = 30
      }
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
