"""What a report is made of: sections of blocks, which know nothing of HTML or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, Literal

NOTHING = "–"
"""Stands where a table has no figure."""

Mark = Literal["", "best", "best_run"]
Kind = Literal["", "run", "baseline", "published", "reference"]
"""Of a row: a trained model of ours, a baseline, a figure of others, or of others' software run by us."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: for people.
        value: what the cell sorts by; None sorts last.
        note: a smaller second line, such as an interval.
        mark: "best" of the column, or "best_run": best of the trained models where another row is best.
        is_code: whether the text is to be typed, such as a command.
    """

    text: str
    value: float | str | None = None
    note: str = ""
    mark: Mark = ""
    is_code: bool = False


def text_cell(text: str, note: str = "", is_code: bool = False) -> Cell:
    """Return a cell of words, sorted by them."""
    return Cell(text or NOTHING, text.casefold() or None, note, is_code=is_code)


def percent_cell(share: float | None, interval: tuple[float, float] | None = None) -> Cell:
    """Return a share as percent with one decimal, its 95 % interval below."""
    if share is None:
        return Cell(NOTHING)
    note = f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}" if interval else ""
    return Cell(f"{100 * share:.1f}", round(100 * share, 1), note)


def number_cell(value: float | None, n_decimals: int = 0) -> Cell:
    """Return a number with thousands set apart."""
    return Cell(NOTHING) if value is None else Cell(f"{value:,.{n_decimals}f}", value)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        title: its header.
        group: a header over this and its neighbours of the same group; "" for none.
        is_number: whether it is set right-aligned and sorted from the largest.
        best: which end is good, for the marks; "" where neither is.
    """

    title: str
    group: str = ""
    is_number: bool = True
    best: Literal["", "high", "low"] = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table, a cell for each column, and what kind of thing it speaks of."""

    cells: tuple[Cell, ...]
    kind: Kind = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; one that `is_folded` is shown when its title is opened."""

    kind: ClassVar[str] = "table"
    table_id: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    is_folded: bool = False

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The group headers with the number of columns that each spans; empty where no column has a group."""
        if not any(column.group for column in self.columns):
            return []
        return [(group, len(list(columns))) for group, columns in groupby(column.group for column in self.columns)]


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawing of a figure.

    Attributes:
        name: stem of its file, unique in a report.
        title: what it shows.
        svg: the drawing for use inside a page; its colours are CSS variables.
    """

    name: str
    title: str
    svg: str


@dataclass(frozen=True, slots=True)
class Figure:
    """Drawings that are read together; a figure that `is_folded` is shown when its title is opened."""

    kind: ClassVar[str] = "figure"
    figure_id: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    is_folded: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo or a map.

    Attributes:
        name: stem of its file, unique in a report.
        caption: what it shows.
        data_uri: the picture itself, as `data:image/jpeg;base64,...`.
    """

    name: str
    caption: str
    data_uri: str


@dataclass(frozen=True, slots=True)
class Strip:
    """Pictures that stand side by side, under a title."""

    title: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """Strips of pictures; a gallery that `is_folded` is shown when its title is opened."""

    kind: ClassVar[str] = "gallery"
    gallery_id: str
    title: str
    caption: str
    strips: tuple[Strip, ...]
    is_folded: bool = False


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True, slots=True)
class Notes:
    """Sentences on one topic."""

    kind: ClassVar[str] = "notes"
    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """Words with what they mean."""

    kind: ClassVar[str] = "terms"
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A line to type."""

    kind: ClassVar[str] = "command"
    text: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that is not there yet, and the command that makes it."""

    kind: ClassVar[str] = "missing"
    what: str
    command: str


Block = Table | Figure | Gallery | Paragraph | Notes | Terms | Command | Missing


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a report.

    Attributes:
        section_id: its address within the page.
        title: its heading.
        blocks: what it says, in order.
        assignment: the part of the assignment that asks for it; "" for none.
    """

    section_id: str
    title: str
    blocks: tuple[Block, ...]
    assignment: str = ""


@dataclass(frozen=True, slots=True)
class Chapter:
    """Sections that belong together, such as those on one study.

    Attributes:
        chapter_id: its address within the page; "" where it has no title.
        title: its heading; "" for none: its sections then stand as chapters do.
        part: over the title, the part of the assignment; "" for none.
        sections: in order.
    """

    chapter_id: str
    title: str
    part: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report.

    Attributes:
        title: its heading.
        subtitle: one line on what it was made from.
        banner: a warning that stands over everything; "" for none.
        chapters: in order.
    """

    title: str
    subtitle: str
    banner: str
    chapters: tuple[Chapter, ...]

    @property
    def sections(self) -> tuple[Section, ...]:
        """The sections of all chapters."""
        return tuple(section for chapter in self.chapters for section in chapter.sections)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of all sections."""
        return tuple(block for section in self.sections for block in section.blocks)


def merge_missing(missing: Sequence[Missing]) -> list[Missing]:
    """Return one item for each command, in order of first appearance."""
    by_command: dict[str, list[str]] = {}
    for item in missing:
        by_command.setdefault(item.command, []).append(item.what)
    return [Missing("; ".join(dict.fromkeys(whats)), command) for command, whats in by_command.items()]
