"""From the texts of a store to the job files that Nomad parses: templates rendered with the user's values.

A file without a delimiter passes byte for byte, and where all do, no process is started and no template engine imported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from dtree.errors import DeclarationError, DtreeError, Fault, Place, StoreError, StoreUnreachable, UsageError, did_you_mean
from dtree.inputs import Inputs
from dtree.job_text import JobText, Unrendered, check_depth, decode_job
from dtree.render import Unanswered, has_template
from dtree.secrets import Secrets
from dtree.sources import Sources, job_texts, read
from dtree.store import Snapshot, Text
from dtree.versions import Versions

if TYPE_CHECKING:
    from dtree.render.messages import Rendered, TemplateFault
    from dtree.values import Given, Layer

_WORD: Final = re.compile(r"[^\W\d]\w*")
_TAKES_OTHERS: Final = re.compile(r"\[%[-+]?\s*(?:include|import|from|extends)\b")
_OF_VERSIONS: Final = ("version", "versions", "built-in")
_PUBLIC: Final = re.compile(r'^\s*job\s+"([^"\n]*)"|^\s{0,4}(?:namespace|region)\s*=\s*"([^"\n]*)"', re.MULTILINE)
"""Names that everybody sees who may list jobs, as HCL has them."""

_SECRET_KINDS: Final = ("env", "nomad")
"""Questions whose answers are secrets."""

_AS_IT_IS_HINT: Final = "if it is none of ours but the job file's own, `template: false` in the job's entry passes the file as it is"


class UnreadVariable(UsageError):
    """The command line gives a variable that no job reads."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A store without fault: all of its job files, rendered, and the versions that they were rendered with."""

    sources: Sources
    versions: Versions
    jobs: Mapping[str, JobText]


def check(snapshot: Snapshot, *, store: str, inputs: Inputs) -> Checked:
    """Read the dependency file and see that every job has one job file that is text and can be rendered, without asking Nomad.

    Raises:
        DeclarationError: everything that is wrong, at once.

    Effects: reads the store, with all job files.
    """
    sources = read(snapshot, store=store)
    versions = Versions(sources, inputs)
    texts, missing = job_texts(sources, sources.graph.entries)
    undeclared: tuple[Fault, ...] = ()
    used = versions
    try:
        versions.check()
    except DeclarationError as error:
        undeclared, used = error.faults, _made_up(sources, inputs)
    jobs, wrong = render_jobs(sources, texts, used.inputs, versions=used)
    faults = {**missing, **wrong}
    if undeclared or faults:
        raise DeclarationError([*undeclared, *(fault for name in sorted(faults) for fault in faults[name])])
    return Checked(sources, versions, jobs)


def _made_up(sources: Sources, inputs: Inputs) -> Versions:
    """Return versions that nobody declared, to see what else is wrong where those that are declared have faults."""
    from dtree.values import Declared, Lock, Origin

    lock = Lock({job: Declared("0", Origin("made up")) for job in sources.graph.entries})
    return Versions(sources, replace(inputs, versions={}, locked=True, lock=lock))


def render_jobs(
    sources: Sources, texts: Mapping[str, Text], inputs: Inputs, *, versions: Versions | None = None, needs_versions: bool = True
) -> tuple[dict[str, JobText], dict[str, tuple[Fault, ...]]]:
    """Render the job files.

    Args:
        texts: as they stand in the store, by job name.
        versions: those of these sources and inputs, where somebody has them already.
        needs_versions: a version that is declared and cannot be had is a fault, though no template reads it; else only what templates
            read is asked for.

    Returns:
        (the job files for Nomad, what is wrong with the others), both by name.

    Raises:
        StoreUnreachable: the store cannot be asked any more.

    Effects: reads the store; starts a process where a file is a template.
    """
    known = Versions(sources, inputs) if versions is None else versions
    rendered = _render(texts, known, needs_versions=needs_versions)
    if known.have_become_dirty():  # by a file that a template takes in, after others were told a version without `-dirty`
        rendered = _render(texts, known, needs_versions=needs_versions)
    if inputs.named:
        _refuse_unread(sources, texts, rendered[0], inputs)
    return rendered


def _render(
    texts: Mapping[str, Text], versions: Versions, *, needs_versions: bool
) -> tuple[dict[str, JobText], dict[str, tuple[Fault, ...]]]:
    """Render the job files. Returns, raises, effects: as `render_jobs`."""
    sources, inputs = versions.sources, versions.inputs
    jobs: dict[str, JobText] = {}
    faults: dict[str, tuple[Fault, ...]] = {}
    templates: dict[str, str] = {}
    for name, text in texts.items():
        entry = sources.graph.entries[name]
        try:
            source = decode_job(name, text)
            check_depth(name, text.path, source)  # the template engine does not survive more than Nomad's parser does
        except DeclarationError as error:
            faults[name] = error.faults
            continue
        if entry.template and has_template(source):
            templates[name] = source
        else:
            jobs[name] = JobText(text.path, source, text.data)
    answers = _Answers(versions)
    if needs_versions and not answers.is_pretended:
        versions.check()
    elif not answers.is_pretended:
        versions.refuse_strangers()
    if templates:
        foreseen = [name for name, source in templates.items() if needs_versions and "version" in source]
        rendered, wrong = _render_templates(templates, texts, answers, foreseen)
        jobs |= rendered
        faults |= wrong
    faults |= _too_deep(jobs)
    good = {name: _give_variables(name, job, sources, inputs, answers) for name, job in jobs.items() if name not in faults}
    if answers.lost is not None:
        raise answers.lost
    good = _hide_secrets(good, inputs)
    if needs_versions and not answers.is_pretended:
        good, unversioned = versions.give(good)
        faults |= unversioned
    return good, faults


def _render_templates(
    templates: Mapping[str, str], texts: Mapping[str, Text], answers: _Answers, foreseen: Iterable[str]
) -> tuple[dict[str, JobText], dict[str, tuple[Fault, ...]]]:
    """Render the job files that are templates. Returns, raises, effects: as `render_jobs`.

    Args:
        templates: their sources, by job name.
        foreseen: jobs that are sure to be asked for their version.
    """
    from dtree.render.messages import Template
    from dtree.render.process import render
    from dtree.values import variables_of

    inputs, sources = answers.versions.inputs, answers.versions.sources
    declaration, entries = sources.declaration, sources.graph.entries
    values = {name: variables_of(name, declaration, entries[name].variables, inputs.layers) for name in templates}
    asked = [
        Template(name, texts[name].path, source, {key: one.value for key, one in values[name].items()})
        for name, source in templates.items()
    ]
    shared = {"env": inputs.environment} if inputs.environment else {}
    rendered, wrong = render(asked, shared, answers, foreseen=[("version", name) for name in foreseen])
    if answers.lost is not None:
        raise answers.lost
    _keep_secrets((values[name] for name in wrong), inputs.secrets)  # what is wrong may be told in words of the template's values
    jobs = {name: _job_text(texts[name], one, values[name]) for name, one in rendered.items()}
    return jobs, {name: (_fault(name, one, texts[name], values[name]),) for name, one in wrong.items()}


def _too_deep(jobs: Mapping[str, JobText]) -> dict[str, tuple[Fault, ...]]:
    """Return what is wrong with those that Nomad's parser would not survive."""
    faults = {}
    for name, job in jobs.items():
        try:
            check_depth(name, job.file, job.source)
        except DeclarationError as error:
            faults[name] = error.faults
    return faults


def _hide_secrets(jobs: Mapping[str, JobText], inputs: Inputs) -> dict[str, JobText]:
    """Keep the secrets that job files hold, and note how each may be shown, which is not to depend on what other jobs read."""
    for job in jobs.values():
        _keep_secrets((job.values, job.given), inputs.secrets)
    inputs.secrets.publish(name for job in jobs.values() for name in _public_names(job.source))
    return {name: _with_shown(job, inputs) for name, job in jobs.items()}


def _with_shown(job: JobText, inputs: Inputs) -> JobText:
    own = Secrets()
    _keep_secrets((job.values, job.given), own)
    if inputs.answer is not None:
        for question in job.asked:
            if question[0] in _SECRET_KINDS:
                with suppress(Unanswered):  # the template has a default
                    own.keep(inputs.answer(*question))
    own.publish(_public_names(job.source))
    shown = own.hide(job.source)
    return job if shown == job.source else replace(job, shown=shown)


def _public_names(source: str) -> Iterator[str]:
    """Yield the ID, namespace and region of a job file, and what looks like them."""
    if not source.lstrip().startswith("{"):
        yield from (name for found in _PUBLIC.findall(source) for name in found)
        return
    with suppress(ValueError, RecursionError, AttributeError):  # not JSON, or not a job's: then it names nothing
        given = json.loads(source)
        job = given.get("Job", given)
        yield from (name for key in ("ID", "Namespace", "Region") if isinstance(name := job.get(key), str))
        yield from (given.get("job") or {}).keys()


def _keep_secrets(layers: Iterable[Layer], secrets: Secrets) -> None:
    for layer in layers:
        for given in layer.values():
            if given.secret:
                secrets.keep(given.value)


def _job_text(text: Text, rendered: Rendered, values: Layer) -> JobText:
    used = {name: one for name, one in values.items() if name in rendered.used}
    return JobText(text.path, rendered.text, text.data, used, rendered.asked, reads=rendered.used, own=rendered.own)


def _give_variables(name: str, job: JobText, sources: Sources, inputs: Inputs, answers: _Answers) -> JobText:
    """Give the HCL2 variables that a job file declares the values of their names."""
    if "variable" not in job.source:
        return job
    from dtree.hcl_variables import assignments, declared_in
    from dtree.values import layers_of

    declared = declared_in(job.source)
    if not declared:
        return job
    layers = layers_of(name, sources.declaration, sources.graph.entries[name].variables, inputs.layers)
    found: dict[str, Given] = {}
    for layer in (inputs.nomad_variables, _built_in(name, declared, inputs, answers), *layers):
        found |= layer
    given = {variable: found[variable] for variable in declared if variable in found}
    return replace(job, given=given, variables=assignments(given, declared, show_secrets=True), reads=job.reads.union(declared))


def _built_in(name: str, declared: Collection[str], inputs: Inputs, answers: _Answers) -> Layer:
    """Return what every template has, for a job file that has HCL2 variables of these names instead."""
    from dtree.values import Given, Origin

    found = {"env": Given(inputs.environment, Origin("environment in use"))} if inputs.environment else {}
    for variable in ("version", "ref", "commit", "commit_date"):
        if variable in declared:
            with suppress(Unanswered):
                value = answers("version", name) if variable == "version" else answers("built-in", variable)
                found[variable] = Given(value, Origin("built-in"))
    return found


def _refuse_unread(sources: Sources, texts: Mapping[str, Text], jobs: Mapping[str, JobText], inputs: Inputs) -> None:
    """Refuse a variable of the command line that no job reads: one of `texts`, or else any other.

    Args:
        jobs: what came of those of `texts` that have no fault.

    Raises:
        UnreadVariable: names it.
    """
    read = _names_read(texts, jobs, inputs)
    if inputs.named <= read:
        return
    others, _ = job_texts(sources, [name for name in sources.graph.entries if name not in texts])
    rendered, _ = render_jobs(sources, others, replace(inputs, named=frozenset(), answer=_answer_anything))
    known = read | _names_read(others, rendered, inputs)
    given = inputs.layers[-1]
    unread = [f"{given[name].origin.layer} {name}" for name in sorted(inputs.named - known)]
    if unread:
        hint = did_you_mean(unread[0].split()[-1], sorted(known)) or "`nomad-dtree explain JOB` lists what a job reads"
        raise UnreadVariable(f"no job reads what is given by {', '.join(unread)}", hint=hint)


def _names_read(texts: Mapping[str, Text], jobs: Mapping[str, JobText], inputs: Inputs) -> set[str]:
    """Return the names that job files read; of a file with a fault every word, and everything where it takes others in."""
    found: set[str] = set().union(*(job.reads for job in jobs.values()))
    for name, text in texts.items():
        if name not in jobs:
            source = text.data.decode("utf-8", "replace")
            found.update(_WORD.findall(source), inputs.named if _TAKES_OTHERS.search(source) else ())
    return found


def _answer_anything(kind: str, *_arguments: str) -> Any:  # noqa: ANN401 - JSON
    """Answer a template that is rendered only to see which names it reads: it is not for this run to ask anybody for what it needs."""
    return [] if kind == "versions" else ""


def _fault(job: str, fault: TemplateFault, text: Text, values: Layer) -> Unrendered:
    place = Place(fault.file, fault.line, fault.column or 1)
    known = _as_stored(text, fault.known, values) if fault.known else None
    return Unrendered(fault.code, f"in the template of '{job}': {fault.problem}", place, fault.hint or _AS_IT_IS_HINT, known)


def _as_stored(text: Text, known: Rendered, values: Layer) -> JobText:
    from dtree.hcl_variables import declared_in

    source = text.data.decode("utf-8-sig")
    return replace(_job_text(text, known, values), source=source, reads=known.used.union(declared_in(source)))


class _Answers:
    """Answers what templates ask for.

    Attributes:
        versions: those of the jobs.
        lost: why the store could not be asked any more; None while it could.
    """

    def __init__(self, versions: Versions) -> None:
        self.versions = versions
        self._sources = versions.sources
        self._inputs = versions.inputs
        self.lost: StoreUnreachable | None = None

    def __call__(self, kind: str, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        if kind == "file":
            return self._file(*arguments)
        if kind in _OF_VERSIONS and not self.is_pretended:
            return self._version(kind, *arguments)
        if self._inputs.answer is None:
            raise Unanswered("undefined-name", f"'{kind}' has no value here")
        return self._inputs.answer(kind, *arguments)

    @property
    def is_pretended(self) -> bool:
        """Whether answers are made up, to see what a template asks for."""
        return self._inputs.answer is _answer_anything

    def _version(self, kind: str, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        try:
            match kind:
                case "version":
                    return self.versions.told(*arguments)
                case "versions":
                    return list(self.versions.declared)
                case _:
                    return self.versions.built_in(*arguments)
        except StoreUnreachable as error:
            self.lost = error
            raise Unanswered(error.error_code, error.problem, error.hint) from error
        except DtreeError as error:
            first = error.faults[0]
            raise Unanswered(first.code, first.sentence, first.hint) from error

    def _file(self, path: str) -> tuple[str, str]:
        try:
            text = self._sources.snapshot.read(path)
        except StoreUnreachable as error:
            self.lost = error
            raise Unanswered(error.error_code, error.problem, error.hint) from error
        except StoreError as error:
            raise Unanswered(error.error_code, error.problem, error.hint) from error
        try:
            return text.path, text.data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Unanswered("not-utf-8", f"{text.path} is not UTF-8, and a template takes text only", "save it as UTF-8") from error
