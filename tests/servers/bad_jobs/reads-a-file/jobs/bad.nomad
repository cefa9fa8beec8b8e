job "bad" {
  group "g" {
    task "t" {
      driver = "mock_driver"
      template {
        data        = file("nginx.conf")
        destination = "local/nginx.conf"
      }
    }
  }
}
