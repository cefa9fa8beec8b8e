# What Nomad's own pages show of a job: a description and links.
job "corpus-ui" {
  datacenters = ["nowhere"]
  ui {
    description = "A **bold** text with <tags> & a [link](https://example.com)"
    link {
      label = "Runbook"
      url   = "https://example.com/runbook?a=1&b=2"
    }
    link {
      label = "Dashboard"
      url   = "https://example.com/dashboard"
    }
  }
  group "g" {
    task "t" {
      driver = "mock_driver"
    }
  }
}
