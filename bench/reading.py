"""Read all jobs of a store and do nothing with them: `python -m bench.reading STORE`. Its whole process is what is measured.

The store's options are taken from the environment, as every command takes them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dtree import config, store_loader
from dtree.access.nomad import Connection
from dtree.store import StoreContext


def main(name: str) -> None:
    """Read the dependency file and all job files, and say how many. Effects: reads the store."""
    kind = store_loader.load(name)
    values = config.resolve(store_loader.settings(name, kind), {}, os.environ, config.Configuration(), Path.cwd())
    settings = {identifier: value.value for identifier, value in values.items()}
    context = StoreContext(cwd=Path.cwd(), cache=Path.cwd() / "cache", nomad=lambda: Connection(os.environ["NOMAD_ADDR"]))
    with kind(settings, context).snapshot() as snapshot:
        snapshot.depfile()
        print(f"{len(snapshot.jobs(snapshot.job_names()))} jobs, revision {snapshot.revision}")


if __name__ == "__main__":
    main(sys.argv[1])
