"""A report as Markdown (GitHub's kind), with its drawings as files beside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from myna.report.document import (
    Block,
    Cell,
    Chapter,
    Command,
    Figure,
    Gallery,
    Missing,
    Notes,
    Paragraph,
    Report,
    Table,
    Terms,
)

FIGURES = "figures"
"""Folder of the drawings, beside the report."""


def write_markdown(report: Report) -> str:
    """Return a report as Markdown."""
    parts = [f"# {_escape(report.title)}", _escape(report.subtitle)]
    if report.banner:
        parts.append(f"> **{_escape(report.banner)}**")
    parts.append("\n".join(line for chapter in report.chapters for line in _list_contents(chapter)))
    for chapter in report.chapters:
        if chapter.title:
            parts.append(
                _heading(2, f"{chapter.part}: {chapter.title}" if chapter.part else chapter.title, chapter.chapter_id)
            )
        level = 3 if chapter.title else 2
        for section in chapter.sections:
            title = section.title + (f" (assignment {section.assignment})" if section.assignment else "")
            parts.append(_heading(level, title, section.section_id))
            parts += [_WRITERS[type(block)](block, level + 1) for block in section.blocks]
    return "\n\n".join(filter(None, parts)) + "\n"


def _list_contents(chapter: Chapter) -> list[str]:
    """Return the lines of the table of contents on a chapter."""
    indent = "  " if chapter.title else ""
    head = [f"- [{_escape(chapter.title)}](#{chapter.chapter_id})"] if chapter.title else []
    return head + [f"{indent}- [{_escape(each.title)}](#{each.section_id})" for each in chapter.sections]


def _heading(level: int, title: str, address: str = "") -> str:
    anchor = f'<a id="{address}"></a>\n\n' if address else ""
    return f"{anchor}{'#' * level} {_escape(title)}"


def _write_paragraph(block: Paragraph, level: int) -> str:
    return _escape(block.text)


def _write_notes(block: Notes, level: int) -> str:
    heading = f"{_heading(level, block.title)}\n\n" if block.title else ""
    return heading + "\n".join(f"- {_escape(sentence)}" for sentence in block.sentences)


def _write_terms(block: Terms, level: int) -> str:
    return "\n".join(f"- **{_escape(term)}**: {_escape(meaning)}" for term, meaning in block.pairs)


def _write_command(block: Command, level: int) -> str:
    fence = "`" * max(3, 1 + _longest_run("`", block.text))
    return f"{fence}sh\n{block.text}\n{fence}"


def _write_missing(block: Missing, level: int) -> str:
    command = _write_command(Command(block.command), level)
    return f"> **Not there yet:** {_escape(block.what)}. This makes it:\n\n{command}"


def _write_figure(block: Figure, level: int) -> str:
    titles = [_escape(panel.title) for panel in block.panels]
    panels = [f"{t}:\n\n![{t}]({FIGURES}/{p.name}.svg)" for t, p in zip(titles, block.panels, strict=True)]
    return _title(block, "\n\n".join((*panels, _escape(block.caption))), level)


def _write_gallery(block: Gallery, level: int) -> str:
    strips = []
    for strip in block.strips:
        pictures = [f"![{_escape(each.caption)}]({FIGURES}/{each.name}.jpg)" for each in strip.pictures]
        captions = ["; ".join(_escape(each.caption) for each in strip.pictures if each.caption)]
        strips += [f"**{_escape(strip.title)}**", " ".join(pictures), *captions]
    return _title(block, "\n\n".join(filter(None, (*strips, _escape(block.caption)))), level)


def _write_table(block: Table, level: int) -> str:
    # The header of a group has no row of its own here: it goes before a title that others have too.
    titles = Counter(column.title for column in block.columns)
    names = [
        f"{c.group.partition(',')[0]} {c.title}".strip() if titles[c.title] > 1 else c.title for c in block.columns
    ]
    rows = ["| " + " | ".join(map(_escape, names)) + " |"]
    rows.append("|" + "|".join("--:" if column.is_number else ":--" for column in block.columns) + "|")
    for row in block.rows:
        cells = [_write_cell(cell) for cell in row.cells]
        if row.kind not in ("", "run"):
            cells[0] += f" ({row.kind})"
        rows.append("| " + " | ".join(cells) + " |")
    body = "\n".join(rows)
    caption = _escape(block.caption.replace("Underlined", "Italic"))
    return _title(block, "\n\n".join(filter(None, (body, caption))), level)


def _title(block: Figure | Gallery | Table, body: str, level: int) -> str:
    """Return what a block shows under its title, folded away where it is to be."""
    if block.is_folded:
        return f"<details>\n<summary>{_escape(block.title)}</summary>\n\n{body}\n\n</details>"
    return f"{_heading(level, block.title)}\n\n{body}"


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


_WRITERS: dict[type[Block], Callable[[Any, int], str]] = {
    Paragraph: _write_paragraph,
    Notes: _write_notes,
    Terms: _write_terms,
    Command: _write_command,
    Missing: _write_missing,
    Figure: _write_figure,
    Gallery: _write_gallery,
    Table: _write_table,
}
