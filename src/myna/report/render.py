"""Writing a report: one HTML file that needs nothing else, and the same as Markdown."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from myna.files import read_text, replacing, write_text
from myna.report.document import Figure, Gallery, Report
from myna.report.drawing import as_file
from myna.report.markdown import FIGURES, write_markdown
from myna.report.outline import build_report
from myna.report.results import Results

_BREAK = re.compile(r"(?<=\d) (?=%)|(?<=\b[np]) (?=[<=] \d)|(?<=\b[np] [<=]) (?=\d)")
"""The blanks in "95 %", "n = 4" and "p < 0.001", at which a line must not break."""


def render(studies: Sequence[Results], folder: Path, stem: str = "report") -> Path:
    """Write report.html, report.md and figures/ into a folder; equal results give equal bytes.

    The name of a drawing's file is that of its panel, such as figures/val-accuracy.svg in the report of one study; in
    that of several the study's name comes before it: figures/norms-val-accuracy.svg.

    Args:
        studies: one or more, each what a study wrote as results.json, or a search as grid.json; any part may be
            missing.
        folder: made where it is missing.
        stem: of the two files' names.

    Returns:
        The path of the HTML.

    Raises:
        ValueError: a study is of a kind that has no report.
        UserError: a file cannot be written.
    """
    report = build_report(studies)
    markdown, path = write_markdown(report), folder / f"{stem}.md"
    earlier = _linked(read_text(path)) if path.is_file() else set()
    _write_figures(report, folder / FIGURES)
    write_text(path, markdown)
    # Left behind, a drawing of the report that stood here would pass for one of this one.
    for name in earlier - _linked(markdown):
        (folder / FIGURES / name).unlink(missing_ok=True)
    write_text(folder / f"{stem}.html", write_html(report))
    return folder / f"{stem}.html"


def write_html(report: Report) -> str:
    """Return a report as one HTML page with its styles, script, drawings and pictures inside."""
    environment = Environment(
        loader=PackageLoader("myna.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_keep_together,
    )
    return environment.get_template("report.html").render(report=report)


def _keep_together(value: Any) -> Any:
    """Put no-break spaces into a text where a figure would be torn apart."""
    return _BREAK.sub("\N{NO-BREAK SPACE}", value) if type(value) is str else value


def _linked(markdown: str) -> set[str]:
    """Return the names of the files in figures/ that a report shows."""
    return set(re.findall(rf"\]\({FIGURES}/([\w.-]+)\)", markdown))


def _write_figures(report: Report, folder: Path) -> None:
    """Write the drawings as SVG and the pictures as they are, for Markdown."""
    for block in report.blocks:
        if isinstance(block, Figure):
            for panel in block.panels:
                write_text(folder / f"{panel.name}.svg", as_file(panel.svg))
        elif isinstance(block, Gallery):
            for picture in (picture for strip in block.strips for picture in strip.pictures):
                with replacing(folder / f"{picture.name}.jpg") as temporary:
                    temporary.write_bytes(base64.b64decode(picture.data_uri.partition(",")[2]))
