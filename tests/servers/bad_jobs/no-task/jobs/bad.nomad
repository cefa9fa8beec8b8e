job "bad" {
  group "g" {
    count = 2
  }
}
