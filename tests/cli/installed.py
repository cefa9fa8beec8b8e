"""Packages with a store, installed for a program in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.docs.install import install

_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True)
class Site:
    """A folder of packages beside those of this Python.

    Attributes:
        folder: where the packages are; its parent takes what else is written.
    """

    folder: Path

    def install(self, package: Path) -> None:
        """Install the package whose pyproject.toml is in `package`."""
        install(package, self.folder)

    def run(self, *words: str, cwd: Path, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run `python WORDS` with these packages."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("NOMAD_")}
        mine = {
            "PYTHONPATH": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "XDG_CACHE_HOME": str(self.folder.parent / "cache"),
            "no_proxy": "127.0.0.1",
        }
        return subprocess.run(
            [sys.executable, *words],
            cwd=cwd,
            env={**own, **mine, **(environ or {})},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )

    def tests(self, package: Path) -> str:
        """Run the tests of a package; return what pytest says, which must be that they pass."""
        done = self.run("-m", "pytest", "--quiet", "-W", "error", "-p", "no:cacheprovider", str(package), cwd=package)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
