"""From the texts of a store to the job files that Nomad parses: templates rendered with the user's values.

A file without a delimiter passes byte for byte, and where all do, no process is started and no template engine imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dtree.errors import DeclarationError, Fault, Place, StoreError, StoreUnreachable
from dtree.job_text import check_depth, decode_job
from dtree.render import Rendered, Template, TemplateFault, Unanswered, has_template
from dtree.sources import Sources, job_texts, read
from dtree.store import Snapshot, Text
from dtree.values import Inputs, JobText, Layer, variables_of

_AS_IT_IS_HINT: Final = "if it is none of ours but the job file's own, `template: false` in the job's entry passes the file as it is"


def check(snapshot: Snapshot, *, store: str, inputs: Inputs) -> Sources:
    """Read the dependency file and see that every job has one job file that is text and can be rendered, without asking Nomad.

    Raises:
        DeclarationError: everything that is wrong, at once.

    Effects: reads the store, with all job files.
    """
    sources = read(snapshot, store=store)
    texts, missing = job_texts(sources, sources.graph.entries)
    _, wrong = render_jobs(sources, texts, inputs)
    faults = {**missing, **wrong}
    if faults:
        raise DeclarationError([fault for name in sorted(faults) for fault in faults[name]])
    return sources


def render_jobs(sources: Sources, texts: Mapping[str, Text], inputs: Inputs) -> tuple[dict[str, JobText], dict[str, tuple[Fault, ...]]]:
    """Render the job files.

    Args:
        texts: as they stand in the store, by job name.

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
    if templates:
        from dtree.render.process import render

        answers = _Answers(sources, inputs)
        rendered, wrong = render(templates, {"env": inputs.environment} if inputs.environment else {}, answers)
        if answers.lost is not None:
            raise answers.lost
        jobs |= {name: _job_text(texts[name], one, values[name]) for name, one in rendered.items()}
        faults |= {name: (_fault(name, one),) for name, one in wrong.items()}
    for name, job in jobs.items():
        try:
            check_depth(name, job.file, job.source)
        except DeclarationError as error:
            faults[name] = error.faults
    return {name: job for name, job in jobs.items() if name not in faults}, faults


def _job_text(text: Text, rendered: Rendered, values: Layer) -> JobText:
    used = {name: one for name, one in values.items() if name in rendered.used}
    return JobText(text.path, rendered.text, text.data, used, rendered.asked)


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
        if self._inputs.answer is None:
            raise Unanswered("undefined-name", f"'{kind}' has no value here")
        return self._inputs.answer(kind, *arguments)

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
