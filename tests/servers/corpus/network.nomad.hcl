# Networks: modes, static and mapped ports, host networks, DNS and a host name.
job "corpus-network" {
  datacenters = ["nowhere"]
  group "host" {
    network {
      mode = "host"
      port "dynamic" {}
      port "fixed" {
        static           = 28080
        ignore_collision = true
      }
    }
    task "t" {
      driver = "mock_driver"
    }
  }
  group "bridge" {
    network {
      mode     = "bridge"
      hostname = "corpus-${NOMAD_ALLOC_INDEX}"
      port "http" {
        to           = 8080
        host_network = "public"
      }
      port "https" {
        static = 28443
        to     = 8443
      }
      dns {
        servers  = ["192.0.2.53", "${attr.unique.network.ip-address}"]
        searches = ["example.com"]
        options  = ["ndots:2"]
      }
    }
    task "t" {
      driver = "mock_driver"
    }
  }
  group "none" {
    network {
      mode = "none"
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
