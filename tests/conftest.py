"""What holds for every test: no real cluster is in reach, and an ended test session still tidies up."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

# A contract is no test module by its name, and its failures shall tell as much as those of one.
pytest.register_assert_rewrite("tests.contract.cluster_contract")

# The developer's own cluster, token and store must not reach a test; where the programs are may.
_KEPT = ("NOMAD_DTREE_NOMAD", "NOMAD_DTREE_CACHE")
for _name in [name for name in os.environ if name.startswith("NOMAD_") and name not in _KEPT]:
    del os.environ[_name]

# Fixtures that end an agent run after Ctrl-C; let them run after SIGTERM too. A shell starts what it puts in the background with SIGINT
# ignored, and nohup anything with SIGHUP ignored, which tests that send one would inherit.
signal.signal(signal.SIGTERM, signal.default_int_handler)
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long one example takes says more about the machine than about the code.
settings.register_profile("dtree", deadline=None, print_blob=True)
settings.load_profile("dtree")
