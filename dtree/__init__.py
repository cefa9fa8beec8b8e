"""nomad-dtree runs and stops Nomad jobs in the order of their dependencies. Start reading at `dtree.pipeline`."""

__version__ = "0.1.0"
