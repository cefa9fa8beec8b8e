"""Where the program starts: `nomad-dtree`, and `python -m dtree`."""

from __future__ import annotations

import gc
import sys

from dtree import __version__

_OBJECTS_BETWEEN_SEARCHES = 50_000


def main() -> None:
    """Run the program with the arguments of this process, and leave with its exit code."""
    if sys.argv[1:] == ["--version"]:
        # Scripts ask this often; everything else costs the import of typer.
        sys.stdout.write(f"nomad-dtree {__version__}\n")
        return
    # What is imported stays until the end. To search it for garbage, time and again and once more at the exit, takes a short command
    # a sixth of its time.
    gc.set_threshold(_OBJECTS_BETWEEN_SEARCHES)
    try:
        from dtree.cli.app import main as run

        sys.exit(run(sys.argv[1:]))
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
