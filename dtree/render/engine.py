"""Templates in Jinja2, with `[[ ]]`, `[% %]` and `[# #]`: from text and values to text. The only importer of jinja2. Pure.

It runs in a process of its own (`dtree.render.child`), so that a template that computes for ever ends nothing but that. Whatever a template
asks for beyond its variables (a file, a key in Consul, a version) comes through one function, `ask`, that is handed in.
"""

from __future__ import annotations

import difflib
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import jinja2
from jinja2 import nodes
from jinja2.environment import TemplateModule
from jinja2.exceptions import SecurityError
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from dtree.render import Unanswered
from dtree.render.filters import FILTERS, show
from dtree.render.messages import TemplateFault

MAX_OUTPUT: Final = 16 * 1024 * 1024
"""Characters of one rendered job file."""

_RETURN: Final = "\ufdd0"
"""Stands for a carriage return while a template is worked on; no text has it."""

_TAGS: Final = re.compile(r"(\[\[.*?\]\]|\[%.*?%\]|\[#.*?#\])", re.DOTALL)

_LEFT_OUT_FILTERS: Final = ("random",)
_LEFT_OUT_GLOBALS: Final = ("lipsum",)
"""Chance: the same state has to give the same text."""

BUILT_IN: Final = ("version", "versions", "ref", "commit", "commit_date", "env")
"""Names that every template has, without anybody giving them a value."""

Ask = Callable[..., Any]
"""`ask(kind, *arguments)`: the answer; raises Unanswered."""


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
            raise TemplateError(self._fault_of(error, file, values)) from None

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

    def _fault_of(self, error: Exception, file: str, values: Mapping[str, Any]) -> TemplateFault:
        """Say what is wrong and where: in the template that was being rendered, which may be an included one."""
        where, line, source = self._place_of(error, file)
        match error:
            case jinja2.TemplateSyntaxError():
                problem, hint = self._reword(error.message or "wrong syntax")
                return TemplateFault("bad-template", problem, where, line, 0, hint)
            case _Missing():
                names = sorted({*values, *BUILT_IN}) if error.is_variable else error.known
                near = difflib.get_close_matches(error.name[:_LONGEST_NAME], names, n=1)
                meant = f"did you mean '{near[0]}'?" if near else ""
                hint = f"{meant} or {error.hint}" if meant and error.hint else meant or error.hint
                return TemplateFault("undefined-name", error.problem, where, line, _column(source, line, error.name), hint)
            case _:
                told = _explain(error)
                return TemplateFault(told.code, told.problem, where, line, 0, told.hint)

    def _reword(self, message: str) -> tuple[str, str]:
        """Say what the parser says in words that speak of our delimiters, with what to do."""
        if found := re.search(r"unexpected end of template\. .* closed is '(\w+)'", message, re.IGNORECASE):
            return f"the block '{found[1]}' is not closed", f"write [% end{found[1]} %] where it ends"
        if found := re.search(r"unknown tag '(\w+)'\. .* closed is '(\w+)'", message):
            return f"'{found[1]}' stands within the block '{found[2]}', which is not closed", f"write [% end{found[2]} %] before it"
        if found := re.search(r"No (filter|test) named '([^']*)'", message):
            known = self._environment.filters if found[1] == "filter" else self._environment.tests
            near = difflib.get_close_matches(found[2], sorted(known), n=1)
            return f"there is no {found[1]} '{found[2]}'", f"did you mean '{near[0]}'?" if near else ""
        message = re.sub(r"'end of print statement'", "']]'", re.sub(r"'end of statement block'", "'%]'", message))
        return _sentence(re.sub(r" at \d+$", "", message)), ""

    def _place_of(self, error: Exception, file: str) -> tuple[str, int, str]:
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


_MAIN: Final = "job\0"

_LONGEST_NAME: Final = 100

_JOB: Final = " job"
"""Key of the context that holds the name of the job: no template can write such a name."""


_HINT: Final = (
    "give it one: `vars` in the dependency file, --var-file, or --var {}=VALUE; "
    "where the brackets are the job's own, `template: false` in its entry passes the file as it is"
)


class _Missing(jinja2.UndefinedError):
    """A name without a value.

    Attributes:
        known: where it is a part of something, the parts there are.
    """

    def __init__(self, name: str, owner: Any, told: str) -> None:  # noqa: ANN401 - a template's value
        exported = re.search(r"the template (.*) \(imported", told)
        self.name = name
        self.is_variable = owner is missing and exported is None
        self.known = (
            sorted(filter(_is_public, map(str, vars(owner) if isinstance(owner, TemplateModule) else owner))) if _has_parts(owner) else []
        )
        self.problem = f"'{name}' has no value" if self.is_variable else f"there is no '{name}' in this {_kind(owner)}"
        if exported is not None:
            self.problem = f"{exported[1]} has no '{name}' to import"
        self.hint = _HINT.format(name) if self.is_variable else ""
        super().__init__(self.problem)


class _NoFile(jinja2.TemplateNotFound):
    """A file that the store does not have."""

    def __init__(self, name: str, why: Unanswered) -> None:
        super().__init__(name)
        self.why = why


class _Undefined(jinja2.StrictUndefined):
    """A name without a value: an error as soon as it is used, unless a template asks first whether it is defined."""

    def __init__(self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = None) -> None:  # noqa: ANN401 - jinja2's
        raised = (
            exc if isinstance(exc, partial) else partial(_forbidden if exc is SecurityError else _missing, str(name or ""), obj, hint or "")
        )
        super().__init__(hint, obj, name, raised)  # type: ignore[arg-type] # it is called as a class is


class _NoEnvironment(_Undefined):
    """`env` where no environment is chosen: no text, but still the function."""

    unsafe_callable = alters_data = False
    jinja_pass_arg = None  # jinja2 asks for these three before it calls

    def __init__(self, ask: Ask) -> None:
        fault = Unanswered(
            "undefined-name", "'env' has no value: no environment is chosen", "choose one with --env or NOMAD_DTREE_ENV, or --var env=NAME"
        )
        super().__init__(name="env", exc=partial(_unanswered, fault))
        self.__dict__["_ask"] = ask

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401 - a template's values
        return _Function("env", 1, self.__dict__["_ask"])(*arguments)


class _Environ(str):  # noqa: SLOT000 - text cannot have slots of its own
    """`[[ env ]]`, the name of the environment in use, and `[[ env("NAME") ]]`, a variable of the process."""

    def __new__(cls, chosen: str, ask: Ask) -> _Environ:  # noqa: PYI034 - typing.Self says no more
        made = super().__new__(cls, chosen)
        made.__dict__["_ask"] = ask
        return made

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401 - a template's values
        return _Function("env", 1, self.__dict__["_ask"])(*arguments)


class _Function:
    """A function for templates, which asks; named, so that forgetting to call it can be told."""

    def __init__(self, name: str, count: int, ask: Ask, kind: str = "") -> None:
        self.name = name
        self._count, self._ask, self._kind = count, ask, kind or name

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401 - a template's values
        if len(arguments) != self._count or not all(isinstance(one, str) for one in arguments):
            wanted = "one text" if self._count == 1 else f"{self._count} texts"
            raise Unanswered("bad-template", f"{self.name}(…) takes {wanted} in its brackets", "see docs/reference/templates.md")
        answer = self._ask(self._kind, *map(str, arguments))
        return answer[1] if self._kind == "file" else answer


class _Versions(Mapping[str, Any]):
    """`versions.api`: the version of any job, asked for when it is used."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def __getitem__(self, job: str) -> Any:  # noqa: ANN401 - a text, or what fails where it is used
        try:
            return str(self._ask("version", str(job)))
        except Unanswered as error:
            return _Undefined(name=str(job), exc=partial(_unanswered, error))

    def __contains__(self, job: object) -> bool:
        return job in self._ask("versions")

    def __iter__(self) -> Iterator[str]:
        return iter(self._ask("versions"))

    def __len__(self) -> int:
        return len(self._ask("versions"))


class _Context(jinja2.runtime.Context):
    """Values of a template; what every template has is asked for when a template reads it, and fails where that is used."""

    def resolve_or_missing(self, key: str) -> Any:  # noqa: ANN401 - jinja2's
        value = super().resolve_or_missing(key)
        if key not in BUILT_IN:
            return value
        ask: Ask = self.environment.ask  # type: ignore[attr-defined] # it is a _Environment
        if key == "env":
            return _Environ(value, ask) if isinstance(value, str) else _NoEnvironment(ask) if value is missing else value
        if value is not missing:
            return value
        if key == "versions":
            return _Versions(ask)
        try:
            return ask("version", super().resolve_or_missing(_JOB)) if key == "version" else ask("built-in", key)
        except Unanswered as error:
            return _Undefined(name=key, exc=partial(_unanswered, error))


class _Parser(Parser):
    """Jinja's parser, which notes the names that are read, and lets imported macros see the variables that everything else sees.

    Noting them here costs next to nothing; looking for them in the finished tree took as long as parsing.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.names: set[str] = set()

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
            undefined=_Undefined,
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
        for name in _LEFT_OUT_FILTERS:
            del self.filters[name]
        for name in _LEFT_OUT_GLOBALS:
            del self.globals[name]
        self.filters.update({name: _defined(function) for name, function in FILTERS.items()})
        self.globals.update(
            file=_Function("file", 1, ask),
            consul_key=_Function("consul_key", 1, ask, "consul"),
            nomad_var=_Function("nomad_var", 2, ask, "nomad"),
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

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ANN401 - jinja2's
        # `versions.api` is an item; what a mapping of ours has beside that is none of a template's business.
        return not isinstance(obj, _Function | _Versions) and super().is_safe_attribute(obj, attr, value)

    def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 - jinja2's
        # A job may be called as a method of a map is.
        return obj[attribute] if isinstance(obj, _Versions) else super().getattr(obj, attribute)

    def _load_template(self, name: str, globals: Any) -> Any:  # noqa: A002, ANN401 - jinja2's
        self.touched.add(name)
        return super()._load_template(name, globals)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parser = _Parser(self, source, name, filename)
        tree = parser.parse()
        self._names[name or ""] = frozenset(parser.names)
        return tree

    def _read(self, name: str) -> tuple[str, str, None]:
        if name not in self._files:
            try:
                file, source = self.ask("file", name)
            except Unanswered as error:
                if error.code == "store-file-missing":
                    raise _NoFile(name, error) from error  # which `ignore missing` and lists of names wait for
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


def _explain(error: Exception) -> Unanswered:
    """Say what went wrong in a library, or in a filter."""
    match error:
        case Unanswered() | _NoFile():
            return error if isinstance(error, Unanswered) else error.why
        case jinja2.TemplatesNotFound():
            return Unanswered("store-file-missing", f"the store has none of {', '.join(map(repr, error.templates))}")
        case OSError() | ImportError():
            return Unanswered("template-forbidden", "it uses something that would have to be loaded from a file", "templates open none")
        case SecurityError():
            return Unanswered("template-forbidden", _sentence(str(error)), "templates only put text together")
        case RecursionError():
            return Unanswered("bad-template", "it includes or calls itself without an end")
        case MemoryError():
            return Unanswered("template-too-large", "it takes more memory than a template may")
        case OverflowError():
            return Unanswered("template-too-large", _sentence(str(error).partition(". ")[0]))
        case _:
            # jinja2 writes constants into code, where `inf` and `nan` are names.
            infinite = isinstance(error, NameError)
            return Unanswered("bad-template", "a number is not finite" if infinite else _sentence(str(error) or type(error).__name__))


def _main(job: str) -> str:
    """Name of a job's own template: no path that a store takes."""
    return _MAIN + job


def _has_parts(owner: object) -> bool:
    return type(owner) is dict or isinstance(owner, TemplateModule)


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _missing(name: str, owner: Any, told: str, message: str | None = None) -> _Missing:  # noqa: ANN401, ARG001 - called with jinja2's words
    return _Missing(name, owner, told)


def _forbidden(name: str, owner: Any, told: str, message: str | None = None) -> SecurityError:  # noqa: ANN401, ARG001 - as above
    return SecurityError(f"'{name}' of a {_kind(owner)} is nothing for a template")


def _unanswered(error: Unanswered, message: str | None = None) -> Unanswered:  # noqa: ARG001 - as above
    return error


def _limited(parts: Iterable[str]) -> Iterator[str]:
    size = 0
    for part in parts:
        size += len(part)
        if size > MAX_OUTPUT:
            raise Unanswered(
                "template-too-large", f"what it gives is longer than {MAX_OUTPUT // 1024**2} MiB", "is there a loop without an end?"
            )
        yield part


def _kind(value: Any) -> str:  # noqa: ANN401 - a template's value
    return {
        "dict": "map",
        "list": "list",
        "str": "text",
        "int": "number",
        "float": "number",
        "bool": "boolean",
        "_Versions": "list of versions",
    }.get(type(value).__name__, "value")


def _column(source: str, line: int, name: str) -> int:
    """Return where a name stands within its line, from 1; 0 where that is not clear."""
    lines = source.splitlines()
    found = (
        re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)|(?<=\.){re.escape(name)}(?!\w)", lines[line - 1]) if 0 < line <= len(lines) else None
    )
    return found.start() + 1 if found else 0


def _sentence(text: str) -> str:
    """Make a library's sentence one of ours: one line, no capital, no full stop."""
    line = " ".join(text.split()).rstrip(".")
    return line[:1].lower() + line[1:]
