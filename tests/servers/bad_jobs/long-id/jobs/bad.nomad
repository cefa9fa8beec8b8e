job "bad" {
  id       = "${join("-", range(200))}"
  priority = 1000
  type     = "cronjob"
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
