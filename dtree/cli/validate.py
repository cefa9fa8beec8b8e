"""`nomad-dtree validate`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dtree import config
from dtree.cli.invocation import Invocation
from dtree.cli.options import Command, Output
from dtree.errors import EXIT_ERROR, EXIT_OK, Fault

if TYPE_CHECKING:
    from dtree.model import RenderedJob
    from dtree.rendering import Checked

AskNomad = Annotated[bool, typer.Option("--nomad", help="Have Nomad parse and validate every job file too.")]
Strict = Annotated[bool, typer.Option("--strict", help="Also find services that a job looks up without waiting for who offers them.")]


def validate(invocation: Invocation, *, ask_nomad: AskNomad = False, strict: Strict = False, output: Output = "text") -> int:
    """Check the dependency file and that each job has one readable job file; tell all faults at once.

    Needs no Nomad; what stands in the job files is only checked with --nomad.
    """
    from dtree.rendering import check

    warnings: tuple[str, ...] = ()
    jobs: Mapping[str, RenderedJob] = {}
    with invocation.snapshot() as snapshot:
        checked = check(snapshot, store=invocation.store_name, inputs=invocation.inputs)
        if ask_nomad:
            from dtree import pipeline

            jobs, warnings = pipeline.validate(checked, invocation.cluster, namespace=invocation.namespace)
    missing = invocation.surroundings.secrets.hide_in(_missing_edges(checked, jobs)) if strict else None
    count = len(checked.jobs)
    if output == "json":
        from dtree.views.json_forms import validate_json

        invocation.print(validate_json(count, warnings, missing))
    else:
        for warning in warnings:
            invocation.warn(warning)
        _warn(invocation, missing or ())
        invocation.print(f"{checked.sources.declaration.file}: {count} job{'s' if count != 1 else ''}, {_result(missing or ())}")
    return EXIT_ERROR if missing else EXIT_OK


def _missing_edges(checked: Checked, jobs: Mapping[str, RenderedJob]) -> tuple[Fault, ...]:
    """Find services that are looked up without an edge; in what Nomad made of the job files, where it was asked."""
    from dtree.services import fault_of, missing_edges, services_in_spec, services_in_text

    texts = checked.jobs
    read = {name: services_in_spec(jobs[name].spec) if name in jobs else services_in_text(text.source) for name, text in texts.items()}
    found = ((one, texts[one.job]) for one in missing_edges(checked.sources.graph, read))
    return tuple(fault_of(one, text.file, text.source, text.template.decode("utf-8-sig")) for one, text in found)


def _warn(invocation: Invocation, missing: tuple[Fault, ...]) -> None:
    from dtree.views.error_text import warning_text
    from dtree.views.style import look_at, width_of
    from dtree.views.text import write

    if missing:
        environ = invocation.environ
        write(sys.stderr, warning_text(missing, look_at(sys.stderr, environ), width=width_of(sys.stderr, environ)) + "\n")


def _result(missing: tuple[Fault, ...]) -> str:
    return f"no fault, but {len(missing)} missing edge{'s' if len(missing) != 1 else ''}" if missing else "no fault"


COMMAND: Final = Command(validate, {"Templates": config.TEMPLATES, "Nomad (with --nomad)": config.NOMAD}, uses_store=True)
