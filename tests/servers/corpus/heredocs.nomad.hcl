# Heredocs, plain and indented, with quotes, braces, tabs and lines that look like other syntax.
job "corpus-heredocs" {
  datacenters = ["nowhere"]
  group "g" {
    task "t" {
      driver = "mock_driver"
      template {
        destination = "local/plain"
        data        = <<EOF
job "not a job" {
	tab "quoted" 'single' \n stays
  # no comment, // nor this, /* nor this */
{{ with secret "kv/data" }}{{ .Data.key }}{{ end }}
$${escaped} %%{escaped} ünïcödé

EOF
      }
      template {
        destination = "local/indented"
        data        = <<-EOT
          first
            deeper
          last
        EOT
      }
    }
  }
}
