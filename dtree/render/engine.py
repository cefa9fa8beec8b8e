"""Templates in Jinja2, with `[[ ]]`, `[% %]` and `[# #]`: from text and values to text. Pure.

It runs in a process of its own (`dtree.render.child`), so that a template that computes for ever ends nothing but that. Whatever a template
asks for beyond its variables (a file, a key in Consul, a version) comes through one function, `ask`, that is handed in.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import jinja2
from jinja2 import nodes
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from dtree.render import Unanswered
from dtree.render.faults import NoFile, fault_of
from dtree.render.filters import FILTERS, show
from dtree.render.messages import TemplateFault
from dtree.render.objects import BUILT_IN, Ask, Environ, Function, NoEnvironment, Undefined, Versions, unanswered

MAX_OUTPUT: Final = 16 * 1024 * 1024
"""Characters of one rendered job file."""

_RETURN: Final = "\ufdd0"
"""Stands for a carriage return while a template is worked on; no text has it."""

_TAGS: Final = re.compile(r"(\[\[.*?\]\]|\[%.*?%\]|\[#.*?#\])", re.DOTALL)

_LEFT_OUT_FILTERS: Final = ("random",)
_LEFT_OUT_GLOBALS: Final = ("lipsum",)
"""Chance: the same state has to give the same text."""


class TemplateError(Exception):
    """A template that cannot be rendered."""

    def __init__(self, fault: TemplateFault) -> None:
        super().__init__(fault.problem)
        self.fault = fault


class Engine:
    """Renders templates.

    Args:
        ask: answers what a template asks for: `("file", path)` gives (the name of the file for people, its text), everything else a value.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._environment = _Environment(ask)

    def render(self, name: str, file: str, source: str, values: Mapping[str, Any]) -> str:
        """Render the job file of `name`.

        Args:
            file: the file's name, for errors.

        Raises:
            TemplateError: it has a fault; tells the first one.
        """
        environment = self._environment
        environment.begin(name, file, source)
        try:
            template = environment.get_template(_main(name))
            return "".join(_limited(template.generate({_JOB: name, **values}))).replace(_RETURN, "\r")
        except Exception as error:  # noqa: BLE001 - filters raise whatever they like when they are given nonsense
            raise TemplateError(fault_of(error, self._place_of(error, file), values, environment)) from None

    def warm_up(self) -> None:
        """Load what is else loaded late: codecs, and what puts an error's trace together. Afterwards no file can be opened."""
        everything = (
            "[[ 'a' ~ {'b': [1]} | yaml ]][[ 'c' | json | b64 | sha256 | hcl | indent ]]"
            "[[ ['d'] | pprint ]][[ '<b>' | striptags ]][[ 'e f' | wordwrap(1) ]][[ 'g' | urlize ]][[ 'h' | urlencode ]]"
        )
        for number, source in enumerate((everything, "\n[[ d ]]", "[% for %]", "[[ ''.__e__ ]]")):
            with suppress(TemplateError):
                self.render(str(number), "", source, {})

    def files(self) -> tuple[str, ...]:
        """Return the paths of what the job file rendered last includes or imports, sorted."""
        return tuple(sorted(name for name in self._environment.touched if not name.startswith(_MAIN)))

    def used(self) -> frozenset[str]:
        """Return the names that the job file rendered last, and what it includes, read anywhere; some of them may be its own."""
        environment = self._environment
        return frozenset().union(*(environment.names_in(name) for name in environment.touched))

    def own(self) -> frozenset[str]:
        """Return those of the names of `used` that are no variables: the template gives them a value itself, or Jinja does."""
        environment = self._environment
        given = frozenset(_OF_JINJA).union(environment.globals, *(environment.own_in(name) for name in environment.touched))
        return given & self.used()

    def _place_of(self, error: Exception, file: str) -> tuple[str, int, str]:
        """Return file, line and text of the template that was being rendered, which may be an included one."""
        texts = self._environment.texts
        if isinstance(error, jinja2.TemplateSyntaxError):
            where = error.filename or file
            return where, error.lineno, texts.get(where, "")
        where, line = file, 1
        trace = error.__traceback__
        while trace is not None:
            if (name := trace.tb_frame.f_code.co_filename) in texts:
                where, line = name, trace.tb_lineno
            trace = trace.tb_next
        return where, line, texts.get(where, "")


_OF_JINJA: Final = ("caller", "kwargs", "loop", "self", "super", "varargs")
"""Names that it gives a value in loops, macros and blocks; its functions are globals."""

_MAIN: Final = "job\0"

_JOB: Final = " job"
"""Key of the context that holds the name of the job: no template can write such a name."""


class _Context(jinja2.runtime.Context):
    """Values of a template; what every template has is asked for when a template reads it, and fails where that is used."""

    def resolve_or_missing(self, key: str) -> Any:  # noqa: ANN401 - jinja2's
        value = super().resolve_or_missing(key)
        if key not in BUILT_IN:
            return value
        ask: Ask = self.environment.ask  # type: ignore[attr-defined] # it is a _Environment
        if key == "env":
            return Environ(value, ask) if isinstance(value, str) else NoEnvironment(ask) if value is missing else value
        if value is not missing:
            return value
        if key == "versions":
            return Versions(ask)
        try:
            return ask("version", super().resolve_or_missing(_JOB)) if key == "version" else ask("built-in", key)
        except Unanswered as error:
            return unanswered(key, error)


class _Parser(Parser):
    """Jinja's parser, which notes the names that are read, and lets imported macros see the variables that everything else sees.

    Noting them here costs next to nothing; looking for them in the finished tree took as long as parsing.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.names: set[str] = set()
        self.own: set[str] = set()

    def parse_assign_target(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as Jinja's
        target = super().parse_assign_target(*arguments, **options)
        self.own.update(node.name for node in (target, *target.find_all(nodes.Name)) if isinstance(node, nodes.Name))
        return target

    def parse_primary(self, *arguments: Any, **options: Any) -> nodes.Expr:
        node = super().parse_primary(*arguments, **options)
        if isinstance(node, nodes.Name):
            self.names.add(node.name)
        return node

    def parse_import(self) -> nodes.Import:
        node = super().parse_import()
        node.with_context = True
        return node

    def parse_from(self) -> nodes.FromImport:
        node = super().parse_from()
        node.with_context = True
        return node


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with our delimiters, and with includes, imports and macros from the store.

    Attributes:
        touched: names of the templates that the job file at hand takes part of, itself among them.
    """

    context_class = _Context

    def __init__(self, ask: Ask) -> None:
        super().__init__(
            block_start_string="[%",
            block_end_string="%]",
            variable_start_string="[[",
            variable_end_string="]]",
            comment_start_string="[#",
            comment_end_string="#]",
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            undefined=Undefined,
            finalize=_finalize,
            loader=jinja2.FunctionLoader(self._read),
            cache_size=-1,
            auto_reload=False,
        )
        self.ask = ask
        self.touched: set[str] = set()
        self._job = ""
        self._files: dict[str, tuple[str, str]] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._own: dict[str, frozenset[str]] = {}
        for name in _LEFT_OUT_FILTERS:
            del self.filters[name]
        for name in _LEFT_OUT_GLOBALS:
            del self.globals[name]
        self.filters.update({name: _defined(function) for name, function in FILTERS.items()})
        self.globals.update(
            file=Function("file", 1, ask),
            consul_key=Function("consul_key", 1, ask, "consul"),
            nomad_var=Function("nomad_var", 2, ask, "nomad"),
        )

    def begin(self, job: str, file: str, source: str) -> None:
        """Take the job file that is rendered next, and let go of the last one, which nobody asks for again."""
        for name in (self._job, _main(job)):
            self._files.pop(name, None)
            templates: Any = self.cache
            templates.pop((weakref.ref(self.loader), name), None)
        self._job = _main(job)
        self.touched = set()
        self._files[_main(job)] = file, source

    @property
    def texts(self) -> dict[str, str]:
        """The text of each template at hand, by the name of its file."""
        return dict(self._files[name] for name in self.touched if name in self._files)

    def names_in(self, template: str) -> frozenset[str]:
        """Return the names that a template reads anywhere; some of them may be its own."""
        return self._names.get(template, frozenset())

    def own_in(self, template: str) -> frozenset[str]:
        """Return the names that a template gives a value itself."""
        return self._own.get(template, frozenset())

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ANN401 - jinja2's
        # `versions.api` is an item; what a mapping of ours has beside that is none of a template's business.
        return not isinstance(obj, Function | Versions) and super().is_safe_attribute(obj, attr, value)

    def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 - jinja2's
        # A job may be called as a method of a map is.
        return obj[attribute] if isinstance(obj, Versions) else super().getattr(obj, attribute)

    def _load_template(self, name: str, globals: Any) -> Any:  # noqa: A002, ANN401 - jinja2's
        self.touched.add(name)
        return super()._load_template(name, globals)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parser = _Parser(self, source, name, filename)
        tree = parser.parse()
        self._names[name or ""] = frozenset(parser.names)
        self._own[name or ""] = frozenset(parser.own)
        return tree

    def _read(self, name: str) -> tuple[str, str, None]:
        if name not in self._files:
            try:
                file, source = self.ask("file", name)
            except Unanswered as error:
                if error.code == "store-file-missing":
                    raise NoFile(name, error) from error  # which `ignore missing` and lists of names wait for
                raise
            self._files[name] = file, source
        file, source = self._files[name]
        return _mark_returns(source), file, None


def _mark_returns(source: str) -> str:
    """Keep each carriage return of the text, which jinja2 makes one of its newlines; one behind a statement goes with its newline."""
    if "\r" not in source:
        return source
    parts = _TAGS.split(source)
    for number in range(0, len(parts), 2):
        text, before = parts[number], parts[number - 1] if number else ""
        ended = text.startswith("\r\n") and before.startswith(("[%", "[#"))
        parts[number] = ("\n" if ended else "") + text[2 * ended :].replace("\r", _RETURN)
    return "".join(parts)


def _finalize(value: Any) -> Any:  # noqa: ANN401 - a template's value
    return value if isinstance(value, jinja2.Undefined) else show(value)


def _defined(function: Callable[..., str]) -> Callable[..., str]:
    """Have a filter of ours refuse a name without a value, as Jinja's own do."""

    def refusing(value: Any, *arguments: Any) -> str:  # noqa: ANN401 - as the filter
        if isinstance(value, jinja2.Undefined):
            str(value)  # raises
        return function(value, *arguments)

    return refusing


def _main(job: str) -> str:
    """Name of a job's own template: no path that a store takes."""
    return _MAIN + job


def _limited(parts: Iterable[str]) -> Iterator[str]:
    size = 0
    for part in parts:
        size += len(part)
        if size > MAX_OUTPUT:
            raise Unanswered(
                "template-too-large", f"what it gives is longer than {MAX_OUTPUT // 1024**2} MiB", "is there a loop without an end?"
            )
        yield part
