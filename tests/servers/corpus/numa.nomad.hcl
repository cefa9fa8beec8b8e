# NUMA aware placement of cores and devices: a feature of Nomad Enterprise.
job "corpus-numa" {
  datacenters = ["nowhere"]
  group "g" {
    task "t" {
      driver = "mock_driver"
      resources {
        cores = 2
        numa {
          affinity = "require"
          devices  = ["nvidia/gpu"]
        }
        device "nvidia/gpu" {
          count = 1
        }
      }
    }
  }
}
