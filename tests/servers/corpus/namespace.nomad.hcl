# A job that names its own ID, namespace, region, node pool and display name.
job "corpus-namespace" {
  id          = "corpus-own-namespace"
  name        = "A Name With Spaces"
  namespace   = "corpus-dtree"
  region      = "global"
  node_pool   = "default"
  datacenters = ["nowhere", "now*"]
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
