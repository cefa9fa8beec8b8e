# A batch job for every node.
job "corpus-sysbatch" {
  type        = "sysbatch"
  datacenters = ["nowhere"]
  group "g" {
    task "t" {
      driver = "mock_driver"
      config {
        run_for = "10ms"
      }
    }
  }
}
