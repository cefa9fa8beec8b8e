# A secret of a group, for all its tasks.
job "corpus-secret-group" {
  datacenters = ["nowhere"]
  group "g" {
    secret "shared" {
      provider = "nomad"
      path     = "nomad/jobs/corpus-secret-group"
      config {
        namespace = "default"
      }
    }
    task "one" {
      driver = "mock_driver"
    }
    task "two" {
      driver = "mock_driver"
    }
  }
}
