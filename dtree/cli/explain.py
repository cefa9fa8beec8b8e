"""`nomad-dtree explain`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dtree import config
from dtree.cli.complete import complete_jobs
from dtree.cli.invocation import Invocation
from dtree.cli.options import Command, Output
from dtree.errors import EXIT_OK, DeclarationError, DtreeError, Fault, Place, UsageError, did_you_mean

if TYPE_CHECKING:
    from dtree.hcl_variables import HclVariable
    from dtree.job_text import JobText
    from dtree.values import Given
    from dtree.versions import Versions
    from dtree.views.explain_text import Explained, Source

OneJob = Annotated[str, typer.Argument(metavar="JOB", help="Job of the dependency file.", autocompletion=complete_jobs)]
Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Variable; none: all that the job reads.")]


def explain(invocation: Invocation, *, job: OneJob, name: Name = None, output: Output = "text") -> int:
    """Say for each variable that a job file reads which value it has, and which file, line and layer gave it.

    Nomad is asked for nothing but what a template reads from it with nomad_var(), and a store that lives there. Of a job file with a fault
    it says what is known of it, and then the fault.
    """
    from dtree import sources
    from dtree.rendering import render_jobs
    from dtree.versions import Versions
    from dtree.views.explain_text import Explanation, explain_text

    with invocation.snapshot() as snapshot:
        held = sources.read(snapshot, store=invocation.store_name, asked=(job,))
        sources.goals(held, (job,), everything=False)
        sources.refuse_externals(held, (job,))
        texts, missing = sources.job_texts(held, (job,))
        versions = Versions(held, invocation.inputs)
        rendered, wrong = render_jobs(held, texts, invocation.inputs, versions=versions)
        faults = {**missing, **wrong}.get(job, ())
        text = rendered[job] if job in rendered else _known(faults)
        explainer = _Explainer(versions, job, text)
        names = explainer.names() if name is None else [explainer.one(name)]
        asked = explainer.asked() if name is None else []
    explanation = Explanation(job, text.file, names, asked)
    if output == "json":
        from dtree.views.json_forms import explain_json

        invocation.print(explain_json(explanation))
    else:
        invocation.print(explain_text(explanation, invocation.look()))
    if faults:
        raise DeclarationError(faults)
    return EXIT_OK


def _known(faults: Sequence[Fault]) -> JobText:
    """Return what is known of a job file that cannot be rendered. Raises DeclarationError where that is nothing."""
    from dtree.job_text import Unrendered

    known = next((fault.known for fault in faults if isinstance(fault, Unrendered)), None)
    if known is None:
        raise DeclarationError(faults)
    return known


class _Explainer:
    """Finds out where the values of one job's variables come from."""

    def __init__(self, versions: Versions, job: str, text: JobText) -> None:
        from dtree.hcl_variables import declared_in
        from dtree.values import layers_of

        sources, inputs = versions.sources, versions.inputs
        self._job = job
        self._text = text
        self._inputs = inputs
        self._layers = layers_of(job, sources.declaration, sources.graph.entries[job].variables, inputs.layers)
        self._declared: Mapping[str, HclVariable] = declared_in(text.source)
        self._versions = versions

    def names(self) -> list[Explained]:
        """Return what has a value, and what has none and is not the template's own."""
        found = [self._explain(name) for name in sorted(self._text.reads)]
        return [one for one in found if one.sources or one.name in self._declared or not self._is_own(one.name)]

    def one(self, name: str) -> Explained:
        """Return a name that was asked for.

        Raises:
            UsageError: the job does not read it.
        """
        if name not in self._text.reads:
            hint = did_you_mean(name, sorted(self._text.reads)) or f"`nomad-dtree explain {self._job}` lists what it reads"
            raise UsageError(f"job '{self._job}' reads no variable '{name}'", hint=hint)
        return self._explain(name)

    def asked(self) -> list[tuple[str, str]]:
        """Return what the template reads by functions, and versions of other jobs, with their values where these are shown."""
        return [(call, value) for question in self._text.asked for call, value in self._call(*question)]

    def _is_own(self, name: str) -> bool:
        """Whether a name without a value is none of a variable: `versions` never is, nor `env` where it is called."""
        return name in self._text.own or name == "versions" or (name == "env" and any(kind == "env" for kind, *_ in self._text.asked))

    def _explain(self, name: str) -> Explained:
        from dtree.names import BUILT_IN
        from dtree.views.explain_text import Explained

        own = (name in self._text.values or name in _IN_TEMPLATES, name in self._declared)
        readers = tuple(reader for reader, is_one in zip(("template", "HCL2 variable"), own, strict=True) if is_one) or ("template",)
        found = [*self._defaults(name), *(self._built_in(name) if name in (*BUILT_IN, "env") else ())]
        found += [_source(layer[name]) for layer in self._layers if name in layer]
        return Explained(name, readers, tuple(reversed(found)))

    def _defaults(self, name: str) -> Iterator[Source]:
        """Yield what only an HCL2 variable gets: its default, and Nomad's own variable of the environment."""
        from dtree.hcl_variables import declared_in
        from dtree.views.explain_text import Source

        declared = self._declared.get(name)
        if declared is None:
            return
        if declared.default is not None:
            stored = declared_in(self._text.template.decode("utf-8-sig")).get(name)  # whose lines people know
            place = Place(self._text.file, stored.line, 1) if stored and stored.line else Place(self._text.file)
            yield Source(declared.default, "default in the job file", place)
        if name in self._inputs.nomad_variables:
            yield _source(self._inputs.nomad_variables[name])

    def _built_in(self, name: str) -> Iterator[Source]:
        from dtree.render import Unanswered
        from dtree.views.explain_text import Source

        if name == "env" and self._inputs.environment:
            yield Source(_shown(self._inputs.environment), "environment in use")
        try:
            if name == "version" and self._versions.has(self._job):
                declared = self._versions.declared[self._job]
                value = self._versions.of(self._job)
                layer = declared.origin.layer if declared.text == value else f"{declared.text}, {declared.origin.layer}"
                yield Source(_shown(value), layer, declared.origin.place)
            elif name in _OF_THE_STORE:
                yield Source(_shown(self._versions.built_in(name)), "commit of the store")
        except (Unanswered, DtreeError):
            return

    def _call(self, kind: str, *arguments: str) -> Iterator[tuple[str, str]]:
        from dtree.render import Unanswered
        from dtree.values import call_of

        if call := call_of((kind, *arguments)):
            yield call, _VALUES.get(kind, "")
        elif kind == "version" and arguments != (self._job,):
            try:
                yield f"versions.{arguments[0]}", _shown(self._versions.of(*arguments))
            except (Unanswered, DtreeError):
                yield f"versions.{arguments[0]}", ""


_OF_THE_STORE: Final = ("ref", "commit", "commit_date")
_IN_TEMPLATES: Final = ("version", "versions", *_OF_THE_STORE, "env")
_VALUES: Final = {"env": "(secret)", "nomad": "(secret)"}


def _source(given: Given) -> Source:
    from dtree.views.explain_text import Source

    return Source("(secret)" if given.secret else _shown(given.value), given.origin.layer, given.origin.place)


def _shown(value: Any) -> str:  # noqa: ANN401 - what JSON can hold
    import json

    return json.dumps(value, ensure_ascii=False)


COMMAND: Final = Command(
    explain, {"Templates": config.TEMPLATES, "Nomad (for nomad_var and stores that live there)": config.NOMAD}, uses_store=True
)
