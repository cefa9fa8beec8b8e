# A service that speaks Connect itself.
job "corpus-connect-native" {
  datacenters = ["nowhere"]
  group "g" {
    network {
      port "api" {}
    }
    service {
      name = "corpus-native"
      port = "api"
      task = "t"
      connect {
        native = true
      }
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
