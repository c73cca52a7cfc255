"""Tables of the facts of the data, which a study writes as nested values with names of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from myna.report.document import NOTHING, Cell, Column, Row, Table, number_cell, percent_cell, text_cell
from myna.report.results import Results, as_mapping, as_mappings, as_number, as_text

_N_LISTED = 6
_N_SHOWN = 12
"""Rows of a table that is not folded."""
_N_ACROSS = 6
"""Columns of a table; what has more parts has a row for each."""
_N_ITEMS = 40
"""Rows of a table of items."""

Facts = Mapping[str, Any]


def make_fact_tables(results: Results, titles: Mapping[str, str]) -> list[Table]:
    """Return the facts of the data: by split where they are given so, then the others.

    Args:
        results: of a study.
        titles: of facts, for people; one that ends in "(%)" is a share. Other facts are named by their key.
    """
    facts = {key: value for key, value in as_mapping(results.get("facts")).items() if key != "source"}
    flat = {key: value for key, value in facts.items() if not isinstance(value, Mapping)}
    names = _Names(titles)
    found = [part for key, value in facts.items() if key not in flat for part in _divide(names.of(key), value, names)]
    found += _divide("Overall", flat, names)
    return [_make_table(f"facts-{i}", content, names) for i, content in enumerate(found, 1)]


@dataclass(frozen=True)
class _Names:
    """Names of facts for people."""

    titles: Mapping[str, str]

    def of(self, key: str) -> str:
        """Return a fact's name."""
        percent = " (%)" if re.search(r"(^|_)(share|ratio)$", key) else ""
        text = as_text(key).replace("_", " ")
        return self.titles.get(key) or text[:1].upper() + text[1:] + percent

    def under(self, title: str, key: str) -> str:
        """Return the name of a part of something."""
        name = self.of(key)
        return f"{title.removesuffix(' (%)')}: {name[:1].lower()}{name[1:]}"


@dataclass(frozen=True)
class _Content:
    """What one table shows.

    Attributes:
        title: of the table.
        facts: by part, such as a split, or a list of items.
        is_detail: whether it is to be folded.
    """

    title: str
    facts: Facts | list[Facts]
    is_detail: bool


def _divide(title: str, facts: Facts, names: _Names, is_detail: bool = False) -> Iterator[_Content]:
    """Yield what one table can show: named parts of plain values, or a list of items."""
    parts = {key: value for key, value in facts.items() if isinstance(value, Mapping)}
    items = {key: found for key, value in facts.items() if (found := as_mappings(value))}
    flat = {key: value for key, value in facts.items() if key not in parts and key not in items}
    if flat:
        yield _Content(title, {"Value": flat}, is_detail)
    if parts and set.intersection(*(set(values) for values in parts.values())):
        deep = dict.fromkeys(k for values in parts.values() for k, v in values.items() if isinstance(v, Mapping))
        plain = {part: {k: v for k, v in values.items() if k not in deep} for part, values in parts.items()}
        yield _Content(title, plain, is_detail)
        for key in deep:
            inner = {part: v for part, values in parts.items() if isinstance(v := values.get(key), Mapping)}
            yield from _divide(names.under(title, key), inner, names, is_detail=True)
    else:
        for key, value in parts.items():
            yield from _divide(names.under(title, key), value, names, is_detail)
    for key, found in items.items():
        yield _Content(names.under(title, key), found, is_detail=True)


def _make_table(table_id: str, content: _Content, names: _Names) -> Table:
    """Return a table of named parts, a column or with many a row for each, or one of items."""
    title, facts = content.title, content.facts
    if isinstance(facts, list):
        return _make_item_table(table_id, title, facts, names)
    is_share = title.endswith("(%)")
    keys = list(dict.fromkeys(key for values in facts.values() for key in values))
    if len(facts) > _N_ACROSS:
        columns = (Column("Of", is_number=False), *(Column(names.of(key)) for key in keys))
        rows = [
            Row((text_cell(as_text(part)), *(_make_cell(names.of(k), values.get(k), is_share) for k in keys)))
            for part, values in facts.items()
        ]
    else:
        columns = (Column("Fact", is_number=False), *(Column(as_text(part)) for part in facts))
        rows = [
            Row((text_cell(names.of(k)), *(_make_cell(names.of(k), v.get(k), is_share) for v in facts.values())))
            for k in keys
        ]
    return Table(table_id, title, "", columns, tuple(rows), is_folded=content.is_detail or len(rows) > _N_SHOWN)


def _make_item_table(table_id: str, title: str, items: Sequence[Facts], names: _Names) -> Table:
    """Return a table with a row for each item, folded."""
    keys = list(dict.fromkeys(key for item in items for key in item))
    rows = [Row(tuple(text_cell(_say(item.get(key))) for key in keys)) for item in items[:_N_ITEMS]]
    caption = f"The first {_N_ITEMS} of {len(items):,}." if len(items) > _N_ITEMS else ""
    columns = tuple(Column(names.of(key), is_number=False) for key in keys)
    return Table(table_id, f"{title} ({len(items):,})", caption, columns, tuple(rows), is_folded=True)


def _make_cell(title: str, value: Any, is_share: bool) -> Cell:
    """Return a fact: a share in percent, a number, a short list or words."""
    if isinstance(value, list | tuple):
        names = ", ".join(_say(item) for item in value[:_N_LISTED])
        rest = f" and {len(value) - _N_LISTED} more" if len(value) > _N_LISTED else ""
        return Cell(f"{len(value)}", len(value), names + rest)
    number = as_number(value)
    if number is None:
        return text_cell(as_text(value))
    if is_share or title.endswith("(%)"):
        return percent_cell(number)
    return number_cell(number, 0 if isinstance(value, int) else 2 if abs(number) < 2 else 1)


def _say(value: Any) -> str:
    """Return a value as text, a list as its items."""
    if isinstance(value, list | tuple):
        return " ".join(as_text(item) for item in value)
    return as_text(value) or NOTHING
