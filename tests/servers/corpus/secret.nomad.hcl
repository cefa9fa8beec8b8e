# Secrets of a job, a group and a task, from Nomad and from a plugin.
job "corpus-secret" {
  datacenters = ["nowhere"]
  secret "job_wide" {
    provider = "nomad"
    path     = "nomad/jobs/corpus-secret"
  }
  group "g" {
    task "t" {
      driver = "mock_driver"
      secret "own" {
        provider = "custom"
        path     = "some/path"
        env {
          REGION = "here"
        }
      }
      secret "other" {
        provider = "nomad"
        path     = "nomad/jobs/corpus-secret/other"
        config {
          namespace = "default"
        }
      }
      env {
        PASSWORD = "${secret.own.password}"
      }
    }
  }
  group "shared" {
    secret "group_wide" {
      provider = "nomad"
      path     = "nomad/jobs/corpus-secret/shared"
      config {
        namespace = "default"
      }
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
