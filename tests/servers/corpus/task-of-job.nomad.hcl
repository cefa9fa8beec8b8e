# A task outside any group: Nomad makes a group of it.
job "corpus-task-of-job" {
  datacenters = ["nowhere"]
  vault {
    role = "everybody"
    env  = false
  }
  task "alone" {
    driver = "mock_driver"
    vault {
      role = "alone"
    }
  }
}
