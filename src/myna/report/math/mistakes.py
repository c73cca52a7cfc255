"""What kinds of mistakes the math models make, and on which problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from myna.report.document import Column, Figure, Notes, Panel, Row, Table, number_cell, percent_cell, text_cell
from myna.report.plots import Across, Curve, draw_curves, draw_dots, slug
from myna.report.results import (
    Results,
    as_mapping,
    as_mappings,
    as_number,
    as_text,
    in_percent,
    join_words,
    titled_runs,
)

EXACT = "exact"
"""Among the kinds, what is no mistake."""
RIGHT_VALUE = "right value, other program"
"""A mistake by exact match alone."""
_FEW = 20
"""Problems in a group of which too little can be said."""
_MEASURES = {"exact_match": "EM", "execution_accuracy": "Exec"}
Mistakes = Mapping[str, Any]


@dataclass(frozen=True)
class _Grouping:
    """A way to part problems into groups: where it is in what was counted, and how people call it."""

    key: str
    title: str
    column: str
    axis: str
    is_folded: bool = False


_GROUPINGS = (
    _Grouping("by_steps", "Scores by program length", "Steps of the reference", "Steps of the program"),
    _Grouping(
        "by_cosine",
        "Scores by nearness to training",
        "Cosine to the nearest training problem",
        "Cosine to the nearest in training, up to",
    ),
    _Grouping("by_operation", "Scores by operation", "Operation in the reference", "", is_folded=True),
)


def mistakes_of(results: Results, split: str) -> dict[str, Mistakes]:
    """Return what was counted on a split, by the titles of the runs that have it."""
    found = {title: as_mapping(as_mapping(run.get("mistakes")).get(split)) for run, title in titled_runs(results)}
    return {title: mistakes for title, mistakes in found.items() if _kinds(mistakes)}


def describe_mistakes(found: Mapping[str, Mistakes], split: str) -> Notes | None:
    """Say for each run what goes wrong most, and on which problems."""
    sentences = [
        sentence
        for title, mistakes in found.items()
        for describe in (_describe_kinds, _describe_lengths, _describe_nearness, _describe_operations)
        if (sentence := describe(title, mistakes))
    ]
    return Notes(f"On {split}", tuple(sentences)) if sentences else None


def make_kind_table(found: Mapping[str, Mistakes], split: str) -> Table | None:
    """Return how many predictions are of each kind, and their share."""
    if not found:
        return None
    kinds = list(dict.fromkeys(kind for mistakes in found.values() for kind in _kinds(mistakes)))
    columns = [Column("Kind", is_number=False)]
    columns += [Column(name, title) for title in found for name in ("Programs", "%")]
    rows = []
    for kind in kinds:
        cells = [text_cell("exact match" if kind == EXACT else kind)]
        for mistakes in found.values():
            counts = _kinds(mistakes)
            cells += [number_cell(counts.get(kind)), percent_cell(counts.get(kind, 0) / max(1, sum(counts.values())))]
        rows.append(Row(tuple(cells)))
    caption = (
        "Of several mistakes in a program, the first that is looked for, in this order. An argument is compared in the"
        " first step that differs. A program with the right value is a mistake by exact match alone."
    )
    return Table(f"mistakes-{split}", f"Mistakes on {split} by kind", caption, tuple(columns), tuple(rows))


def make_group_tables(found: Mapping[str, Mistakes], split: str) -> list[Table]:
    """Return scores by the length of the reference, by nearness to training, and by operation."""
    tables = []
    for grouping in _GROUPINGS:
        sizes = _sizes(found, grouping.key)
        # No column has a best: a group is no competitor of another.
        columns = [Column(grouping.column, is_number=False), Column("Problems")]
        columns += [Column(name, title) for title in found for name in _MEASURES.values()]
        rows = []
        for name, n in sizes.items():
            scores = [
                _scores(mistakes, grouping.key, measure).get(name)
                for mistakes in found.values()
                for measure in _MEASURES
            ]
            title_cell = text_cell(_group_title(grouping.key, name))
            rows.append(Row((title_cell, number_cell(n), *map(percent_cell, scores))))
        if rows:
            title, table_id = f"{grouping.title}, {split}", f"mistakes-{split}-{slug(grouping.key)}"
            caption = "Percent." + (" A problem counts under each operation of its reference." * grouping.is_folded)
            tables.append(Table(table_id, title, caption, tuple(columns), tuple(rows), grouping.is_folded))
    return tables


def draw_mistake_figure(found: Mapping[str, Mistakes], split: str) -> Figure | None:
    """Return the shares of kinds of mistakes, and execution accuracy by program length and by nearness."""
    if not found:
        return None
    panels = [_draw_kinds(found, split), *(_draw_groups(found, split, grouping) for grouping in _GROUPINGS[:2])]
    drawn = tuple(panel for panel in panels if panel is not None)
    caption = (
        "Left out of the kinds: exact matches. Execution accuracy: the program's value is within 2 % of the answer."
        " Nearness: TF-IDF cosine of the masked texts; seen problems are those whose text is in training."
    )
    return Figure("mistake-figure", f"Mistakes on {split}", caption, drawn) if drawn else None


def _draw_kinds(found: Mapping[str, Mistakes], split: str) -> Panel | None:
    kinds = [kind for kind in dict.fromkeys(k for m in found.values() for k in _kinds(m)) if kind != EXACT]
    series = [
        (title, [100 * _kinds(m).get(kind, 0) / max(1, sum(_kinds(m).values())) for kind in kinds])
        for title, m in found.items()
    ]
    return draw_dots("mistakes-kinds", "By kind", f"% of the {split} problems", kinds, series) if kinds else None


def _draw_groups(found: Mapping[str, Mistakes], split: str, grouping: _Grouping) -> Panel | None:
    names = list(_sizes(found, grouping.key))
    curves = [
        Curve(title, [(float(i), 100 * scores[name]) for i, name in enumerate(names, 1) if name in scores])
        for title, m in found.items()
        if (scores := _scores(m, grouping.key, "execution_accuracy"))
    ]
    if not curves:
        return None
    across = Across(grouping.axis, tuple(_short_title(grouping.key, name) for name in names))
    title = grouping.title.removeprefix("Scores ").capitalize()
    axis_title = f"% of the {split} problems solved"
    return draw_curves(f"mistakes-{slug(grouping.key)}", title, axis_title, curves, (0, 100), across=across)


def _describe_kinds(title: str, mistakes: Mistakes) -> str:
    """Say which kinds of mistakes are the most frequent."""
    counts = _kinds(mistakes)
    n, wrong = sum(counts.values()), {k: c for k, c in counts.items() if k not in (EXACT, RIGHT_VALUE) and c}
    if not wrong:
        return ""
    ranked = sorted(wrong, key=lambda kind: -wrong[kind])[:3]
    parts = join_words([f"{kind} ({wrong[kind]:,}, {in_percent(wrong[kind] / n):.1f} %)" for kind in ranked])
    other = counts.get(RIGHT_VALUE, 0)
    extra = (
        f" Another {other:,} ({in_percent(other / n):.1f} %) reach the right value by another program." if other else ""
    )
    return f"{title} gets {sum(wrong.values()):,} of {n:,} problems wrong; the most frequent: {parts}.{extra}"


def _describe_lengths(title: str, mistakes: Mistakes) -> str:
    """Say how accuracy changes from the shortest programs to the longest."""
    return _describe_ends(
        title, mistakes, "by_steps", lambda name: f"programs of {name} step{'' if name == '1' else 's'}"
    )


def _describe_nearness(title: str, mistakes: Mistakes) -> str:
    """Say how accuracy changes from problems far from training to those in it."""
    return _describe_ends(title, mistakes, "by_cosine", lambda name: f"problems with {_say_cosine(name)}")


def _describe_ends(title: str, mistakes: Mistakes, key: str, say: Callable[[str], str]) -> str:
    """Say the execution accuracy of the first and of the last group of those with enough problems."""
    scores, sizes = _scores(mistakes, key, "execution_accuracy"), _sizes({title: mistakes}, key)
    names = [name for name in scores if (sizes.get(name) or 0) >= _FEW]
    if len(names) < 2:
        return ""
    first, last = names[0], names[-1]
    return (
        f"{title} solves {in_percent(scores[first]):.1f} % of {say(first)} and {in_percent(scores[last]):.1f} % of"
        f" {say(last)}."
    )


def _describe_operations(title: str, mistakes: Mistakes) -> str:
    """Say which operations are hardest and easiest, of those with enough problems."""
    scores, sizes = _scores(mistakes, "by_operation", "execution_accuracy"), _sizes({title: mistakes}, "by_operation")
    names = sorted((name for name in scores if (sizes.get(name) or 0) >= _FEW), key=lambda name: scores[name])
    if len(names) < 2:
        return ""
    hardest, easiest = names[0], names[-1]
    return (
        f"{title} does worst where the reference has {hardest} ({in_percent(scores[hardest]):.1f} % of"
        f" {sizes[hardest]:,.0f} solved) and best where it has {easiest} ({in_percent(scores[easiest]):.1f} % of"
        f" {sizes[easiest]:,.0f}), of operations in {_FEW} problems or more."
    )


def _kinds(mistakes: Mistakes) -> dict[str, int]:
    """Return the number of predictions of each kind."""
    counts = {as_text(kind): as_number(count) for kind, count in as_mapping(mistakes.get("kinds")).items()}
    return {kind: int(count) for kind, count in counts.items() if count is not None}


def _sizes(found: Mapping[str, Mistakes], key: str) -> dict[str, float | None]:
    """Return the number of problems of each group."""
    sizes: dict[str, float | None] = {}
    for mistakes in found.values():
        for row in as_mappings(mistakes.get(key)):
            sizes.setdefault(as_text(row.get("name")), as_number(row.get("n")))
    return sizes


def _scores(mistakes: Mistakes, key: str, measure: str) -> dict[str, float]:
    """Return a measure of each group that has it."""
    rows = {as_text(row.get("name")): as_number(row.get(measure)) for row in as_mappings(mistakes.get(key))}
    return {name: value for name, value in rows.items() if value is not None}


def _group_title(key: str, name: str) -> str:
    """Return the name of a group for people."""
    if key != "by_cosine":
        return name
    if name.startswith("0.0 to "):
        return f"under {name.removeprefix('0.0 to ')}"
    return "seen" if "seen" in name else name.replace(" to ", "–")


def _short_title(key: str, name: str) -> str:
    """Return the name of a group as an axis has room for it."""
    return _group_title(key, name).replace("under ", "<").replace(" or more", "+").rpartition("–")[2]


def _say_cosine(name: str) -> str:
    title = _group_title("by_cosine", name)
    return "their own text in training" if title == "seen" else f"a cosine {title} to the nearest in training"
