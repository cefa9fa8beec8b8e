"""The interface that other people's stores are written against changes on purpose only.

store_interface.txt has one line for each thing that a plugin can see. `DTREE_WRITE_GOLDEN=1 pytest tests/unit/test_store_interface.py`
writes it anew, but not where a line would go or change under the same STORE_API: a plugin that was written for it might break.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import ModuleType

import pytest

from dtree import store, testing
from dtree.store_loader import GROUP

GOLDEN = Path(__file__).parent / "store_interface.txt"
PUBLIC = {store: [*store.__all__, "OptionType"], testing: ["DEPFILE", "FILES", "StoreContract", "WritableStoreContract"]}


def surface() -> str:
    """Write the interface down, one line for each thing."""
    lines = [f"STORE_API = {store.STORE_API}", f"entry points: {GROUP}"]
    for module, names in PUBLIC.items():
        for name in sorted(names):
            lines.extend(_lines(module, name))
    return "\n".join(lines) + "\n"


def _lines(module: ModuleType, name: str) -> Iterator[str]:
    value = getattr(module, name)
    full = f"{module.__name__}.{name}"
    if not isinstance(value, type):
        yield f"{full} = {value!r}"
        return
    bases = ", ".join(base.__name__ for base in value.__bases__)
    yield f"{full}({bases})"
    if is_dataclass(value):
        yield from (f"{full}.{_field(field)}" for field in fields(value))
    else:
        yield from (f"{full}.{attribute}: {kind}{_default(value, attribute)}" for attribute, kind in inspect.get_annotations(value).items())
        yield from _member(f"{full}.__init__", inspect.getattr_static(value, "__init__"))
    for member, what in sorted(vars(value).items()):
        if not member.startswith("_") and member not in inspect.get_annotations(value):
            yield from _member(f"{full}.{member}", what)


def _field(field: Field[object]) -> str:
    if field.default is not MISSING:
        return f"{field.name}: {field.type} = {field.default!r}"
    if field.default_factory is not MISSING:
        return f"{field.name}: {field.type} = {field.default_factory()!r}"
    return f"{field.name}: {field.type}, required"


def _default(value: type, attribute: str) -> str:
    return f" = {vars(value)[attribute]!r}" if attribute in vars(value) else ", required"


def _member(full: str, what: object) -> Iterator[str]:
    abstract = ", required" if getattr(what, "__isabstractmethod__", False) else ""
    if isinstance(what, property):
        yield f"{full} -> {inspect.signature(what.fget).return_annotation if what.fget else None}{abstract}"
    elif inspect.isfunction(what):
        yield f"{full}{str(inspect.signature(what)).replace(chr(39), '')}{abstract}"
    elif isinstance(what, str):
        yield f"{full} = {what!r}"


def complaint(pinned: str, now: str) -> str:
    """Say what is wrong with the interface as it is now, "" for nothing."""
    before, after = pinned.splitlines(), now.splitlines()
    if before == after:
        return ""
    gone = [line for line in before if line not in after]
    added = [line for line in after if line not in before]
    if before[:1] != after[:1]:
        return f"STORE_API was raised: write {GOLDEN.name} anew, and the change log\n"
    # Of a class that is new all of it may be required.
    known = {line.partition("(")[0] for line in before}
    asked = [line for line in added if line.endswith(", required") and line.partition("(")[0].rpartition(".")[0] in known]
    if gone or asked:
        return "what plugins were written for has changed: raise STORE_API, or undo it\n" + "\n".join([*gone, *asked])
    return f"if a plugin that knows nothing of this still works, write {GOLDEN.name} anew; else raise STORE_API\n" + "\n".join(added)


def test_the_interface_of_stores_is_the_one_that_is_pinned() -> None:
    said = complaint(GOLDEN.read_text(), surface())
    if os.environ.get("DTREE_WRITE_GOLDEN") and "what plugins were written for" not in said:
        GOLDEN.write_text(surface())
        said = ""
    assert not said, said


def test_the_version_stands_first_and_everything_public_is_pinned() -> None:
    pinned = GOLDEN.read_text().splitlines()
    assert pinned[:2] == ["STORE_API = 1", "entry points: dtree.stores"]
    for module, names in PUBLIC.items():
        assert all(any(line.startswith(f"{module.__name__}.{name}") for line in pinned) for name in names)


PINNED = "STORE_API = 1\ndtree.store.Snapshot(ABC)\ndtree.store.Snapshot.depfile(self) -> Text, required\n"


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (PINNED, ""),
        (PINNED + "dtree.store.Snapshot.age(self) -> int\n", "write store_interface.txt anew; else raise STORE_API"),
        (
            PINNED + "dtree.store.Other(ABC)\ndtree.store.Other.name: str, required\n",
            "write store_interface.txt anew; else raise STORE_API",
        ),
        (PINNED + "dtree.store.Snapshot.age(self) -> int, required\n", "raise STORE_API, or undo it"),
        (PINNED + "dtree.store.Snapshot.age: int, required\n", "raise STORE_API, or undo it"),
        (PINNED.replace("Text", "bytes"), "raise STORE_API, or undo it"),
        ("STORE_API = 1\n", "raise STORE_API, or undo it"),
        (PINNED.replace("= 1", "= 2").replace("Text", "bytes"), "STORE_API was raised: write store_interface.txt anew"),
    ],
)
def test_a_change_says_whether_the_version_has_to_be_raised(now: str, says: str) -> None:
    assert says in complaint(PINNED, now)
    assert bool(complaint(PINNED, now)) is bool(says)
