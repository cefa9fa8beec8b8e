"""What is wrong with a template, in words that speak of our delimiters and not of the library's insides."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

import jinja2
from jinja2.exceptions import SecurityError

from dtree.render import Unanswered
from dtree.render.messages import TemplateFault
from dtree.render.objects import BUILT_IN, Missing

__all__ = ["NoFile", "fault_of"]

_LONGEST_NAME: Final = 100


class NoFile(jinja2.TemplateNotFound):
    """A file that the store does not have."""

    def __init__(self, name: str, why: Unanswered) -> None:
        super().__init__(name)
        self.why = why


def fault_of(error: Exception, place: tuple[str, int, str], values: Iterable[str], environment: jinja2.Environment) -> TemplateFault:
    """Say what is wrong in a template.

    Args:
        place: name of its file, line, and its text.
        values: names that have a value.
    """
    where, line, source = place
    match error:
        case jinja2.TemplateSyntaxError():
            problem, hint = _reword(error.message or "wrong syntax", environment)
            return TemplateFault("bad-template", problem, where, line, 0, hint)
        case Missing():
            names = sorted({*values, *BUILT_IN}) if error.is_variable else error.known
            near = difflib.get_close_matches(error.name[:_LONGEST_NAME], names, n=1)
            meant = f"did you mean '{near[0]}'?" if near else ""
            hint = f"{meant} or {error.hint}" if meant and error.hint else meant or error.hint
            return TemplateFault("undefined-name", error.problem, where, line, _column(source, line, error.name), hint)
        case _:
            told = _explain(error)
            return TemplateFault(told.code, told.problem, where, line, 0, told.hint)


def _reword(message: str, environment: jinja2.Environment) -> tuple[str, str]:
    """Say what the parser says in words that speak of our delimiters, with what to do."""
    if found := re.search(r"unexpected end of template\. .* closed is '(\w+)'", message, re.IGNORECASE):
        return f"the block '{found[1]}' is not closed", f"write [% end{found[1]} %] where it ends"
    if found := re.search(r"unknown tag '(\w+)'\. .* closed is '(\w+)'", message):
        return f"'{found[1]}' stands within the block '{found[2]}', which is not closed", f"write [% end{found[2]} %] before it"
    if found := re.search(r"No (filter|test) named '([^']*)'", message):
        known = environment.filters if found[1] == "filter" else environment.tests
        near = difflib.get_close_matches(found[2], sorted(known), n=1)
        return f"there is no {found[1]} '{found[2]}'", f"did you mean '{near[0]}'?" if near else ""
    if message == "unexpected '.'":
        return "a name begins with a dot", "write it without: `[[ name ]]`; it is Go's templates that have `[[ .name ]]`"
    message = re.sub(r"'end of print statement'", "']]'", re.sub(r"'end of statement block'", "'%]'", message))
    return _sentence(re.sub(r" at \d+$", "", message)), ""


def _explain(error: Exception) -> Unanswered:
    """Say what went wrong in a library, or in a filter."""
    match error:
        case Unanswered() | NoFile():
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
