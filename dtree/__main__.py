"""Where the program starts: `nomad-dtree`, and `python -m dtree`."""

from __future__ import annotations

import sys

from dtree import __version__


def main() -> None:
    """Run the program with the arguments of this process, and leave with its exit code."""
    if sys.argv[1:] == ["--version"]:
        # Scripts ask this often; everything else costs the import of typer.
        sys.stdout.write(f"nomad-dtree {__version__}\n")
        return
    from dtree.cli.app import main as run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
