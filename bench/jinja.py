"""Render a folder of templates with jinja2 alone: `python -m bench.jinja FOLDER`. Its whole process is what is measured."""

from __future__ import annotations

import sys
from pathlib import Path

import jinja2

from bench.templates import VALUES


def main(folder: Path) -> None:
    """Render each file once. Effects: reads them, and writes to standard output."""
    environment = jinja2.Environment(
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    for file in sorted(folder.iterdir()):
        sys.stdout.write(environment.from_string(file.read_text()).render(VALUES, version="1.4.2"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
