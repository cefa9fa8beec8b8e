"""`nomad-dtree validate`."""

from __future__ import annotations

import json
from typing import Annotated, Final

import typer

from dtree import config
from dtree.cli.invocation import Invocation
from dtree.cli.options import Command, Output

AskNomad = Annotated[bool, typer.Option("--nomad", help="Have Nomad parse and validate every job file too.")]


def validate(invocation: Invocation, *, ask_nomad: AskNomad = False, output: Output = "text") -> int:
    """Check the dependency file and that each job has one readable job file; tell all faults at once.

    Needs no Nomad; what stands in the job files is only checked with --nomad.
    """
    from dtree.rendering import check

    warnings: tuple[str, ...] = ()
    with invocation.snapshot() as snapshot:
        checked = check(snapshot, store=invocation.store_name, inputs=invocation.inputs)
        if ask_nomad:
            from dtree import pipeline

            warnings = pipeline.validate(checked, invocation.cluster, namespace=invocation.namespace)
        count = len(checked.jobs)
    if output == "json":
        invocation.print(json.dumps({"schema": 1, "valid": True, "jobs": count, "warnings": list(warnings)}))
    else:
        for warning in warnings:
            invocation.warn(warning)
        invocation.print(f"{checked.sources.declaration.file}: {count} job{'s' if count != 1 else ''}, no fault")
    return 0


COMMAND: Final = Command(validate, {"Templates": config.TEMPLATES, "Nomad (with --nomad)": config.NOMAD}, uses_store=True)
