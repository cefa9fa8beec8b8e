# Variables with types, defaults and a check, locals, and blocks made by a loop.
variable "ports" {
  type        = list(string)
  default     = ["http", "admin"]
  description = "labels of the ports"
}
variable "limits" {
  type = object({
    cpu    = number
    memory = number
  })
  default = {
    cpu    = 20
    memory = 16
  }
}
variable "image" {
  type    = string
  default = "app:1.2"
  validation {
    condition     = strlen(var.image) > 3
    error_message = "The image needs a name and a tag."
  }
}
locals {
  name = "corpus-${lower("VARIABLES")}"
}
locals {
  env = { for port in var.ports : "PORT_${upper(port)}" => port }
}
job "corpus-variables" {
  datacenters = ["nowhere"]
  name        = local.name
  group "g" {
    network {
      dynamic "port" {
        for_each = var.ports
        labels   = [port.value]
        content {
          to = 8000 + port.key
        }
      }
    }
    dynamic "task" {
      for_each = { one = 1, two = 2 }
      iterator = each
      labels   = ["task-${each.key}"]
      content {
        driver = "mock_driver"
        env    = local.env
        meta {
          image = var.image
        }
        resources {
          cpu    = var.limits.cpu * each.value
          memory = var.limits.memory
        }
      }
    }
  }
}
