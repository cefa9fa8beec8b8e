"""Pages do what they say: their commands run, their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import ROOT, Fence, all_pages, fences, name_of, prose, run_page

_LANGUAGES = {"console", "hcl", "json", "python", "text", "toml", "yaml"}


def _all_fences() -> list[Fence]:
    return [fence for page in all_pages() for fence in fences(page)]


@pytest.mark.parametrize(
    "page", [page for page in all_pages() if any(one.runs and not one.needs_nomad for one in fences(page))], ids=name_of
)
def test_commands_that_need_no_nomad_do_what_the_page_says(page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    assert run_page(page, folder, nomad=None, environ={}) == []


def test_every_block_is_of_a_known_kind() -> None:
    unknown = [f"{name_of(one.page)}:{one.line}: {one.language} {one.what}" for one in _all_fences() if not _is_known(one)]
    assert unknown == []


def _is_known(fence: Fence) -> bool:
    if fence.language == "console":
        return fence.what in ("", "nomad", "consul", "install") or bool(re.fullmatch(r"not-run: \w.+", fence.what))
    if fence.language == "hcl" and re.fullmatch(r"[a-z][a-z-]+", fence.what):
        return True  # a policy that tests look up by this name
    return fence.language in _LANGUAGES and (not fence.what or bool(fence.file))


def test_links_within_the_documentation_lead_somewhere() -> None:
    links = [(page, target) for page in all_pages() for target in re.findall(r"\]\(([^)\s]+)\)", prose(page))]
    within = [(page, unquote(target)) for page, target in links if not re.match(r"https?://", target)]
    assert [f"{name_of(page)}: {target}" for page, target in within if not _leads_somewhere(page, target)] == []


def _leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists():
        return False
    return not anchor or anchor in _anchors(file)


def _anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings get."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = [(page.parent / target).resolve() for target in re.findall(r"\]\(([^)\s#]+\.md)(?:#[^)]*)?\)", page.read_text())]
        todo.extend(target for target in targets if target.exists())
    assert sorted(name_of(page) for page in set(all_pages()) - reached) == []
