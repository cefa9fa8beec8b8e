job "bad" {
  group "g" {
<<<<<<< HEAD
    count = 2
=======
    count = 3
>>>>>>> main
    task "t" {
      driver = "mock_driver"
    }
  }
}
