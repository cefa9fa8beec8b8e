# A network of a CNI plugin, with arguments for it.
job "corpus-network-cni" {
  datacenters = ["nowhere"]
  group "g" {
    network {
      mode = "cni/mynet"
      port "http" {
        to = 8080
      }
      cni {
        args = {
          "nodeName" = "${attr.unique.hostname}"
          "other"    = "value"
        }
      }
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
