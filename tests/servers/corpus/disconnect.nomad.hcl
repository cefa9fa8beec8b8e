# What becomes of allocations on a lost client: in two ways, and with the two older sets of parameters.
job "corpus-disconnect" {
  datacenters = ["nowhere"]
  group "wait" {
    disconnect {
      lost_after = "6h"
      replace    = false
      reconcile  = "keep_original"
    }
    task "t" {
      driver = "mock_driver"
    }
  }
  group "stop" {
    disconnect {
      stop_on_client_after = "5m"
      replace              = true
      reconcile            = "best_score"
    }
    task "t" {
      driver = "mock_driver"
    }
  }
  group "oldest" {
    stop_after_client_disconnect = "10m"
    task "t" {
      driver = "mock_driver"
    }
  }
  group "older" {
    max_client_disconnect      = "1h"
    prevent_reschedule_on_lost = true
    reschedule {
      attempts  = 0
      unlimited = false
    }
    task "t" {
      driver = "mock_driver"
    }
  }
}
