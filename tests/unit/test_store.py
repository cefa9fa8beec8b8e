from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dtree.errors import DeclarationError
from dtree.store import Option, Revision, Snapshot, StoreError, Text


class Shelf(Snapshot):
    """A snapshot of a dict that counts how often it is asked."""

    def __init__(self, jobs: Mapping[str, bytes]) -> None:
        self.jobs_by_path = jobs
        self.reads: list[tuple[str, ...]] = []
        self.closed = False

    def depfile(self) -> Text:
        return Text("dependency.json", b"{}")

    def list_jobs(self) -> Sequence[str]:
        return sorted(self.jobs_by_path)

    def read_jobs(self, paths: Sequence[str]) -> Mapping[str, Text]:
        self.reads.append(tuple(paths))
        return {path: Text(f"jobs/{path}", self.jobs_by_path[path]) for path in paths}

    def read(self, path: str) -> Text:
        raise StoreError(f"there is no file {path}")

    @property
    def revision(self) -> Revision:
        return Revision("1")

    def close(self) -> None:
        self.closed = True


def test_an_option_makes_its_variable_and_key_from_its_name() -> None:
    option = Option("fs-jobs-path", help="x")
    assert (option.variable, option.key) == ("NOMAD_DTREE_FS_JOBS_PATH", "fs_jobs_path")


@pytest.mark.parametrize("name", ["", "Fs-Root", "fs_root", "-fs", "fs-", "fs--root", "1fs", "fs root", "--fs-root"])
def test_an_option_whose_name_is_not_kebab_case_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="kebab-case"):
        Option(name, help="x")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"help": ""}, "has no help"),
        ({"help": "x", "type": "int", "default": "10"}, "of type int"),
        ({"help": "x", "type": "int", "default": True}, "of type int"),
        ({"help": "x", "type": "bool", "default": 1}, "of type bool"),
        ({"help": "x", "required": True, "default": "y"}, "is required and has a default"),
    ],
)
def test_an_option_that_contradicts_itself_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Option("fs-root", **settings)


def test_a_whole_number_is_a_fine_default_of_a_float() -> None:
    assert Option("kv-wait", help="x", type="float", default=3).default == 3


def test_jobs_are_read_in_one_go() -> None:
    shelf = Shelf({"api.nomad": b"a", "nginx.hcl": b"n", "db": b"d"})
    texts = shelf.jobs(["nginx", "api", "db", "api"])
    assert {name: text.data for name, text in texts.items()} == {"api": b"a", "db": b"d", "nginx": b"n"}
    assert shelf.reads == [("api.nomad", "db", "nginx.hcl")]


@pytest.mark.parametrize("file", ["api", "api.nomad", "api.nomad.hcl", "api.hcl", "api.json", "api.nomad.j2"])
def test_every_suffix_of_a_job_file_is_known(file: str) -> None:
    shelf = Shelf({file: b"x"})
    assert shelf.find_jobs(["api"]) == ({"api": file}, ())
    assert shelf.job_names() == ("api",)


def test_a_job_whose_name_ends_like_a_suffix_keeps_it() -> None:
    assert Shelf({".nomad": b"", "api.nomad.nomad": b""}).job_names() == (".nomad", "api.nomad")


def test_a_missing_job_is_told_with_the_nearest_name_and_all_that_was_tried() -> None:
    found, faults = Shelf({"postgres.nomad": b""}).find_jobs(["postgers"])
    assert found == {}
    assert str(faults[0]) == (
        "error[job-file-missing]: job 'postgers' has no job file in the store (looked for postgers, postgers.nomad, postgers.nomad.hcl, "
        "postgers.hcl, postgers.json, postgers.nomad.j2)\n"
        "  hint: did you mean 'postgres'?"
    )


def test_a_job_with_two_files_is_told_with_both() -> None:
    with pytest.raises(DeclarationError) as caught:
        Shelf({"api": b"", "api.json": b""}).jobs(["api"])
    assert str(caught.value) == (
        "error[job-file-ambiguous]: job 'api' has more than one job file: api, api.json\n"
        "  hint: keep one, or name it with `file` in the job's entry"
    )


def test_a_file_of_its_own_is_not_looked_for_among_the_jobs() -> None:
    with pytest.raises(StoreError, match=r"there is no file x/api\.hcl"):
        Shelf({}).jobs(["api"], {"api": "x/api.hcl"})


def test_a_snapshot_closes_when_its_block_ends() -> None:
    with Shelf({}) as shelf:
        assert not shelf.closed
    assert shelf.closed


def test_a_revision_reads_as_its_label_or_else_its_id() -> None:
    assert (str(Revision("sha256:1")), str(Revision("sha256:1", "v1"))) == ("sha256:1", "v1")
