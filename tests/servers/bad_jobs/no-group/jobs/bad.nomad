job "bad" {
  type = "batch"
}
