"""Differences between settings that were trained with the same seeds."""

from __future__ import annotations

from collections.abc import Mapping

from myna.studies.statistics import seed_interval

Change = tuple[float, float | None, float | None]
"""In points: mean over seeds, and the ends of its 95 % interval; one seed has none."""


def measure_change(before: Mapping[str, float], after: Mapping[str, float]) -> Change | None:
    """Return the change of a share, over the seeds that both have; None where they share none.

    Args:
        before: shares by seed.
        after: likewise.
    """
    differences = [100 * (after[seed] - value) for seed, value in before.items() if seed in after]
    return seed_interval(differences) if differences else None


def say_interval(change: Change) -> str:
    """Return " (95 % interval over seeds +1.0 to +2.0)", or "" for one seed."""
    _, low, high = change
    return "" if low is None or high is None else f" (95 % interval over seeds {low:+.1f} to {high:+.1f})"
