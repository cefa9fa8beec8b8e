"""Kinds of values that are made of others: lists, maps, records, and choices between kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from dtree.depfile.kinds import LONGEST_WORD, Findings, Kind, Name, Schema, Shelf, check, label
from dtree.document import Path, Value, quote
from dtree.errors import did_you_mean


@dataclass(frozen=True)
class Key:
    """A key of a record.

    Attributes:
        help: one sentence, for the schema and the reference.
    """

    kind: Kind
    help: str
    is_required: bool = False


@dataclass(frozen=True)
class Record:
    """A map with known keys.

    Attributes:
        owner: whose keys they are, after "is not a key of".
        keys: by name, in the order of the reference.
        misplaced: hint for a key that belongs elsewhere.
        stray: hint for an unknown key that holds a map.
        takes: also NoneType where null stands for a record without keys, as an empty YAML value does.
        synonyms: two names of one key.
    """

    owner: str
    keys: Mapping[str, Key]
    noun: str = "a map"
    hint: str = ""
    misplaced: Mapping[str, str] = field(default_factory=dict)
    stray: str = ""
    takes: frozenset[type] = frozenset({dict})
    synonyms: tuple[str, ...] = ()

    def read(self, value: Value, at: Path, findings: Findings) -> Value:
        """Return the keys that there are."""
        result = {}
        given = value or {}
        for name, part in given.items():
            key = self.keys.get(name)
            if key is None:
                self._refuse(name, part, (*at, name), findings)
            else:
                result[name] = check(key.kind, part, (*at, name), findings)
        for name, key in self.keys.items():
            if key.is_required and name not in given:
                findings.add("missing-key", at, f"{self.owner} needs the key '{name}'", f"add '{name}'")
        if self.synonyms and all(name in given for name in self.synonyms):
            both = " and ".join(f"'{name}'" for name in self.synonyms)
            findings.add("duplicate-key", (*at, self.synonyms[-1]), f"{both} are two names of one key", "keep one of them", of_key=True)
        return result

    def schema(self, shelf: Shelf) -> Schema:
        """Allow these keys, and no others."""
        properties = {name: {"description": key.help, **key.kind.schema(shelf)} for name, key in self.keys.items()}
        result: Schema = {"type": ["object", "null"] if type(None) in self.takes else "object", "properties": properties}
        required = [name for name, key in self.keys.items() if key.is_required]
        if self.synonyms:
            result["not"] = {"required": list(self.synonyms)}
        return result | ({"required": required} if required else {}) | {"additionalProperties": False}

    def _refuse(self, name: str, part: object, at: Path, findings: Findings) -> None:
        hint = self.misplaced.get(name) or did_you_mean(name[:LONGEST_WORD], list(self.keys))
        if not hint and isinstance(part, dict):
            hint = self.stray
        hint = hint or f"its keys are {', '.join(self.keys)}"
        findings.add("unknown-key", at, f"{quote(name)} is not a key of {self.owner}", hint, of_key=True)


@dataclass(frozen=True)
class MapOf:
    """A map from free keys to values of one kind."""

    item: Kind
    noun: str = "a map"
    hint: str = ""
    names: Name = field(kw_only=True)
    minimum: int = 0
    takes: frozenset[type] = field(default=frozenset({dict}), init=False)

    def read(self, value: Value, at: Path, findings: Findings) -> Value:
        """Return the values by key, those with a bad name left out."""
        if len(value) < self.minimum:
            findings.add("bad-value", at, f"{label(at)} is an empty map", f"it takes at least {self.minimum}")
        result = {}
        for name, part in value.items():
            read = check(self.item, part, (*at, name), findings)
            if self.names.read_key(name, (*at, name), findings, of_key=True):
                result[name] = read
        return result

    def schema(self, shelf: Shelf) -> Schema:
        """Allow any key that is a name."""
        result: Schema = {"type": "object", "additionalProperties": self.item.schema(shelf), "propertyNames": self.names.schema(shelf)}
        return result | ({"minProperties": self.minimum} if self.minimum else {})


@dataclass(frozen=True)
class ListOf:
    """A list of values of one kind.

    Attributes:
        is_distinct: the schema refuses equal values; the parser leaves them to a check of their meaning.
    """

    item: Kind
    noun: str = "a list"
    hint: str = ""
    minimum: int = 0
    is_distinct: bool = False
    takes: frozenset[type] = field(default=frozenset({list}), init=False)

    def read(self, value: Value, at: Path, findings: Findings) -> Value:
        """Return the values; None in place of each that is wrong."""
        if len(value) < self.minimum:
            findings.add("bad-value", at, f"{label(at)} is an empty list", f"it takes at least {self.minimum}")
        return [check(self.item, part, (*at, index), findings) for index, part in enumerate(value)]

    def schema(self, shelf: Shelf) -> Schema:
        """Allow such a list."""
        result: Schema = {"type": "array", "items": self.item.schema(shelf)}
        return result | ({"minItems": self.minimum} if self.minimum else {}) | ({"uniqueItems": True} if self.is_distinct else {})


class OneOf:
    """Kinds that a value's type tells apart; of two that take a type, the first is meant."""

    def __init__(self, noun: str, *kinds: Kind, hint: str = "") -> None:
        self.noun = noun
        self.hint = hint
        self._kinds = kinds
        self._by_type = {type_: kind for kind in reversed(kinds) for type_ in kind.takes}
        self.takes = frozenset(self._by_type)

    def read(self, value: Value, at: Path, findings: Findings) -> Value:
        """Read it as the kind that takes its type."""
        return self._by_type[type(value)].read(value, at, findings)

    def schema(self, shelf: Shelf) -> Schema:
        """Allow any of them."""
        return {"anyOf": [kind.schema(shelf) for kind in self._kinds]}


class Forms:
    """Records that are told apart by their first required key, of which a value must have exactly one."""

    def __init__(self, noun: str, forms: Mapping[str, Record], *, code: str, several: str) -> None:
        """Take the records by that key, the code of a value without one, and the hint for a value with several."""
        self.noun = noun
        self.hint = ""
        self.takes = frozenset({dict})
        self._forms = forms
        self._code = code
        self._several = several

    def read(self, value: Value, at: Path, findings: Findings) -> Value:
        """Return the keys of the form that the value has."""
        named = [key for key in self._forms if key in value]
        if len(named) == 1:
            return self._forms[named[0]].read(value, at, findings)
        if named:
            findings.add("bad-value", at, f"{label(at)} has {' and '.join(named)} at once", self._several)
            return None
        guesses = (did_you_mean(key[:LONGEST_WORD], list(self._forms)) for key in value)
        hint = next((guess for guess in guesses if guess), f"it has one of the keys {', '.join(self._forms)}")
        findings.add(self._code, at, f"{label(at)} is a map, but not {self.noun}", hint)
        return None

    def schema(self, shelf: Shelf) -> Schema:
        """Allow any of the forms."""
        return {"anyOf": [form.schema(shelf) for form in self._forms.values()]}


class RecordOrMap:
    """A record; or, where all its values are maps, a map of free keys."""

    def __init__(self, record: Record, free: MapOf) -> None:
        self.noun = record.noun
        self.hint = record.hint
        self.takes = frozenset({dict})
        self._record = record
        self._free = free

    def read(self, value: Value, at: Path, findings: Findings) -> Value:
        """Return the record as a map, or the map as a tuple of pairs, with None beside a bad name."""
        if not self._is_free(value):
            return self._record.read(value, at, findings)
        read = self._free.read(value, at, findings)
        return tuple((name, read.get(name)) for name in value)

    def schema(self, shelf: Shelf) -> Schema:
        """Allow either."""
        return {"anyOf": [self._record.schema(shelf), {"description": "The map form.", **self._free.schema(shelf)}]}

    def _is_free(self, value: Mapping[str, Value]) -> bool:
        """Whether the map form is meant: all values are maps, or were forgotten where no key is one of the record."""
        forgotten = any(part is None for part in value.values()) and not any(key in self._record.keys for key in value)
        return bool(value) and all(isinstance(part, dict) or (part is None and forgotten) for part in value.values())


class Shared:
    """A kind under a name of its own in the schema, made on first use, so that it may hold itself."""

    def __init__(self, name: str, make: Callable[[], Kind]) -> None:
        self._name = name
        self._make = make

    @cached_property
    def _kind(self) -> Kind:
        return self._make()

    @property
    def noun(self) -> str:
        """As the kind itself."""
        return self._kind.noun

    @property
    def hint(self) -> str:
        """As the kind itself."""
        return self._kind.hint

    @property
    def takes(self) -> frozenset[type]:
        """As the kind itself."""
        return self._kind.takes

    def read(self, value: Value, at: Path, findings: Findings) -> Value:
        """Read it as the kind itself."""
        return self._kind.read(value, at, findings)

    def schema(self, shelf: Shelf) -> Schema:
        """Refer to the kind's schema on the shelf."""
        if self._name not in shelf:
            shelf[self._name] = {}
            shelf[self._name] = self._kind.schema(shelf)
        return {"$ref": f"#/$defs/{self._name}"}
