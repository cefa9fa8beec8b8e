# Metadata of a job, a group and a task, as a block and as an attribute.
job "corpus-meta" {
  datacenters = ["nowhere"]
  meta {
    owner = "team-ä"
    empty = ""
  }
  group "g" {
    meta = {
      "dotted.key" = "group"
    }
    task "t" {
      driver = "mock_driver"
      meta {
        level = 3
      }
    }
  }
}
