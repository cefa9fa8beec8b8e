"""What `pip install FOLDER` leaves behind, without pip, which would ask a package index for the build backend.

Called as `install.py FOLDER SITE`: the modules and the metadata of the package in FOLDER go to SITE.
"""

from __future__ import annotations

import shutil
import sys
import tomllib
from pathlib import Path


def install(folder: Path, site: Path) -> None:
    """Install the package in `folder` into `site`."""
    package = tomllib.loads((folder / "pyproject.toml").read_text())
    name, version = package["project"]["name"], package["project"]["version"]
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = package["project"]["entry-points"]
    lines = [line for group, points in groups.items() for line in (f"[{group}]", *(f"{key} = {value}" for key, value in points.items()))]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    for module in package["tool"]["setuptools"]["py-modules"]:
        shutil.copy(folder / f"{module}.py", site)


if __name__ == "__main__":
    install(Path(sys.argv[1]), Path(sys.argv[2]))
