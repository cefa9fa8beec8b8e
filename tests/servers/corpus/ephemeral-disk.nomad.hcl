# An ephemeral disk that moves along.
job "corpus-ephemeral-disk" {
  datacenters = ["nowhere"]
  group "g" {
    ephemeral_disk {
      migrate = true
      sticky  = true
      size    = 500
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
