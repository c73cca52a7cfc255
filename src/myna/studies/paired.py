"""Paired tests between the things that a study measured on the same examples; the same for both halves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from myna.studies.statistics import holm, paired_difference

Outcomes = Mapping[int, Sequence[bool]]
"""Whether each example is right, by the seed of the training."""


def compare(a: Outcomes, b: Outcomes) -> dict[str, Any]:
    """Compare two things over the seeds that both have.

    Returns:
        `n`, `n_seeds`, and what `paired_difference` gives; nothing where they have no seed or no example in common.
    """
    seeds = sorted(a.keys() & b.keys())
    ours, theirs = (np.array([each[seed] for seed in seeds], dtype=bool) for each in (a, b))  # (S, N)
    if not ours.size:
        return {}
    return {"n": ours.shape[1], "n_seeds": len(seeds), **paired_difference(ours, theirs)}


def compare_all(outcomes: Mapping[Any, Outcomes], **more: Any) -> list[dict[str, Any]]:
    """Compare every two things.

    Args:
        outcomes: by name.
        more: stands in each comparison.

    Returns:
        for each two that can be compared `a`, `b` (their names), `more`, and what `compare` gives.
    """
    found = [(a, b, compare(outcomes[a], outcomes[b])) for a, b in combinations(outcomes, 2)]
    return [{**more, "a": a, "b": b, **difference} for a, b, difference in found if difference]


def adjust(comparisons: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Add `p_holm` to comparisons that are read together: p, adjusted for how many they are."""
    adjusted = holm([each["p"] for each in comparisons])
    return [{**each, "p_holm": p} for each, p in zip(comparisons, adjusted, strict=True)]


def group_by_label(measured: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, str]]:
    """Return the names of measured runs by their label and seed."""
    by_label: dict[str, dict[int, str]] = {}
    for run in measured:
        by_label.setdefault(run["label"], {})[run["seed"]] = run["name"]
    return by_label


def pick(outcomes: Outcomes, places: Sequence[int]) -> dict[int, list[bool]]:
    """Return the outcomes of some examples alone."""
    return {seed: [right[i] for i in places] for seed, right in outcomes.items()}
