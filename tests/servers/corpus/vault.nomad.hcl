# Vault for a group and a task; an agent without Vault refuses it.
job "corpus-vault" {
  datacenters = ["nowhere"]
  group "g" {
    vault {
      policies = ["frontend"]
      role     = "group"
    }
    task "of-group" {
      driver = "mock_driver"
    }
    task "own" {
      driver = "mock_driver"
      vault {
        cluster                = "default"
        role                   = "own"
        namespace              = "team"
        env                    = false
        disable_file           = true
        change_mode            = "signal"
        change_signal          = "SIGUSR1"
        allow_token_expiration = true
      }
    }
  }
}
