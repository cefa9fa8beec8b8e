# Secrets of a job and a task, from Nomad and from a plugin. In one group only: of several, Nomad 1.11 mixes the order up.
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
}
