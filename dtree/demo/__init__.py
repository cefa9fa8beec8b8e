"""A throw-away Nomad and the four jobs of the demo; the tests start their agents with the same code."""
