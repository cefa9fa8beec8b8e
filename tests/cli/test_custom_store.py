"""The example of a store of somebody's own: it is what the page shows, it installs, and the program uses it."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.installed import Site
from tests.docs.pages import ROOT, commands, fences
from tests.fakes.file_server import EXAMPLE, list_files, serve_files

PAGE = ROOT / "docs" / "how-to" / "write-a-store.md"

LONGEST = 60


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The example, installed."""
    site = Site(tmp_path / "site")
    site.install(EXAMPLE)
    return site


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The folder of files that the page makes."""
    folder = tmp_path / "shop"
    (folder / "jobs").mkdir(parents=True)
    for name in ("web", "db"):
        (folder / "jobs" / f"{name}.nomad").write_text(f'job "{name}" {{}}\n')
    (folder / "dependency.json").write_text('{"dependencies": {"web": {"pre": "db"}}}\n')
    list_files(folder)
    return folder


@pytest.fixture
def web(shop: Path) -> Iterator[str]:
    """Address of a web server of these files."""
    with serve_files(shop) as address:
        yield address


@pytest.mark.parametrize("name", ["dtree_http.py", "pyproject.toml", "test_dtree_http.py"])
def test_the_example_is_byte_for_byte_what_the_page_shows(name: str) -> None:
    (shown,) = (fence.body for fence in fences(PAGE) if fence.file == f"custom-store/{name}")
    assert shown == (EXAMPLE / name).read_text()


def test_the_store_has_less_than_sixty_lines_of_code_as_the_page_and_the_readme_say() -> None:
    source = (EXAMPLE / "dtree_http.py").read_text()
    documented = {
        number
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node)
        for number in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    lines = [line for number, line in enumerate(source.splitlines(), 1) if line.strip() and number not in documented]
    assert len(lines) < LONGEST
    assert f"{len(lines)} lines of code" in (EXAMPLE / "README.md").read_text()
    assert f"under {LONGEST} lines" in PAGE.read_text()


def test_its_own_tests_pass(site: Site) -> None:
    assert " passed" in site.tests(EXAMPLE)


def test_the_commands_of_the_page_print_what_it_says(site: Site, web: str, tmp_path: Path) -> None:
    (block,) = (fence for fence in fences(PAGE) if fence.what.startswith("not-run") and "--http-url" in fence.body)
    serve, *others = commands(block)
    place = serve.text.split()[-2]
    assert serve.text == f"python -m http.server --directory shop {place} &"
    for command in others:
        words = shlex.split(command.text.replace(f"http://127.0.0.1:{place}", web))
        start = words.index("nomad-dtree")
        done = site.run("-m", "dtree", *words[start + 1 :], cwd=tmp_path, environ=dict(word.split("=", 1) for word in words[:start]))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [line.replace(f"http://127.0.0.1:{place}", web) for line in command.expected]
    assert len(others) > 1


def test_a_file_that_was_changed_without_the_list_fails_with_both_named(site: Site, web: str, shop: Path, tmp_path: Path) -> None:
    (shop / "jobs" / "db.nomad").write_text("newer")
    checked = site.run("-m", "dtree", "validate", "--store", "http", "--http-url", web, cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (1, "")
    assert f"{web}/jobs/db.nomad is not what SHA256SUMS says" in checked.stderr
    list_files(shop)
    assert site.run("-m", "dtree", "validate", "--store", "http", "--http-url", web, cwd=tmp_path).returncode == 0


def test_a_server_that_is_gone_is_one_line_and_a_hint(site: Site, tmp_path: Path) -> None:
    environ = {"NOMAD_DTREE_HTTP_TOKEN": "s3cret"}
    ended = site.run("-m", "dtree", "graph", "--store", "http", "--http-url", "http://127.0.0.1:1/shop", cwd=tmp_path, environ=environ)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "error[store-unreachable]: no contact with http://127.0.0.1:1/shop: [Errno 111] Connection refused\n  hint: check --http-url\n"
    )
