# Actions: commands that an operator may run inside a task, with and without arguments.
job "corpus-action" {
  datacenters = ["nowhere"]
  group "g" {
    task "t" {
      driver = "mock_driver"
      action "uptime" {
        command = "/usr/bin/uptime"
      }
      action "echo" {
        command = "/bin/echo"
        args    = ["one", "two words", "${NOMAD_ALLOC_ID}"]
      }
    }
  }
}
