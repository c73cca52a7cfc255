"""Runs that differ in their seed alone, put together into one: the mean, and its interval over seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import mean
from typing import Any

from myna.report.math.measures import main_score, scores_of
from myna.report.results import (
    Points,
    Results,
    Run,
    as_mapping,
    as_mappings,
    as_number,
    as_text,
    curve_of,
    join_values,
    runs_of,
)
from myna.studies.statistics import seed_interval

SHARES = ("exact_match", "raw_exact_match", "execution_accuracy", "token_match")
_COUNTS = ("failures", "kinds")
"""Counts by name: a name that a run lacks counts 0 there."""


def over_seeds(results: Results) -> Results:
    """Return results in which the runs of one label are one run, with `n_seeds` and its `seeds`, the runs themselves.

    Numbers are means. Curves reach as far as all of the runs do. A score has `n_seeds` too, and intervals over seeds.
    A label that has a seed twice is left as it is, since nothing says which runs belong together.
    """
    by_label: dict[str, list[Run]] = {}
    for run in runs_of(results):
        by_label.setdefault(as_text(run.get("label") or run.get("name")) or "unnamed", []).append(run)
    merged: list[Run] = []
    for runs in by_label.values():
        n_seeds = len({as_text(run.get("seed")) for run in runs})
        merged += [_merge_runs(runs)] if 1 < len(runs) == n_seeds else runs
    return {**results, "runs": merged}


def seeds_of(run: Run) -> list[Run]:
    """Return the trainings that a run of `over_seeds` is made of: itself, where it is one training."""
    return as_mappings(run.get("seeds")) or [run]


def values_by_seed(run: Run, split: str, measure: str) -> dict[str, float]:
    """Return a measure of the main score of each training, by its seed."""
    found = {as_text(each.get("seed")): as_number(main_score(each, split).get(measure)) for each in seeds_of(run)}
    return {seed: value for seed, value in found.items() if value is not None}


def combine_curves(run: Run, split: str, measure: str, combine: Callable[[list[float]], float] = mean) -> Points:
    """Return a curve over all trainings of a run, up to the last epoch that each of them reached."""
    curves = [dict(points) for each in seeds_of(run) if (points := curve_of(each, split, measure))]
    shared = sorted(set.intersection(*map(set, curves))) if curves else []
    return [(epoch, combine([curve[epoch] for curve in curves])) for epoch in shared]


def _merge_runs(runs: Sequence[Run]) -> Run:
    """Return several trainings of one setting as one run."""
    configs = [config for run in runs if (config := as_mapping(run.get("config")))]
    keys = dict.fromkeys(key for config in configs for key in config)
    first: dict[str, Any] = {}
    for run in runs:
        first = {**run, **first}
    return {
        **first,
        "n_seeds": len(runs),
        "seeds": list(runs),
        "config": {key: join_values([config.get(key) for config in configs]) for key in keys},
        "n_parameters": _mean([run.get("n_parameters") for run in runs]),
        "minutes": _mean([run.get("minutes") for run in runs]),
        "curves": _merge_curves(runs),
        "scores": {split: _merge_scores(runs, split) for split in _splits(runs)},
        "mistakes": _merge([as_mapping(run.get("mistakes")) for run in runs]),
    }


def _splits(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(split for run in runs for split in as_mapping(run.get("scores"))))


def _merge_scores(runs: Sequence[Run], split: str) -> list[dict[str, Any]]:
    """Return the mean score for each way of searching, over the trainings that have it."""
    by_search: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for run in runs:
        for score in scores_of(run, split):
            by_search.setdefault((as_text(score.get("beam_size")), as_text(score.get("search"))), []).append(score)
    return [_merge_score(scores) for scores in by_search.values()]


def _merge_score(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean of scores, with intervals over seeds where there are several."""
    merged: dict[str, Any] = {**_merge(scores), "n_seeds": len(scores)}
    if len(scores) > 1:
        values = {m: [v for score in scores if (v := as_number(score.get(m))) is not None] for m in SHARES}
        merged["intervals"] = {m: _clip(seed_interval(own)) for m, own in values.items() if len(own) > 1}
    return merged


def _clip(interval: tuple[float, float | None, float | None]) -> tuple[float, float]:
    """Return the ends of the interval of a share, which is never below 0 or above 1."""
    value, low, high = interval
    return max(0.0, value if low is None else low), min(1.0, value if high is None else high)


def _merge_curves(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the points that all trainings have, each the mean of theirs."""
    by_place: dict[tuple[str, float], list[Mapping[str, Any]]] = {}
    with_curves = [points for run in runs if (points := as_mappings(run.get("curves")))]
    for points in with_curves:
        for point in points:
            if (epoch := as_number(point.get("epoch"))) is not None:
                by_place.setdefault((as_text(point.get("split")), epoch), []).append(point)
    return [_merge(points) for points in by_place.values() if len(points) == len(with_curves)]


def _merge(values: Sequence[Any], *, is_count: bool = False) -> Any:
    """Return the mean of numbers, and of the numbers in mappings and lists; else the first value."""
    if all(isinstance(value, Mapping) for value in values):
        keys = dict.fromkeys(key for value in values for key in value)
        if is_count:
            return {key: round(mean([as_number(value.get(key)) or 0.0 for value in values])) for key in keys}
        found = {key: [value[key] for value in values if value.get(key) is not None] for key in keys}
        return {key: _merge(own, is_count=key in _COUNTS) if own else None for key, own in found.items()}
    if all(isinstance(value, list | tuple) for value in values) and len({len(value) for value in values}) == 1:
        return [_merge(own) for own in zip(*values, strict=True)]
    number = _mean(values)
    return values[0] if number is None else number


def _mean(values: Sequence[Any]) -> float | None:
    """Return the mean of the numbers among values, as it is where all are the same."""
    numbers = [number for value in values if (number := as_number(value)) is not None]
    if not numbers:
        return None
    return numbers[0] if len(set(numbers)) == 1 else mean(numbers)
