"""The pages for people who come from elsewhere: the job before, rendered by Go's own templates, is the job after."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from dtree import hcl_file
from dtree.document import read as read_document
from tests.docs.pages import ROOT, fences

_RENDERER: Final = Path(__file__).parent / "go_template" / "main.go"
_TIMEOUT_S: Final = 120.0


def files_of(page: str) -> dict[str, str]:
    return {fence.file: fence.body for fence in fences(ROOT / "docs" / "how-to" / page) if fence.file}


def before(style: Literal["levant", "pack"], files: Sequence[str], values: Mapping[str, Any]) -> str:
    """Render as Levant or Nomad Pack does."""
    asked = json.dumps({"Style": style, "Files": files, "Values": values})
    done = subprocess.run(["go", "run", str(_RENDERER)], input=asked, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def after(files: Mapping[str, str], folder: Path, *options: str) -> str:
    """Render as nomad-dtree does."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    words = [sys.executable, "-m", "dtree", "render", "web", *options]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_job_for_levant_is_the_same_afterwards(tmp_path: Path) -> None:
    files = files_of("from-levant.md")
    values = read_document("web.yaml", files["levant/web.yaml"].encode()).value
    assert values is not None
    rendered = before("levant", [files["levant/web.nomad"]], values)
    assert "https://releases.example/web/1.4.2/web.tgz" in rendered
    assert after(files, tmp_path, "--var-file", "web.yaml") == rendered


def test_the_job_of_a_pack_is_the_same_afterwards(tmp_path: Path) -> None:
    files = files_of("from-nomad-pack.md")
    defaults = re.findall(r'^variable "(\w+)" \{.*?^  default +(= .*?)\n\}', files["pack/variables.hcl"], re.MULTILINE | re.DOTALL)
    values, _ = hcl_file.read("variables.hcl", "".join(f"{name} {default}\n" for name, default in defaults))
    rendered = before("pack", [files["pack/templates/web.nomad.tpl"], files["pack/templates/_helpers.tpl"]], values)
    assert 'datacenters = ["dc1"]' in rendered
    assert after(files, tmp_path) == rendered
