# A job that is dispatched, with a payload and metadata.
job "corpus-parameterized" {
  type        = "batch"
  datacenters = ["nowhere"]
  parameterized {
    payload       = "required"
    meta_required = ["input", "profile"]
    meta_optional = ["size"]
  }
  group "g" {
    task "t" {
      driver = "mock_driver"
      dispatch_payload {
        file = "config.json"
      }
      env {
        INPUT = "${NOMAD_META_input}"
      }
    }
  }
}
