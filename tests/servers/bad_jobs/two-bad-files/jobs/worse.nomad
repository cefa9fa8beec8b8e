job "worse" {
  group "g" {
    tasks = []
  }
}
