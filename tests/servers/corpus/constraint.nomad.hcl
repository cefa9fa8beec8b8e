# Constraints of a job, a group, a task and a device, with every operator, long and short.
job "corpus-constraint" {
  datacenters = ["nowhere"]
  constraint {
    attribute = "${attr.kernel.name}"
    value     = "linux"
  }
  constraint {
    attribute = "${attr.cpu.arch}"
    operator  = "!="
    value     = "mips"
  }
  constraint {
    distinct_hosts = true
  }
  group "g" {
    constraint {
      attribute = "${meta.rank}"
      operator  = "<"
      value     = "10"
    }
    constraint {
      attribute = "${meta.rank}"
      operator  = "<="
      value     = "9"
    }
    constraint {
      attribute = "${meta.rank}"
      operator  = ">"
      value     = "0"
    }
    constraint {
      attribute = "${meta.rank}"
      operator  = ">="
      value     = "1"
    }
    constraint {
      operator  = "distinct_property"
      attribute = "${meta.rack}"
      value     = "3"
    }
    constraint {
      distinct_property = "${meta.row}"
    }
    constraint {
      operator = "distinct_hosts"
      value    = "false"
    }
    task "t" {
      driver = "mock_driver"
      constraint {
        attribute = "${attr.kernel.version}"
        version   = ">= 4.0, < 99"
      }
      constraint {
        attribute = "${attr.nomad.version}"
        semver    = ">= 1.6.0-beta.1"
      }
      constraint {
        attribute = "${attr.os.name}"
        regexp    = "^[a-z\\.]+$"
      }
      constraint {
        attribute    = "${meta.tags}"
        set_contains = "a,b"
      }
      constraint {
        attribute = "${meta.tags}"
        operator  = "set_contains_any"
        value     = "a,b"
      }
      constraint {
        attribute = "${meta.tags}"
        operator  = "set_contains_all"
        value     = "a,b"
      }
      constraint {
        attribute = "${meta.tags}"
        operator  = "is_set"
      }
      constraint {
        attribute = "${meta.gone}"
        operator  = "is_not_set"
      }
    }
  }
}
