# CSI volumes: one per allocation with mount options, one shared block device.
job "corpus-volume-csi" {
  datacenters = ["nowhere"]
  group "g" {
    count = 2
    volume "data" {
      type            = "csi"
      source          = "corpus-data"
      read_only       = false
      access_mode     = "single-node-writer"
      attachment_mode = "file-system"
      per_alloc       = true
      mount_options {
        fs_type     = "ext4"
        mount_flags = ["noatime", "ro"]
      }
    }
    volume "raw" {
      type            = "csi"
      source          = "corpus-raw"
      access_mode     = "multi-node-reader-only"
      attachment_mode = "block-device"
      read_only       = true
    }
    task "t" {
      driver = "mock_driver"
      volume_mount {
        volume      = "data"
        destination = "/data"
      }
    }
  }
}
