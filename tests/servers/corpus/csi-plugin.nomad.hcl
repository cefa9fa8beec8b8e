# A task that is a CSI plugin.
job "corpus-csi-plugin" {
  datacenters = ["nowhere"]
  type        = "system"
  group "g" {
    task "t" {
      driver = "mock_driver"
      csi_plugin {
        id                     = "corpus-efs"
        type                   = "monolith"
        mount_dir              = "/csi"
        stage_publish_base_dir = "/local/csi"
        health_timeout         = "45s"
      }
    }
  }
}
