# Host volumes, one of which stays with its allocation, and how a task sees them.
job "corpus-volume-host" {
  datacenters = ["nowhere"]
  group "g" {
    volume "certs" {
      type      = "host"
      source    = "ca-certificates"
      read_only = true
    }
    volume "state" {
      type            = "host"
      source          = "state"
      sticky          = true
      access_mode     = "single-node-single-writer"
      attachment_mode = "file-system"
    }
    task "t" {
      driver = "mock_driver"
      volume_mount {
        volume           = "certs"
        destination      = "/etc/ssl/certs"
        read_only        = true
        propagation_mode = "host-to-task"
        selinux_label    = "Z"
      }
      volume_mount {
        volume      = "state"
        destination = "${NOMAD_ALLOC_DIR}/state"
      }
    }
  }
}
