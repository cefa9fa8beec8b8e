# Affinities of a job, a group and a task; every operator and its short form, and a negative weight.
job "corpus-affinity" {
  datacenters = ["nowhere"]
  affinity {
    attribute = "${node.datacenter}"
    value     = "dc1"
    weight    = 100
  }
  group "g" {
    affinity {
      attribute = "${attr.driver.mock_driver.version}"
      version   = ">= 1.0"
      weight    = -20
    }
    affinity {
      attribute = "${attr.nomad.version}"
      semver    = "> 1.0.0"
    }
    affinity {
      attribute = "${attr.kernel.name}"
      regexp    = "[a-z]+"
    }
    affinity {
      attribute    = "${meta.tags}"
      set_contains = "a,b"
    }
    task "t" {
      driver = "mock_driver"
      affinity {
        attribute        = "${meta.tags}"
        set_contains_any = "a,b"
      }
      affinity {
        attribute        = "${meta.tags}"
        set_contains_all = "a,b"
      }
      affinity {
        attribute = "${meta.rank}"
        operator  = ">"
        value     = "3"
        weight    = 50
      }
    }
  }
}
