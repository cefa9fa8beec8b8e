"""The stores that come with nomad-dtree, found through the same entry points as anybody's."""
