"""A folder of files as the store of examples/custom-store reads it: with the list of their digests, on a web server."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Final

from tests.docs.pages import ROOT
from tests.fakes.http_server import serving

EXAMPLE: Final = ROOT / "examples" / "custom-store"


def list_files(folder: Path) -> None:
    """Write SHA256SUMS by the command that the example's README gives."""
    (command,) = re.findall(r"^    (find .*)$", (EXAMPLE / "README.md").read_text(), re.MULTILINE)
    subprocess.run(["bash", "-c", command], cwd=folder, check=True)


@contextmanager
def serve_files(folder: Path) -> Iterator[str]:
    """Serve a folder with Python's own server of files; yield the address."""
    with serving(partial(_Quiet, directory=str(folder))) as address:
        yield address


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
