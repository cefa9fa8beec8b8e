# Metadata of a job, a group and a task, as a block and as an attribute.
job "corpus-meta" {
  datacenters = ["nowhere"]
  meta {
    owner = "team-ä"
    empty = ""
  }
  group "block" {
    meta {
      level = 2
    }
    task "t" {
      driver = "mock_driver"
      meta {
        level = 3
      }
    }
  }
  group "attribute" {
    meta = {
      "dotted.key" = "group"
    }
    task "t" {
      driver = "mock_driver"
      meta = {
        "dotted.key" = "task"
      }
    }
  }
}
