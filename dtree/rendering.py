"""From the texts of a store to the job files that Nomad parses: templates rendered with the user's values.

A file without a delimiter passes byte for byte, and where all do, no process is started and no template engine imported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

from dtree.errors import DeclarationError, DtreeError, Fault, Place, StoreError, StoreUnreachable, UsageError, did_you_mean
from dtree.hcl_variables import assignments, declared_in
from dtree.job_text import check_depth, decode_job
from dtree.render import Rendered, Template, TemplateFault, Unanswered, has_template
from dtree.sources import Sources, job_texts, read
from dtree.store import Snapshot, Text
from dtree.values import Given, Inputs, JobText, Layer, Origin, layers_of, variables_of
from dtree.versions import Versions

_WORD: Final = re.compile(r"[^\W\d]\w*")
_TAKES_OTHERS: Final = re.compile(r"\[%[-+]?\s*(?:include|import|from|extends)\b")
_OF_VERSIONS: Final = ("version", "versions", "built-in")
_PUBLIC: Final = re.compile(r'^\s*job\s+"([^"\n]*)"|^\s{0,4}(?:namespace|region)\s*=\s*"([^"\n]*)"', re.MULTILINE)
"""Names that everybody sees who may list jobs, as HCL has them."""

_AS_IT_IS_HINT: Final = "if it is none of ours but the job file's own, `template: false` in the job's entry passes the file as it is"


class UnreadVariable(UsageError):
    """The command line gives a variable that no job reads."""


def check(snapshot: Snapshot, *, store: str, inputs: Inputs) -> tuple[Sources, dict[str, JobText]]:
    """Read the dependency file and see that every job has one job file that is text and can be rendered, without asking Nomad.

    Returns:
        (what the store holds, the job files as they would go to Nomad, by job name).

    Raises:
        DeclarationError: everything that is wrong, at once.

    Effects: reads the store, with all job files.
    """
    sources = read(snapshot, store=store)
    texts, missing = job_texts(sources, sources.graph.entries)
    jobs, wrong = render_jobs(sources, texts, inputs)
    faults = {**missing, **wrong}
    if faults:
        raise DeclarationError([fault for name in sorted(faults) for fault in faults[name]])
    return sources, jobs


def render_jobs(
    sources: Sources, texts: Mapping[str, Text], inputs: Inputs, *, needs_versions: bool = True
) -> tuple[dict[str, JobText], dict[str, tuple[Fault, ...]]]:
    """Render the job files.

    Args:
        texts: as they stand in the store, by job name.
        needs_versions: a version that is declared and cannot be had is a fault, though no template reads it.

    Returns:
        (the job files for Nomad, what is wrong with the others), both by name.

    Raises:
        StoreUnreachable: the store cannot be asked any more.

    Effects: reads the store; starts a process where a file is a template.
    """
    jobs: dict[str, JobText] = {}
    faults: dict[str, tuple[Fault, ...]] = {}
    templates: list[Template] = []
    values: dict[str, Layer] = {}
    for name, text in texts.items():
        entry = sources.graph.entries[name]
        try:
            source = decode_job(name, text)
        except DeclarationError as error:
            faults[name] = error.faults
            continue
        if entry.template and has_template(source):
            values[name] = variables_of(name, sources.declaration, entry.variables, inputs.layers)
            templates.append(Template(name, text.path, source, {key: one.value for key, one in values[name].items()}))
        else:
            jobs[name] = JobText(text.path, source, text.data)
    answers = _Answers(sources, inputs)
    if needs_versions and not answers.is_pretended:
        answers.versions.check()
    if templates:
        from dtree.render.process import render

        shared = {"env": inputs.environment} if inputs.environment else {}
        foreseen = [("version", one.job) for one in templates if "version" in one.source]
        rendered, wrong = render(templates, shared, answers, foreseen=foreseen)
        if answers.lost is not None:
            raise answers.lost
        jobs |= {name: _job_text(texts[name], one, values[name]) for name, one in rendered.items()}
        faults |= {name: (_fault(name, one),) for name, one in wrong.items()}
        _keep_secrets((values[name] for name in wrong), inputs)  # what is wrong may be told in words of the template's values
    faults |= _too_deep(jobs)
    good = {name: _give_variables(name, job, sources, inputs, answers) for name, job in jobs.items() if name not in faults}
    good = _hide_secrets(good, inputs)
    if not answers.is_pretended:
        good, unversioned = answers.versions.give(good, is_needed=needs_versions)
        faults |= unversioned
    if inputs.named:
        _refuse_unread(sources, texts, good, inputs)
    return good, faults


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
    """Keep the secrets that job files hold, and note how they may be shown."""
    secrets = inputs.secrets
    _keep_secrets((layer for job in jobs.values() for layer in (job.values, job.given)), inputs)
    secrets.publish(name for job in jobs.values() for name in _public_names(job.source))
    return {name: replace(job, shown=shown) if (shown := secrets.hide(job.source)) != job.source else job for name, job in jobs.items()}


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


def _keep_secrets(layers: Iterable[Layer], inputs: Inputs) -> None:
    for layer in layers:
        for given in layer.values():
            if given.secret:
                inputs.secrets.keep(given.value)


def _job_text(text: Text, rendered: Rendered, values: Layer) -> JobText:
    used = {name: one for name, one in values.items() if name in rendered.used}
    return JobText(text.path, rendered.text, text.data, used, rendered.asked, reads=rendered.used)


def _give_variables(name: str, job: JobText, sources: Sources, inputs: Inputs, answers: _Answers) -> JobText:
    """Give the HCL2 variables that a job file declares the values of their names."""
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


def _fault(job: str, fault: TemplateFault) -> Fault:
    place = Place(fault.file, fault.line, fault.column or 1)
    return Fault(fault.code, f"in the template of '{job}': {fault.problem}", place, fault.hint or _AS_IT_IS_HINT)


class _Answers:
    """Answers what templates ask for.

    Attributes:
        lost: why the store could not be asked any more; None while it could.
    """

    def __init__(self, sources: Sources, inputs: Inputs) -> None:
        self._sources = sources
        self._inputs = inputs
        self.lost: StoreUnreachable | None = None

    def __call__(self, kind: str, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        if kind == "file":
            return self._file(*arguments)
        if kind in _OF_VERSIONS and not self.is_pretended:
            return self._version(kind, *arguments)
        if self._inputs.answer is None:
            raise Unanswered("undefined-name", f"'{kind}' has no value here")
        return self._inputs.answer(kind, *arguments)

    @cached_property
    def versions(self) -> Versions:
        """Those of the jobs."""
        return Versions(self._sources, self._inputs)

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
