"""Reading the results of a birds study: the runs of one setting over their seeds, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from myna.report.document import Kind
from myna.report.results import (
    Points,
    Results,
    Run,
    Score,
    as_mapping,
    as_mappings,
    as_number,
    as_text,
    baselines_of,
    curve_of,
    interval,
    runs_of,
    titles_of,
)
from myna.report.tables import describe_rest
from myna.studies.statistics import seed_interval

SPLITS = ("test", "val", "train")
"""Splits that are scored, the most telling first."""
SHARES = {"accuracy": "Accuracy", "micro_f1": "Micro F1", "macro_f1": "Macro F1"}
"""What the assignment asks for on each split; the error is what accuracy leaves."""
CONFIDENCE = {"top5": "Top 5", "calibration_error": "Calibration error", "loss": "Loss"}
_GOES_WITH_BATCH_SIZE = ("training.batch_size", "training.epochs", "training.optimizer.learning_rate")
"""Of two batch sizes, these may differ: for as many steps, or by the linear scaling rule (Goyal et al. 2017)."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Variant:
    """Runs that differ in their seed alone, or a baseline.

    Attributes:
        title: unique in the study.
        kind: whose it is.
        runs: in order of seed.
    """

    title: str
    kind: Kind
    runs: tuple[Run, ...]

    @property
    def norm(self) -> str:
        """Name of its norm; "" where not stated."""
        return as_text(self.setting("model.norm"))

    @property
    def batch_size(self) -> int | None:
        """Photos that a step of training sees."""
        return next((size for run in self.runs if (size := _batch_size(run)) is not None), None)

    def setting(self, key: str) -> Any:
        """Return a setting of the first run that states it."""
        values = (as_mapping(run.get("config")).get(key) for run in self.runs)
        return next((value for value in values if value is not None), None)

    def values(self, split: str, measure: str) -> list[float]:
        """Return a measure of each run that has it."""
        found = (as_number(score_of(run, split).get(measure)) for run in self.runs)
        return [value for value in found if value is not None]

    def value(self, split: str, measure: str) -> float | None:
        """Return the mean of a measure over the runs."""
        values = self.values(split, measure)
        return mean(values) if values else None

    def interval(self, split: str, measure: str) -> Interval | None:
        """Return the 95 % interval of a share: over seeds, or with one seed over photos."""
        values = self.values(split, measure)
        if len(values) > 1:
            _, low, high = seed_interval(values)
            return None if low is None or high is None else (max(0.0, low), min(1.0, high))
        return interval(score_of(self.runs[0], split), measure) if len(self.runs) == 1 else None

    def curve(self, split: str, measure: str, combine: Callable[[list[float]], float] = mean) -> Points:
        """Return a curve over all runs, up to the last epoch that each of them reached."""
        curves = [curve for run in self.runs if (curve := dict(curve_of(run, split, measure)))]
        shared = sorted(set.intersection(*map(set, curves))) if curves else []
        return [(epoch, combine([curve[epoch] for curve in curves])) for epoch in shared]

    def cost(self, key: str) -> float | None:
        """Return the mean over runs of a number that they state, such as minutes."""
        values = [value for run in self.runs if (value := as_number(run.get(key))) is not None]
        return mean(values) if values else None

    @property
    def best_run(self) -> Run:
        """Its run that is most accurate on val."""
        return max(self.runs, key=lambda run: as_number(score_of(run, "val").get("accuracy")) or 0.0)


def variants_of(results: Results) -> list[Variant]:
    """Return the settings of a study, each with its runs; one label at two batch sizes is two settings."""
    by_label: dict[str, list[Run]] = {}
    for run in runs_of(results):
        by_label.setdefault(as_text(run.get("label") or run.get("name")) or "unnamed", []).append(run)
    variants = []
    for label, runs in by_label.items():
        sizes = dict.fromkeys(size for run in runs if (size := _batch_size(run)) is not None)
        # A run that does not say its batch size has that of the others.
        first = next(iter(sizes), None)
        for size in sizes or (None,):
            own = [run for run in runs if (_batch_size(run) or first) == size]
            title = label if len(sizes) < 2 else f"{label}, batch {size}"
            variants.append(Variant(title, "run", tuple(sorted(own, key=lambda run: as_number(run.get("seed")) or 0))))
    return variants


def _batch_size(run: Run) -> int | None:
    """Return how many photos a step of training sees."""
    size = as_number(as_mapping(run.get("config")).get("training.batch_size"))
    return None if size is None else int(size)


def floors_of(results: Results) -> list[Variant]:
    """Return the baselines."""
    baselines = baselines_of(results)
    return [Variant(title, "baseline", (each,)) for each, title in zip(baselines, titles_of(baselines), strict=True)]


def score_of(entry: Run, split: str) -> Score:
    """Return the scores of a run or baseline on a split."""
    return as_mapping(as_mapping(entry.get("scores")).get(split))


def rank(variants: Sequence[Variant], split: str) -> list[Variant]:
    """Return the settings that have an accuracy on a split, the most accurate first."""
    known = [variant for variant in variants if variant.value(split, "accuracy") is not None]
    return sorted(known, key=lambda variant: variant.value(split, "accuracy") or 0.0, reverse=True)


def find_best(results: Results) -> Variant | None:
    """Return the setting that is most accurate on val, or on test where nothing has val."""
    variants = variants_of(results)
    return next((ranked[0] for split in ("val", "test") if (ranked := rank(variants, split))), None)


def find_main_split(results: Results) -> str:
    """Return test, or val where only that has scores of a run."""
    return next((split for split in ("test", "val") if rank(variants_of(results), split)), "test")


def batch_sizes_of(results: Results) -> dict[str, list[Variant]]:
    """Return by norm the most settings that differ in batch size, and in what goes with it, alone; smallest first.

    A norm with one batch size is left out.
    """
    by_norm: dict[str, dict[str, dict[int, Variant]]] = {}
    for variant in variants_of(results):
        if variant.norm and variant.batch_size is not None:
            rest = describe_rest(as_mapping(variant.runs[0].get("config")), *_GOES_WITH_BATCH_SIZE)
            by_norm.setdefault(variant.norm, {}).setdefault(rest, {}).setdefault(variant.batch_size, variant)
    most = {norm: max(alike.values(), key=len) for norm, alike in by_norm.items()}
    return {norm: [sizes[size] for size in sorted(sizes)] for norm, sizes in most.items() if len(sizes) > 1}


@dataclass(frozen=True)
class Confusion:
    """How often each class is taken for each, on one split.

    Attributes:
        names: of the classes.
        counts: rows are the truth, columns what was said.
    """

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    def share(self, truth: int, said: int) -> float:
        """Return which share of a class was taken for another."""
        return self.counts[truth][said] / max(1, sum(self.counts[truth]))

    def mistakes(self) -> list[tuple[int, int]]:
        """Return the pairs (truth, said) that were confused, the most frequent first."""
        n = len(self.names)
        pairs = [(i, j) for i in range(n) for j in range(n) if i != j and self.counts[i][j]]
        return sorted(pairs, key=lambda pair: -self.counts[pair[0]][pair[1]])


def confusion_of(score: Score) -> Confusion | None:
    """Return the confusion matrix of a score, None where it is not whole."""
    names = tuple(as_text(each.get("name")) or "unnamed" for each in as_mappings(score.get("per_class")))
    rows = score.get("confusion")
    if not names or not isinstance(rows, list) or len(rows) != len(names):
        return None
    counts = []
    for row in rows:
        numbers = [as_number(value) for value in row] if isinstance(row, list) else []
        if len(numbers) != len(names) or None in numbers:
            return None
        counts.append(tuple(int(number or 0) for number in numbers))
    return Confusion(names, tuple(counts))


def per_class(score: Score) -> list[Mapping[str, Any]]:
    """Return precision, recall and F1 of each class that has a name and F1."""
    classes = as_mappings(score.get("per_class"))
    return [each for each in classes if each.get("name") and as_number(each.get("f1")) is not None]


def epochs_of(run: Run) -> tuple[int, int] | None:
    """Return the epoch that was most accurate on val and the last one, None without a curve."""
    points = curve_of(run, "val", "accuracy")
    if not points:
        return None
    best, _ = max(points, key=lambda point: point[1])
    return int(best), int(points[-1][0])
