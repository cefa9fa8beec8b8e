# Environment as a block and as an attribute, with names and values that need care.
job "corpus-env" {
  datacenters = ["nowhere"]
  group "g" {
    task "block" {
      driver = "mock_driver"
      env {
        PLAIN   = "value"
        NUMBER  = 8080
        YES     = true
        EMPTY   = ""
        RUNTIME = "${NOMAD_PORT_http}"
        ESCAPED = "$${not_hcl} %%{nor this}"
        QUOTES  = "a \"b\" 'c' \\ d\te\nf"
        UNICODE = "Grüße, 世界, \u20ac \U0001F600"
        MARKUP  = "<a href='x'>&amp;</a>"
      }
    }
    task "attribute" {
      driver = "mock_driver"
      env = {
        "with.dots"   = "1"
        "with-dashes" = "2"
        "with space"  = "3"
      }
    }
  }
}
