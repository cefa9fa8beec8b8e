"""The reference is complete and as the code says: generated parts, options, exit codes, error codes, layers, records."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest

from dtree import __version__, config, depfile, errors, store_loader
from dtree.cli.app import COMMANDS
from dtree.cli.options import Command
from tests.docs.codes import all_codes
from tests.docs.pages import ROOT, fences, name_of, prose
from tools.write_docs import pages, written

DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    assert page.read_text() == written(page.read_text()), "`make docs` writes them anew"


def _command_names() -> list[str]:
    return [
        full
        for name, command in COMMANDS.items()
        for full in ([name] if isinstance(command, Command) else [f"{name} {inner}" for inner in command])
    ]


def test_every_command_is_documented() -> None:
    assert re.findall(r"^## (.+)$", (REFERENCE / "cli.md").read_text(), re.MULTILINE) == _command_names()


def test_every_setting_is_documented_with_its_variables() -> None:
    page = (REFERENCE / "configuration.md").read_text()
    store = store_loader.settings("filesystem", store_loader.load("filesystem"))
    words = [word for setting in (*config.BUILT_IN, *store) for word in (f"--{setting.name}", *setting.variables)]
    assert [word for word in words if f"`{word}`" not in page] == []


def test_nomads_own_variables_stand_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    variables = [variable for setting in config.NOMAD for variable in setting.variables if not variable.startswith("NOMAD_DTREE_")]
    assert [variable for variable in variables if f"`{variable}`" not in readme] == []


def _rows(page: Path) -> list[list[str]]:
    """Return the rows of a page's tables, without their heads."""
    lines = ["", *prose(page).splitlines()]
    heads = {number for number, line in enumerate(lines) if re.fullmatch(r"[|\- ]+", line) and "-" in line}
    rows = [line for number, line in enumerate(lines) if line.startswith("|") and not {number, number + 1} & heads]
    return [[cell.strip(" `") for cell in re.split(r"(?<!\\)\|", row.strip("|"))] for row in rows]


def test_every_error_code_is_documented_with_what_to_do_and_no_other() -> None:
    documented = [row[0] for row in _rows(REFERENCE / "errors.md") if re.fullmatch(r"[a-z0-9-]+", row[0])]
    assert sorted(documented) == sorted(all_codes())


@pytest.mark.parametrize("page", [ROOT / "README.md", REFERENCE / "exit-codes.md"], ids=name_of)
def test_every_exit_code_is_documented(page: Path) -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert {int(row[0]) for row in _rows(page) if row[0].isdigit()} == codes


def test_every_key_of_the_dependency_file_is_documented() -> None:
    page = (REFERENCE / "dependency-file.md").read_text()
    entry = depfile.schema()["properties"]["dependencies"]["additionalProperties"]["properties"]
    assert [key for key in (*depfile.schema()["properties"], *entry) if f"`{key}`" not in page] == []


def test_the_layers_are_those_that_are_enforced() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    documented = [row[0].replace("`", "").replace(", ", " | ") for row in _rows(DOCS / "explanation" / "architecture.md")]
    assert documented == layers


def test_every_mistake_names_a_test_that_there_is() -> None:
    page = DOCS / "explanation" / "mistakes.md"
    named = set(re.findall(r"`(test_\w+)`", page.read_text()))
    sources = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py")) + (ROOT / "dtree" / "testing.py").read_text()
    assert sorted(name for name in named if f"def {name}(" not in sources) == []
    assert [row[0] for row in _rows(page) if not re.match(r"test_\w+", row[-1])] == []


_WORDS = 10
"""Characters from which a piece of a message says something."""


def _said(file: Path, *functions: str) -> set[str]:
    """Return the pieces of text in some functions of a module that end up in what a user reads."""
    tree = ast.parse(file.read_text())
    bodies = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in functions]
    texts = [node.value for body in bodies for node in ast.walk(body) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    docstrings = {ast.get_docstring(body, clean=False) for body in bodies}
    pieces = {text.strip(" ;,") for text in texts if text not in docstrings}
    return {piece for piece in pieces if len(piece) >= _WORDS and " " in piece}


def test_every_reason_of_a_wait_is_explained() -> None:
    page = prose(DOCS / "how-to" / "when-a-run-hangs.md")
    reasons = _said(ROOT / "dtree" / "progress.py", "describe", "_note") | _said(ROOT / "dtree" / "health.py", "stopped", "_seconds_left")
    reasons |= _said(ROOT / "dtree" / "diagnose.py", "why_unplaced", "restarts", "waits_for", "exit_words")
    assert sorted(reason for reason in reasons if reason not in page) == []


def test_every_trouble_with_certificates_is_explained() -> None:
    page = prose(DOCS / "how-to" / "use-tls-and-acls.md")
    why = {text for text in _said(ROOT / "dtree" / "access" / "tls.py", "tls_trouble") if text.startswith(("it ", "its "))}
    assert why
    assert sorted(text for text in why if text not in page) == []


RECORDS = sorted((DOCS / "adr").glob("[0-9]*.md"))


@pytest.mark.parametrize("record", RECORDS, ids=name_of)
def test_a_decision_record_tells_context_options_decision_and_consequences(record: Path) -> None:
    assert re.findall(r"^## (.+)$", record.read_text(), re.MULTILINE) == ["Context", "Options", "Decision", "Consequences"]
    assert f"]({record.name})" in (DOCS / "adr" / "README.md").read_text()


def test_decision_records_are_numbered_without_gaps() -> None:
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))


def test_pages_that_the_source_names_exist() -> None:
    source = "\n".join(file.read_text() for folder in ("dtree", "plugins", "tests") for file in (ROOT / folder).rglob("*.py"))
    named = set(re.findall(r"docs/[\w/-]+\.md", source))
    assert sorted(page for page in named - {"docs/benchmarks.md"} if not (ROOT / page).exists()) == []


def test_the_change_log_has_this_version() -> None:
    assert f"\n## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_data_in_the_pages_is_well_formed() -> None:
    blocks = [fence for page in (ROOT / "README.md", *DOCS.rglob("*.md")) for fence in fences(page)]
    for fence in blocks:
        if fence.language == "json":
            json.loads(fence.body)
        elif fence.language == "toml":
            tomllib.loads(fence.body)
