"""What mattered in a search: the effect of each setting on the score, and how much of it chance would make.

With a dozen trials, models of the whole space (fANOVA's forest, PED-ANOVA's densities) say more about themselves than
about the settings. Here each setting is looked at alone, by ranks, and held against shuffled scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from myna.studies.statistics import holm


def measure_effects(
    settings: Sequence[Mapping[str, Any]], scores: Sequence[float], n_shuffles: int = 10_000, seed: int = 0
) -> list[dict[str, Any]]:
    """Measure how far the scores of trials go with the value of each setting, that which matters most first.

    `share` is that of the variance of the scores' ranks which lies between the values (eta squared; times n - 1 it is
    the statistic of Kruskal and Wallis 1952, Journal of the American Statistical Association 47(260)). A setting
    without effect has (k - 1) / (n - 1) on average, `chance`. p is the share of shuffles of the scores with as large
    a share, and `p_holm` that adjusted for the number of settings.

    Args:
        settings: of each trial, by name.
        scores: of each trial.
        n_shuffles: of the scores.
        seed: of the shuffles.

    Returns:
        for each setting `name`, `values` (`value`, `n`, `mean`), `share`, `chance`, `p`, `p_holm`; the last four are
        None for a setting of which there is one value, or where all scores are equal.
    """
    ranks = stats.rankdata(scores)
    shuffled = np.random.default_rng(seed).permuted(np.tile(ranks, (n_shuffles, 1)), axis=1)  # (R, N)
    effects = [_measure(name, [each[name] for each in settings], scores, ranks, shuffled) for name in settings[0]]
    tested = [effect for effect in effects if effect["p"] is not None]
    for effect, p in zip(tested, holm([effect["p"] for effect in tested]), strict=True):
        effect["p_holm"] = p
    return sorted(effects, key=lambda effect: -(effect["share"] or 0.0))


def score_margin(share: float, n: int) -> float:
    """Return half of the 95 % interval of a share of n examples (normal approximation to the binomial)."""
    return float(stats.norm.ppf(0.975) * np.sqrt(share * (1 - share) / n))


def _measure(
    name: str, values: Sequence[Any], scores: Sequence[float], ranks: NDArray[Any], shuffled: NDArray[Any]
) -> dict[str, Any]:
    """Return the effect of one setting."""
    choices = sorted(set(values), key=lambda value: (isinstance(value, str), value))
    members = np.array([[value == choice for choice in choices] for value in values], dtype=float)  # (N, K)
    counts = members.sum(0)  # (K)
    means = np.asarray(scores, dtype=float) @ members / counts  # (K)
    effect: dict[str, Any] = {
        "name": name,
        "values": [
            {"value": choice, "n": int(n), "mean": float(mean)}
            for choice, n, mean in zip(choices, counts, means, strict=True)
        ],
        **dict.fromkeys(("share", "chance", "p", "p_holm")),
    }
    total = float(((ranks - ranks.mean()) ** 2).sum())
    if len(choices) == 1 or not total:
        return effect
    share, by_chance = (_between(each, members, counts) / total for each in (ranks[None], shuffled))
    # The scores as they are count as one of the shuffles.
    p = (1 + int((by_chance >= share[0] - 1e-9).sum())) / (1 + len(shuffled))
    return effect | {"share": float(share[0]), "chance": (len(choices) - 1) / (len(ranks) - 1), "p": p}


def _between(ranks: NDArray[Any], members: NDArray[Any], counts: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of squares between groups. Shape: ranks (R, N), members (N, K), counts (K); result (R)."""
    sums = ranks @ members  # (R, K)
    between: NDArray[Any] = (sums**2 / counts).sum(1) - ranks.mean(1) ** 2 * ranks.shape[1]
    return between
