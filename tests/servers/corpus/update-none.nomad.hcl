# Updates without deployments.
job "corpus-update-none" {
  datacenters = ["nowhere"]
  update {
    max_parallel = 0
  }
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
