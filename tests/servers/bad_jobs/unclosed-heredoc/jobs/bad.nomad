job "bad" {
  group "g" {
    task "t" {
      driver = "mock_driver"
      template {
        data = <<EOF
one
two
        EOT
      }
    }
  }
}
