# job "bad" {}
