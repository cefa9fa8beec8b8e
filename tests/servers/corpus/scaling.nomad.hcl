# A group that an autoscaler resizes.
job "corpus-scaling" {
  datacenters = ["nowhere"]
  group "g" {
    count = 2
    scaling {
      enabled = true
      min     = 1
      max     = 10
      type    = "horizontal"
      policy {
        cooldown            = "1m"
        evaluation_interval = "10s"
        check "cpu" {
          source = "prometheus"
          query  = "avg(cpu)"
          strategy "target-value" {
            target    = 70
            threshold = 0.05
          }
        }
      }
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
