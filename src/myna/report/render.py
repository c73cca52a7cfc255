"""Writing a report: one HTML file that needs nothing else, and the same as Markdown."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from myna.files import write_text
from myna.report.document import Figure, Report
from myna.report.drawing import as_file
from myna.report.markdown import FIGURES, write_markdown
from myna.report.outline import build_report
from myna.report.results import Results


def render(results: Results, folder: Path) -> Path:
    """Write report.html, report.md and figures/*.svg into a folder; equal results give equal bytes.

    Args:
        results: what a study wrote as results.json; any part may be missing.
        folder: made where it is missing.

    Returns:
        The path of report.html.

    Raises:
        ValueError: the results are of a kind of study that has no report.
    """
    report = build_report(results)
    figures = [block for section in report.sections for block in section.blocks if isinstance(block, Figure)]
    for panel in (panel for figure in figures for panel in figure.panels):
        write_text(folder / FIGURES / f"{panel.name}.svg", as_file(panel.svg))
    write_text(folder / "report.md", write_markdown(report))
    write_text(folder / "report.html", write_html(report))
    return folder / "report.html"


def write_html(report: Report) -> str:
    """Return a report as one HTML page with its styles, script and drawings inside."""
    environment = Environment(
        loader=PackageLoader("myna.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html").render(report=report)
