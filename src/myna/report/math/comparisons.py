"""Paired tests on problems: between models, and of each model with what learns nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from myna.report.document import NOTHING, Cell, Column, Notes, Row, Table, text_cell
from myna.report.math.measures import SEARCHES
from myna.report.results import Results, as_mappings, as_number, as_text, in_percent, join_words
from myna.report.significance import (
    SIGNIFICANT,
    TEST_COLUMNS,
    adjusted_p,
    cells_of,
    difference_cell,
    judge,
    say_p,
)
from myna.report.tables import drop_empty_columns

MEASURES = {"exact_match": "EM", "execution_accuracy": "Exec"}
_SUBSETS = {"": "all", "novel": "novel", "far": "far"}
_MANY = 12
"""Rows of which a table is shown when it is opened; the words above it say what matters."""
Comparison = Mapping[str, Any]


def comparisons_of(results: Results, what: str) -> list[Comparison]:
    """Return the paired tests of one kind: models, beams or baselines."""
    return [
        each
        for each in as_mappings(results.get("comparisons"))
        if each.get("what") == what
        and each.get("measure") in MEASURES
        and as_number(each.get("difference")) is not None
    ]


def make_model_table(results: Results) -> Table | None:
    """Return the paired tests between models, by exact match and then by execution accuracy."""
    found = comparisons_of(results, "models")
    names = [(as_text(each.get("a")), as_text(each.get("b"))) for each in found]
    return make_test_table("comparison-table", "Paired comparisons of models", found, names)


def make_test_table(
    table_id: str, title: str, found: Sequence[Comparison], names: Sequence[tuple[str, str]]
) -> Table | None:
    """Return a table of paired tests, each with the names of what it compares."""
    words = ("First", "Second", "Measure", "Search")
    columns = (*(Column(word, is_number=False) for word in words), *TEST_COLUMNS)
    rows = tuple(
        Row((*map(text_cell, pair), text_cell(MEASURES[each["measure"]]), text_cell(say_search(each)), *cells_of(each)))
        for each, pair in zip(found, names, strict=True)
    )
    if not rows:
        return None
    is_folded = len(rows) > _MANY
    return drop_empty_columns(Table(table_id, title, _describe_tests(found), columns, rows, is_folded))


def make_baseline_table(results: Results) -> Table | None:
    """Return how far each model is above each baseline, on all problems, the novel and the far."""
    found = comparisons_of(results, "baselines")
    by_place = {_place(each): each for each in found}
    columns = [Column("System", is_number=False), Column("Less the baseline", is_number=False)]
    for subset in _SUBSETS:
        columns += [Column(name, _group_title(found, subset)) for name in MEASURES.values()]
    rows = []
    for a, b in dict.fromkeys((each.get("a"), each.get("b")) for each in found):
        cells = [_gain_cell(by_place.get((a, b, subset, measure))) for subset in _SUBSETS for measure in MEASURES]
        rows.append(Row((text_cell(as_text(a)), text_cell(as_text(b)), *cells), "run"))
    if not rows:
        return None
    caption = f"{_describe_tests(found)} Here p is the adjusted one. All are by {say_search(found[0])}."
    return drop_empty_columns(Table("gain-table", "Above the baselines", caption, tuple(columns), tuple(rows)))


def describe_models(results: Results) -> Notes | None:
    """Say how the model with most exact matches stands to each other one, and how many differences are no noise."""
    found = comparisons_of(results, "models")
    sentences = []
    for measure, name in MEASURES.items():
        own = [each for each in found if each.get("measure") == measure]
        leader = _find_leader(own)
        parts = [_say_lead(each, leader) for each in own if leader in (each.get("a"), each.get("b"))]
        if parts:
            where = f"On {as_text(own[0].get('split'))} ({say_search(own[0])}), paired over problems"
            sentences.append(f"{where}, {leader} leads in {name}: {join_words(parts)}.")
        if len(own) > 1:
            sentences.append(_count_clear(own, name))
    return Notes("Between models", tuple(sentences)) if sentences else None


def describe_gains(results: Results) -> Notes | None:
    """Say how far each model is above each baseline, and which of these differences may be noise."""
    by_pair: dict[tuple[str, str], list[Comparison]] = {}
    for each in comparisons_of(results, "baselines"):
        by_pair.setdefault((as_text(each.get("a")), as_text(each.get("b"))), []).append(each)
    sentences = tuple(_say_gains(a, b, found) for (a, b), found in by_pair.items())
    return Notes("Against the baselines", sentences) if sentences else None


def say_test(comparison: Comparison, sign: int = 1) -> str:
    """Return "+1.2 points of EM (more than noise, adjusted p < 0.001)"; with -1 it is the second less the first."""
    points = sign * in_percent(as_number(comparison.get("difference")) or 0.0) + 0.0
    p = adjusted_p(comparison)
    verdict = "" if p is None else f" ({judge(p)}, adjusted {say_p(p)})"
    return f"{points:+.1f} points of {MEASURES[comparison['measure']]}{verdict}"


def say_search(comparison: Comparison) -> str:
    """Return "plain search, beam 10"."""
    search, beam_size = as_text(comparison.get("search")), as_text(comparison.get("beam_size"))
    name = f"{SEARCHES.get(search, search)} search" if search else ""
    return ", ".join(filter(None, (name, f"beam {beam_size}" if beam_size else "")))


def _place(comparison: Comparison) -> tuple[Any, ...]:
    return tuple(comparison.get(key) for key in ("a", "b", "subset", "measure"))


def _gain_cell(comparison: Comparison | None) -> Cell:
    """Return a difference with its interval and p."""
    if comparison is None:
        return Cell(NOTHING)
    p = adjusted_p(comparison)
    return difference_cell(comparison, "" if p is None else say_p(p))


def _group_title(found: Sequence[Comparison], subset: str) -> str:
    """Return the name of a subset, with its size."""
    sizes = {as_number(each.get("n")) for each in found if each.get("subset") == subset} - {None}
    return (subset or "all").capitalize() + (f", n = {sizes.pop():,.0f}" if len(sizes) == 1 else "")


def _describe_tests(found: Sequence[Comparison]) -> str:
    """Say what is tested, and how."""
    if not found:
        return ""
    n = max(sum(each.get("measure") == measure for each in found) for measure in MEASURES)
    return (
        f"Points, on the same problems of {as_text(found[0].get('split'))} and the same seeds, with a 95 % bootstrap"
        " interval over problems; p is the exact sign-flip test (one seed: McNemar's), adjusted by Holm's method so"
        f" that in the {n} comparisons of one measure together a false alarm has a chance of at most"
        f" {100 * SIGNIFICANT:.0f} %. Interval and p are about other problems for these very trainings, not about"
        " other seeds."
    )


def _find_leader(found: Sequence[Comparison]) -> str:
    """Return the label that is behind no other, and ahead of one; "" where there is none.

    Each two are compared over the seeds that they share, so that A may be ahead of B, B of C, and C of A.
    """
    leads: dict[str, list[float]] = {}
    for each in found:
        difference = as_number(each.get("difference")) or 0.0
        for key, sign in (("a", 1), ("b", -1)):
            leads.setdefault(as_text(each.get(key)), []).append(sign * difference)
    ahead = {label: sum(own) for label, own in leads.items() if min(own) >= 0 < max(own)}
    return max(ahead, key=ahead.__getitem__, default="")


def _say_lead(comparison: Comparison, leader: str) -> str:
    """Say how far the leader is from the other one."""
    a, b = (as_text(comparison.get(key)) for key in ("a", "b"))
    points = in_percent(as_number(comparison.get("difference")) or 0.0) * (1 if a == leader else -1)
    p = adjusted_p(comparison)
    verdict = "" if p is None else f" ({judge(p)}, adjusted {say_p(p)})"
    return f"by {points + 0.0:.1f} points over {b if a == leader else a}{verdict}"


def _count_clear(found: Sequence[Comparison], name: str) -> str:
    n = sum(p < SIGNIFICANT for each in found if (p := adjusted_p(each)) is not None)
    return f"{n} of the {len(found)} paired comparisons of {name} are more than noise."


def _say_gains(label: str, baseline: str, found: Sequence[Comparison]) -> str:
    """Say how far a model is above a baseline, subset by subset."""
    parts = []
    for subset, where in _SUBSETS.items():
        own = {each["measure"]: each for each in found if each.get("subset") == subset}
        figures = [
            f"{in_percent(own[m]['difference']) + 0.0:+.1f} of {name}" for m, name in MEASURES.items() if m in own
        ]
        if figures:
            n = as_number(next(iter(own.values())).get("n"))
            size = f"{n:,.0f} " if n else ""
            parts.append(
                f"{join_words(figures)} on {f'the {size}{where}' if subset else f'all {size}'.strip()} problems"
            )
    unclear = [
        f"{MEASURES[each['measure']]} on {_SUBSETS.get(as_text(each.get('subset')), '')}"
        for each in found
        if (adjusted_p(each) or 0.0) >= SIGNIFICANT
    ]
    verdict = f"not more than noise: {join_words(unclear)}" if unclear else "each is more than noise"
    return f"{label} less {baseline}, in points: {', '.join(parts)}; {verdict}."
