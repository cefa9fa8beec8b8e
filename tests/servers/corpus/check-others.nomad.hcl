# Checks of the kinds tcp, grpc and script.
job "corpus-check-others" {
  datacenters = ["nowhere"]
  group "g" {
    network {
      port "api" {}
      port "rpc" {}
    }
    service {
      name = "corpus-others"
      port = "api"
      task = "t"
      check {
        type      = "tcp"
        port      = "rpc"
        advertise = "192.0.2.9"
        interval  = "10s"
        timeout   = "2s"
      }
      check {
        type         = "grpc"
        port         = "rpc"
        grpc_service = "app.Health"
        grpc_use_tls = true
        interval     = "10s"
        timeout      = "2s"
      }
      check {
        type     = "script"
        name     = "disk"
        task     = "t"
        command  = "/bin/check"
        args     = ["--path", "/data"]
        interval = "1m"
        timeout  = "20s"
      }
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
