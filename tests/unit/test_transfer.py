"""What makes one store hold what another does, over made-up contents; and that writing it does so, over random ones."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dtree.depfile.kinds import MAX_FINDINGS
from dtree.store import Changes, Text, job_name
from dtree.transfer import Contents, compare, make_changes, read_contents
from tests.fakes.store import MemorySnapshot, Shelf

PATHS = ("a.nomad", "a.hcl", "b.nomad", "b.nomad.hcl", "c/d.nomad", "e.hcl")


def text(data: str, path: str = "x") -> Text:
    return Text(path, data.encode())


def contents(depfile: str | None = None, jobs: dict[str, str] | None = None, files: dict[str, str] | None = None) -> Contents:
    def texts(given: dict[str, str] | None) -> dict[str, Text]:
        return {path: text(data, path) for path, data in (given or {}).items()}

    return Contents(text(depfile, "dependency.json") if depfile is not None else None, texts(jobs), texts(files))


def seen(old: Contents, new: Contents, *, prune: bool = False) -> list[tuple[str, str, str]]:
    return [(one.kind, one.path, one.change) for one in compare(old, new, prune=prune)]


def test_equal_contents_differ_in_nothing() -> None:
    one = contents("{}", {"a": "1"}, {"f": "1"})
    assert compare(one, one, prune=True) == ()


def test_every_kind_of_file_is_added_changed_and_kept_in_a_fixed_order() -> None:
    old = contents("1", {"changed": "1", "kept": "1", "same": "1"}, {"kept": "1", "changed": "1"})
    new = contents("2", {"changed": "2", "added": "2", "same": "1"}, {"changed": "2", "added": "2"})
    assert seen(old, new) == [
        ("depfile", "dependency.json", "change"),
        ("job", "added", "add"),
        ("job", "changed", "change"),
        ("job", "kept", "keep"),
        ("file", "added", "add"),
        ("file", "changed", "change"),
        ("file", "kept", "keep"),
    ]
    assert seen(old, new, prune=True)[3] == ("job", "kept", "remove")


def test_a_second_file_of_a_job_is_removed_even_without_pruning() -> None:
    (added, removed) = compare(contents(None, {"api.nomad": "1"}), contents(None, {"api.hcl": "1"}), prune=False)
    assert (added.path, added.change) == ("api.hcl", "add")
    assert (removed.path, removed.change, removed.cause) == ("api.nomad", "remove", "api.hcl takes its place")


def test_other_files_of_a_project_are_neither_copied_nor_removed() -> None:
    project = {"Makefile": "x", "README.md": "x", "prod.tfvars": "x", "package.json": "x", "api.json": "x", "db": "x", "web.nomad": "x"}
    (read,) = read_contents(MemorySnapshot({"dependencies": {"api": {"pre": "db"}}}, project))
    assert sorted(read.jobs) == ["api.json", "db", "web.nomad"]


def test_files_that_are_no_jobs_do_not_replace_each_other_by_name() -> None:
    assert seen(contents(files={"a.json": "1"}), contents(files={"a.hcl": "1"})) == [("file", "a.hcl", "add"), ("file", "a.json", "keep")]


def test_a_dependency_file_is_compared_with_the_other_whatever_their_names() -> None:
    old, new = Contents(text("1", "kv:depfile")), Contents(text("2", "dependency.json"))
    assert seen(old, new) == [("depfile", "kv:depfile", "change")]
    assert seen(Contents(), new) == [("depfile", "", "add")]
    assert seen(old, Contents()) == [("depfile", "kv:depfile", "keep")]


def test_what_is_kept_is_not_written() -> None:
    old = contents("1", {"kept": "1", "gone.hcl": "1"}, {"kept": "1"})
    new = contents("2", {"gone.nomad": "2"}, {"added": "2"})
    changes = make_changes(compare(old, new, prune=False))
    assert changes == Changes(b"2", {"gone.nomad": b"2", "gone.hcl": None}, {"added": b"2"})


def test_files_that_either_dependency_file_names_are_read_on_both_sides() -> None:
    files = {"x": "1", "y": "1", "z": "1"}
    old = MemorySnapshot({"dependencies": {"a": {"file": "x"}}}, files=files)
    new = MemorySnapshot('{"dependencies": {"a": {"file": "y"}, "b": {"file": "gone"}}, "oops": 1}', files=files)
    assert [sorted(side.files) for side in read_contents(old, new)] == [["x", "y"], ["x", "y"]]


def test_files_of_payloads_are_carried_over() -> None:
    entries = {"load": {"dispatch": [{"payload": {"file": "data/users.csv"}}, {"payload": "1,2"}]}}
    (found,) = read_contents(MemorySnapshot({"dependencies": entries}, {"load.json": "{}"}, files={"data/users.csv": b"\xff"}))
    assert found.files == {"data/users.csv": Text("data/users.csv", b"\xff")}


def test_of_a_dependency_file_with_too_many_faults_no_file_is_known() -> None:
    entries = {f"job-{number}": {"file": "x", "oops": 1} for number in range(MAX_FINDINGS + 1)}
    (side,) = read_contents(MemorySnapshot({"dependencies": entries}, files={"x": "1"}))
    assert side.files == {}


def test_a_named_file_that_is_a_job_file_on_either_side_counts_as_that() -> None:
    depfile = {"dependencies": {"a": {"file": "jobs/a"}}}
    old = MemorySnapshot(depfile, {"a": "1"})
    new = MemorySnapshot(depfile, {"a": "2"})
    assert seen(*read_contents(old, new)) == [("job", "a", "change")]


def test_a_dependency_file_is_written_so_that_it_can_be_read_under_the_name_of_the_one_that_it_replaces() -> None:
    yaml, json_ = text("dependencies:\n  ä: {wait_cond: 5}  # why\n", "kv:d.yaml"), text('{"dependencies": {"a": {}}}', "d.json")
    (one,) = compare(Contents(json_), Contents(yaml), prune=False)
    assert one.new is not None
    assert json.loads(one.new.data) == {"dependencies": {"ä": {"wait_cond": 5}}}
    assert (one.change, one.cause) == ("change", "kv:d.yaml as JSON, without its comments")
    assert compare(Contents(replace(json_, data=one.new.data)), Contents(yaml), prune=False) == ()
    for old, new in ((yaml, json_), (None, yaml), (json_, text("[1", "d.yaml")), (json_, text('{"a": 1}', "d.yaml"))):
        (same,) = compare(Contents(old), Contents(new), prune=False)
        assert (same.new, same.cause) == (new, "")


SETS = st.dictionaries(st.sampled_from(PATHS), st.sampled_from(["1", "2"]))


@given(old=SETS, new=SETS, prune=st.booleans())
def test_writing_what_differs_leaves_nothing_to_write(old: dict[str, str], new: dict[str, str], *, prune: bool) -> None:
    shelf = Shelf({f"jobs/{path}": data.encode() for path, data in old.items()})
    target, source = MemorySnapshot(None, old, shelf=shelf), MemorySnapshot(None, new)
    target.write(make_changes(compare(*read_contents(target, source), prune=prune)))
    written = {path.removeprefix("jobs/"): data.decode() for path, data in shelf.files.items()}
    after = MemorySnapshot(None, written)
    assert make_changes(compare(*read_contents(after, source), prune=prune)) == Changes()
    assert {**written, **new} == written
    assert set(written) - set(new) == (
        set() if prune else {path for path in old if path not in new and job_name(path) not in map(job_name, new)}
    )


def test_what_templates_name_and_the_versions_are_copied_too() -> None:
    files = {
        "versions.yaml": "api: '1.2'\n",
        "parts/a.j2": "[%- include 'parts/b.j2' %]",
        "parts/b.j2": '[[ file( "conf/nginx.conf" ) ]]',
        "conf/nginx.conf": "x",
        "conf/of-nobody": "x",
        "prod.tfvars": "x",
    }
    job = "[% import \"parts/a.j2\" as a %][% include 'gone.j2' %][[ file('/etc/' ~ x) ]][[ file('/etc/x') ]][[ file('../x') ]]"
    new = MemorySnapshot({"dependencies": {"api": {}}}, {"api.nomad": job}, files=files)
    old = MemorySnapshot({"dependencies": {}}, files={"conf/nginx.conf": "old", "parts/b.j2": "[[ 1 ]]"})
    contents = read_contents(old, new)
    assert sorted(contents[1].files) == ["conf/nginx.conf", "parts/a.j2", "parts/b.j2", "versions.yaml"]
    assert [(one.path, one.change) for one in compare(*contents, prune=True) if one.kind == "file"] == [
        ("conf/nginx.conf", "change"),
        ("parts/a.j2", "add"),
        ("parts/b.j2", "change"),
        ("versions.yaml", "add"),
    ]
