job "bad" {
  group "g" {
    network {
      port "http" {
        static = 80
      }
      port "admin" {
        static = 80
      }
    }
    service {
      name     = "web"
      port     = "htpp"
      provider = "nomad"
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
