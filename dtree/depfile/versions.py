"""The kinds of value that `version` takes: text, or a map that names one source."""

from __future__ import annotations

from typing import Final

from dtree.depfile.kinds import Findings, Schema, Shelf, label, whole
from dtree.depfile.shapes import Forms, Key, OneOf, Record
from dtree.document import Path, Value
from dtree.version_text import GIT_FORMS, MAX_LENGTH, BadVersion, Kind, parse_version, pattern_of

__all__ = ["VERSION"]

_SOURCES: Final[tuple[Kind, ...]] = ("git", "env", "consul", "file")


class _Version:
    """A version; of a source's map what stands after its prefix, which it is read back with."""

    noun: Final = "text such as 1.4.2 or git:short"
    hint: Final = 'put it in quotes: version: "1.10"'
    takes: Final[frozenset[type]] = frozenset({str})

    def __init__(self, source: Kind | None = None) -> None:
        self.source = source

    def read(self, value: Value, at: Path, findings: Findings) -> Value:
        """Return it, after taking it apart."""
        text = f"{self.source}:{value}" if self.source else value
        try:
            parse_version(text)
        except BadVersion as error:
            findings.add("bad-version", at, f"{label(at)}: {error.problem}", error.hint)
            return None
        return value

    def schema(self, _shelf: Shelf) -> Schema:
        """Allow what can be taken apart."""
        if self.source:
            return {"type": "string", "pattern": whole(pattern_of(self.source)), "maxLength": MAX_LENGTH - len(self.source) - 1}
        forms = [pattern_of("literal"), *(f"{one}:(?:{pattern_of(one)})" for one in _SOURCES)]
        return {"type": "string", "pattern": whole("|".join(f"(?:{form})" for form in forms)), "maxLength": MAX_LENGTH}


_HELP: Final = {
    "git": f"One of {', '.join(GIT_FORMS)}: of the commit that the store was read at, or with :PATH of a repository on this machine.",
    "env": "Name of an environment variable.",
    "consul": "A key of Consul.",
    "file": "A file of the store.",
}

VERSION: Final = OneOf(
    "text, or a map such as {git: short}",
    _Version(),
    Forms(
        "a source of a version",
        {name: Record(f"'{name}' as a version", {name: Key(_Version(name), _HELP[name], is_required=True)}) for name in _SOURCES},
        code="bad-version",
        several="keep one of them",
    ),
    hint='put it in quotes: version: "1.10"',
)
