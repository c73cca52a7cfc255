"""The sanity check of the assignment: our batch normalisation against the inbuilt one, from the same start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean

from myna.report.birds.measures import Variant, score_of, variants_of
from myna.report.document import Column, Figure, Notes, Row, Table, number_cell, percent_cell, text_cell
from myna.report.plots import Curve, draw_curves
from myna.report.results import Points, Results, Run, as_mapping, as_number, as_text, curve_of
from myna.report.tables import describe_rest, drop_empty_columns

OURS, THEIRS = "bn", "inbuilt"
_CURVES = {"Training loss": ("train", "loss"), "Val loss": ("val", "loss")}
_FINAL = {"accuracy": "Accuracy", "macro_f1": "Macro F1"}


@dataclass(frozen=True)
class Gap:
    """How far two trainings lie apart.

    Attributes:
        title: which two.
        curves: by name, the absolute difference at each epoch that both reached.
        final: by split and measure, the absolute difference of the final scores.
    """

    title: str
    curves: dict[str, list[float]]
    final: dict[tuple[str, str], float]


@dataclass(frozen=True)
class Check:
    """All pairs of trainings that the check compares.

    Attributes:
        twins: bn against inbuilt of the same seed.
        seeds: inbuilt against itself under another seed.
        runs: the first pair of twins.
    """

    twins: list[Gap]
    seeds: list[Gap]
    runs: tuple[Run, Run]


def check_sanity(results: Results) -> Check | None:
    """Compare bn with inbuilt at every seed that both have, all other settings being equal; None if there is none."""
    by_seed = [_runs_by_seed(variants_of(results), norm) for norm in (OURS, THEIRS)]
    ours, theirs = by_seed
    shared = [key for key in ours if key in theirs]
    if not shared:
        return None
    twins = [_measure(f"{OURS} against {THEIRS}, {_name(key)}", ours[key], theirs[key]) for key in shared]
    pairs = [pair for pair in combinations(theirs, 2) if pair[0][0] == pair[1][0]]
    seeds = [_measure(f"{THEIRS}, {_name(a)} against {_name(b)}", theirs[a], theirs[b]) for a, b in pairs]
    return Check(twins, seeds, (ours[shared[0]], theirs[shared[0]]))


def make_sanity_table(check: Check) -> Table:
    """Return the differences of loss curves and final scores: of the twins, then of two seeds of inbuilt."""
    columns = [Column("Trainings", is_number=False)]
    columns += [Column(end, name) for name in _CURVES for end in ("Mean", "Largest")]
    columns += [Column(title, f"Final, {split}") for split in ("val", "test") for title in _FINAL.values()]
    rows = []
    for gap in (*check.twins, *check.seeds):
        cells = [number_cell(end, 4) for name in _CURVES for end in _ends(gap.curves[name])]
        cells += [percent_cell(gap.final.get((split, m))) for split in ("val", "test") for m in _FINAL]
        rows.append(Row((text_cell(gap.title), *cells)))
    caption = "Absolute differences: of losses over the epochs that both reached, in nats; of final scores in points."
    return drop_empty_columns(Table("sanity-table", "Differences", caption, tuple(columns), tuple(rows)))


def draw_sanity_figure(check: Check) -> Figure | None:
    """Return the training loss and the error on val of the first twins, on the same axes."""
    drawn = {
        "Training loss": ("Loss (nats a photo)", "train", "loss", False),
        "Error on val": ("% of the val photos", "val", "accuracy", True),
    }
    panels = []
    for i, (title, (axis_title, split, measure, is_error)) in enumerate(drawn.items()):
        curves = []
        for name, run in zip((OURS, THEIRS), check.runs, strict=True):
            points = curve_of(run, split, measure)
            curves.append(Curve(name, [(e, 100 * (1 - v)) for e, v in points] if is_error else points))
        values = [value for curve in curves for _, value in curve.points]
        if values:
            panels.append(draw_curves(f"sanity-{i}", title, axis_title, curves, (min(values), max(values))))
    caption = f"Seed {as_text(check.runs[0].get('seed'))}: same start, same data in the same order."
    return Figure("sanity-curves", f"{OURS} and {THEIRS} by epoch", caption, tuple(panels)) if panels else None


def describe_sanity(check: Check) -> Notes:
    """Say whether bn differs from inbuilt by more than two seeds of inbuilt differ."""
    sentences = []
    for name in _CURVES:
        twins, seeds = _means(check.twins, name), _means(check.seeds, name)
        if twins:
            sentences.append(f"{name}: {_judge(twins, seeds, ' nats', 4)}.")
    for split in ("test", "val"):
        twins, seeds = (
            [100 * g.final[split, "accuracy"] for g in gaps if (split, "accuracy") in g.final]
            for gaps in (check.twins, check.seeds)
        )
        if twins:
            sentences.append(f"Final accuracy on {split}: {_judge(twins, seeds, ' points', 1)}.")
    return Notes("", tuple(sentences))


def _judge(twins: Sequence[float], seeds: Sequence[float], unit: str, n_decimals: int) -> str:
    """Say how far the twins are apart, and whether two seeds are ever further apart."""
    ours = f"{OURS} and {THEIRS} differ by {mean(twins):.{n_decimals}f}{unit} on average"
    if not max(twins):
        return f"{OURS} and {THEIRS} are identical"
    if not seeds:
        return f"{ours}; with one seed of {THEIRS} there is nothing to hold it against"
    side = "within" if mean(twins) <= max(seeds) else "MORE than"
    apart = " to ".join(dict.fromkeys(f"{end:.{n_decimals}f}" for end in (min(seeds), max(seeds))))
    return f"{ours}, {side} what two seeds of {THEIRS} differ by ({apart})"


def _runs_by_seed(variants: Sequence[Variant], norm: str) -> dict[tuple[str, str], Run]:
    """Return the runs of a norm by all their other settings, and by seed."""
    return {
        (describe_rest(as_mapping(run.get("config")), "model.norm"), as_text(run.get("seed"))): run
        for variant in variants
        if (variant.norm or variant.title) == norm
        for run in variant.runs
    }


def _name(key: tuple[str, str]) -> str:
    return f"seed {key[1]}"


def _measure(title: str, a: Run, b: Run) -> Gap:
    """Return how far two trainings lie apart."""
    curves = {name: _differences(curve_of(a, *where), curve_of(b, *where)) for name, where in _CURVES.items()}
    final = {}
    for split in ("val", "test"):
        for measure in _FINAL:
            values = [as_number(score_of(run, split).get(measure)) for run in (a, b)]
            if values[0] is not None and values[1] is not None:
                final[split, measure] = abs(values[0] - values[1])
    return Gap(title, curves, final)


def _differences(a: Points, b: Points) -> list[float]:
    others = dict(b)
    return [abs(value - others[epoch]) for epoch, value in a if epoch in others]


def _ends(differences: Sequence[float]) -> tuple[float | None, float | None]:
    return (mean(differences), max(differences)) if differences else (None, None)


def _means(gaps: Sequence[Gap], name: str) -> list[float]:
    return [mean(gap.curves[name]) for gap in gaps if gap.curves[name]]
