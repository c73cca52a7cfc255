"""How sure a comparison is: over seeds, over photos or problems, and over many comparisons at once.

Two things vary between one measurement and the next: the seed of the training and the examples that it is tested on.
`seed_interval` is about the first, `paired_difference` about the second.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


def seed_interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Return the mean over seeds and the ends of its 95 % interval; one seed has no interval (None).

    mean ± t * s / sqrt(n), with s the sample's standard deviation and t of n - 1 degrees of freedom.
    Source: Student 1908, Biometrika 6(1). Checked against: scipy.stats.ttest_1samp.

    Raises:
        ValueError: there are no values, or one is not finite.
    """
    sample = np.asarray(values, dtype=float)
    if not len(sample) or not np.isfinite(sample).all():
        raise ValueError(f"seed_interval: expected one finite value or more, not {list(values)}")
    mean = float(sample.mean())
    if len(sample) == 1:
        return mean, None, None
    margin = float(stats.t.ppf(0.975, len(sample) - 1) * sample.std(ddof=1) / np.sqrt(len(sample)))
    return mean, mean - margin, mean + margin


def paired_difference(
    correct_a: ArrayLike, correct_b: ArrayLike, n_resamples: int = 10_000, seed: int = 0
) -> dict[str, float]:
    """Compare the accuracies of two models, each trained with the same seeds and tested on the same examples.

    What counts of an example is how many runs of a and of b get it right. If the models are equally good, each
    difference might as well have the other sign: p is the exact share of all choices of signs whose total is as far
    from 0 as the one found (Fisher's randomisation test; for one seed that of McNemar 1947, Psychometrika 12(2)).
    The interval is the 95 % percentile bootstrap over examples (Efron 1979, The Annals of Statistics 7(1)). Both are
    about other examples for these very runs; of other seeds they know nothing.

    Shape:
        correct_a, correct_b: (S, N), whether the run of each seed is right on each example.

    Args:
        correct_a: of one model.
        correct_b: of the other.
        n_resamples: how often N examples are drawn for the interval.
        seed: of these draws.

    Returns:
        `difference` of a's accuracy less b's, `low` and `high` of its interval, and `p`.

    Raises:
        ValueError: the two are not of one shape, or not truth values.
    """
    a, b = _check_pair(correct_a, correct_b)
    n_seeds, n_examples = a.shape
    differences = a.sum(0) - b.sum(0)  # (N), from -S to S
    values, counts = np.unique(differences, return_counts=True)
    # Drawing N examples with replacement is drawing how often each difference occurs.
    drawn = np.random.default_rng(seed).multinomial(n_examples, counts / n_examples, size=n_resamples)
    low, high = np.quantile(drawn @ values, [0.025, 0.975]) / a.size
    return {
        "difference": float(differences.sum() / a.size),
        "low": float(low),
        "high": float(high),
        "p": _sign_flip_p(differences, n_seeds),
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p of several comparisons so that the chance of any false alarm among them stays the one stated.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none may fall below one before it.
    Source: Holm 1979, Scandinavian Journal of Statistics 6(2). Checked against: R's p.adjust.

    Raises:
        ValueError: a value is not between 0 and 1.
    """
    p = np.asarray(p_values, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"holm: expected values from 0 to 1, not {list(p_values)}")
    order = p.argsort(kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return [float(value) for value in adjusted]


def _sign_flip_p(differences: NDArray[np.int64], largest: int) -> float:
    """Return the share of choices of signs with a total as far from 0 as that of whole numbers, at most `largest`.

    Among n examples with a difference of size k, the number with a plus is binomial; so the total of all pluses is a
    sum of a few binomials, each times its k, and its distribution a convolution.
    """
    distribution = np.ones(1)
    for size in range(1, largest + 1):
        n = int((np.abs(differences) == size).sum())
        pluses = np.zeros(size * n + 1)
        pluses[::size] = stats.binom.pmf(np.arange(n + 1), n, 0.5)
        distribution = np.convolve(distribution, pluses)
    # The pluses less the minuses; both together are the sum of all sizes.
    totals = 2 * np.arange(len(distribution)) - (len(distribution) - 1)
    return float(min(1.0, distribution[np.abs(totals) >= abs(int(differences.sum()))].sum()))


def _check_pair(correct_a: ArrayLike, correct_b: ArrayLike) -> tuple[NDArray[np.bool_], ...]:
    """Return both as arrays of truth values, (S, N)."""
    arrays = np.asarray(correct_a), np.asarray(correct_b)
    shape, other = (array.shape for array in arrays)
    if shape != other or len(shape) != 2 or 0 in shape:
        raise ValueError(f"expected two arrays of one shape, (S, N) above 0, not {shape} and {other}")
    if any(array.dtype != np.bool_ for array in arrays):
        raise ValueError(f"expected truth values, not {arrays[0].dtype} and {arrays[1].dtype}")
    return arrays
