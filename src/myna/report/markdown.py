"""A report as Markdown (GitHub's kind), with its drawings as files beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from myna.report.document import Block, Cell, Command, Figure, Missing, Notes, Paragraph, Report, Table, Terms

FIGURES = "figures"
"""Folder of the drawings, beside the report."""


def write_markdown(report: Report) -> str:
    """Return a report as Markdown."""
    parts = [f"# {_escape(report.title)}", _escape(report.subtitle)]
    if report.banner:
        parts.append(f"> **{_escape(report.banner)}**")
    parts.append("\n".join(f"- [{_escape(section.title)}](#{section.section_id})" for section in report.sections))
    for section in report.sections:
        heading = section.title + (f" (assignment {section.assignment})" if section.assignment else "")
        parts.append(f'<a id="{section.section_id}"></a>\n\n## {_escape(heading)}')
        parts += [_WRITERS[type(block)](block) for block in section.blocks]
    return "\n\n".join(filter(None, parts)) + "\n"


def _write_paragraph(block: Paragraph) -> str:
    return _escape(block.text)


def _write_notes(block: Notes) -> str:
    heading = f"### {_escape(block.title)}\n\n" if block.title else ""
    return heading + "\n".join(f"- {_escape(sentence)}" for sentence in block.sentences)


def _write_terms(block: Terms) -> str:
    return "\n".join(f"- **{_escape(term)}**: {_escape(meaning)}" for term, meaning in block.pairs)


def _write_command(block: Command) -> str:
    fence = "`" * max(3, 1 + _longest_run("`", block.text))
    return f"{fence}sh\n{block.text}\n{fence}"


def _write_missing(block: Missing) -> str:
    return f"> **Not there yet:** {_escape(block.what)}. This makes it:\n\n{_write_command(Command(block.command))}"


def _write_figure(block: Figure) -> str:
    titles = [_escape(panel.title) for panel in block.panels]
    panels = [f"{t}:\n\n![{t}]({FIGURES}/{p.name}.svg)" for t, p in zip(titles, block.panels, strict=True)]
    return _title(block, "\n\n".join((*panels, _escape(block.caption))))


def _write_table(block: Table) -> str:
    names = [f"{c.group.partition(',')[0]} {c.title}" if c.group and c.best else c.title for c in block.columns]
    rows = ["| " + " | ".join(map(_escape, names)) + " |"]
    rows.append("|" + "|".join("--:" if column.is_number else ":--" for column in block.columns) + "|")
    for row in block.rows:
        cells = [_write_cell(cell) for cell in row.cells]
        if row.kind not in ("", "run"):
            cells[0] += f" ({row.kind})"
        rows.append("| " + " | ".join(cells) + " |")
    body = "\n".join(rows)
    caption = _escape(block.caption.replace("Underlined", "Italic"))
    return _title(block, "\n\n".join(filter(None, (body, caption))))


def _title(block: Figure | Table, body: str) -> str:
    """Return what a table or figure shows under its title, folded away where it is to be."""
    title = _escape(block.title)
    if block.is_folded:
        return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"
    return f"### {title}\n\n{body}"


def _write_cell(cell: Cell) -> str:
    """Return a cell on one line, its mark as bold or italic."""
    text = _code(cell.text) if cell.is_code else _escape(cell.text)
    text = {"": text, "best": f"**{text}**", "best_run": f"*{text}*"}[cell.mark]
    return f"{text} ({_escape(cell.note)})" if cell.note else text


def _code(text: str) -> str:
    """Return text as a code span that may stand in a table."""
    fence = "`" * (1 + _longest_run("`", text))
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|")


def _longest_run(character: str, text: str) -> int:
    return max(map(len, re.findall(f"{re.escape(character)}+", text)), default=0)


def _escape(text: str) -> str:
    """Return text that Markdown shows as it is; an underscore within a word needs no help."""
    text = re.sub(r"([\\`*\[\]|~#$])", r"\\\1", text)
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_WRITERS: dict[type[Block], Callable[[Any], str]] = {
    Paragraph: _write_paragraph,
    Notes: _write_notes,
    Terms: _write_terms,
    Command: _write_command,
    Missing: _write_missing,
    Figure: _write_figure,
    Table: _write_table,
}
