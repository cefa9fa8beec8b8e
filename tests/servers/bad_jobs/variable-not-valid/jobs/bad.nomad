variable "count" {
  type    = number
  default = 0
  validation {
    condition     = var.count > 0
    error_message = "There has to be at least one."
  }
}
job "bad" {
  group "g" {
    count = var.count
    task "t" {
      driver = "mock_driver"
    }
  }
}
