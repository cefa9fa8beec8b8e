job "bad" {
  group "g" {
    task "t" {
      config {
        run_for = "1s"
      }
    }
  }
}
