"""A typer program whose one command does nothing: what the library alone costs. A peer, not a part of nomad-dtree."""

from __future__ import annotations

import typer

app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.callback()
def _program() -> None:
    """Do nothing."""


@app.command()
def nothing() -> None:
    """Do nothing."""


if __name__ == "__main__":
    app()
