# Templates with every parameter: inline and from a file, other delimiters, a script on change.
job "corpus-template" {
  datacenters = ["nowhere"]
  group "g" {
    task "t" {
      driver = "mock_driver"
      template {
        data                 = "key = {{ key \"service/key\" }}"
        destination          = "local/file.conf"
        change_mode          = "signal"
        change_signal        = "SIGUSR1"
        perms                = "600"
        uid                  = 1000
        gid                  = 1000
        splay                = "10s"
        error_on_missing_key = true
        wait {
          min = "5s"
          max = "90s"
        }
      }
      template {
        source          = "local/file.tpl"
        destination     = "secrets/file.env"
        env             = true
        once            = true
        left_delimiter  = "[[["
        right_delimiter = "]]]"
        vault_grace     = "15s"
      }
      template {
        data        = "{{ range services }}{{ .Name }}{{ end }}"
        destination = "local/list"
        change_mode = "script"
        change_script {
          command             = "/bin/reload"
          args                = ["--quiet", "-x"]
          timeout             = "20s"
          fail_on_error       = true
          run_on_first_render = true
        }
      }
    }
  }
}
