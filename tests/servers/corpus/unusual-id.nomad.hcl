# An ID that has to be quoted in a URL, and one line that ends a comment /* early */ // or late.
job "corpus-unusual/Ünïcode#%2F?&+.id" {
  datacenters = ["nowhere"]
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
