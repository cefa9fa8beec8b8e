variable "image" {
  type = string
}
variable "tag" {
  type = string
}
job "bad" {
  group "g" {
    task "t" {
      driver = "mock_driver"
      env {
        IMAGE = "${var.image}:${var.tag}"
      }
    }
  }
}
