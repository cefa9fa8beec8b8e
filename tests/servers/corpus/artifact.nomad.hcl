# Artifacts with every parameter: a checksum, a Git repository with a key, headers, a single file.
job "corpus-artifact" {
  datacenters = ["nowhere"]
  group "g" {
    task "t" {
      driver = "mock_driver"
      artifact {
        source      = "https://example.com/app.tar.gz"
        destination = "local/app"
        options {
          archive  = "tar.gz"
          checksum = "md5:d41d8cd98f00b204e9800998ecf8427e"
        }
      }
      artifact {
        source      = "git::git@github.com:example/app.git"
        destination = "local/repo"
        mode        = "dir"
        chown       = true
        options {
          depth  = 1
          sshkey = "${base64encode("not a key")}"
        }
      }
      artifact {
        source   = "https://internal.example.com/file?a=1&b=<2>"
        mode     = "file"
        insecure = true
        headers {
          User-Agent    = "nomad-[${NOMAD_JOB_ID}]"
          X-Nomad-Alloc = "${NOMAD_ALLOC_ID}"
        }
      }
    }
  }
}
