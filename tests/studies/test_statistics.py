"""Intervals hold what they say as often as they say, tests agree with known figures, and nothing comes of nothing."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from myna.studies.statistics import holm, paired_difference, seed_interval

Truths = NDArray[np.bool_]


def draw(rng: np.random.Generator, shape: tuple[int, ...], accuracies: tuple[float, float]) -> tuple[Truths, Truths]:
    """Whether two models are right on the same examples, of which some are hard for both."""
    ease = rng.normal(size=shape[-1])
    a, b = (ease + rng.normal(size=shape) < stats.norm.ppf(accuracy) * np.sqrt(2) for accuracy in accuracies)
    return a, b


def expand(both: int, a_alone: int, b_alone: int, neither: int) -> tuple[Truths, Truths]:
    """The answers behind a table of counts."""
    counts = (both, a_alone, b_alone, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@pytest.mark.parametrize("values", [(0.5, 0.7), (0.61, 0.64, 0.58), (1.0, 2, 3, 4, 10)])
def test_the_interval_over_seeds_is_that_of_scipys_t_test(values: tuple[float, ...]) -> None:
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert seed_interval(values) == pytest.approx((np.mean(values), expected.low, expected.high))


def test_one_seed_has_no_interval_and_equal_ones_have_no_width() -> None:
    assert seed_interval([0.7]) == (0.7, None, None)
    assert seed_interval([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("values", [[], [0.5, float("nan")]])
def test_no_seeds_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="one finite value or more"):
        seed_interval(values)


def test_intervals_over_three_seeds_hold_the_mean_as_often_as_they_say() -> None:
    samples = np.random.default_rng(0).normal(0.6, 0.02, (1_000, 3))
    intervals = [seed_interval(sample)[1:] for sample in samples.tolist()]
    n_held = sum(low is not None and high is not None and low <= 0.6 <= high for low, high in intervals)
    assert 930 <= n_held <= 970


def mcnemar(a: Any, b: Any) -> float:
    """The p of two models with one seed each."""
    return paired_difference(a[None], b[None], n_resamples=10)["p"]


@pytest.mark.parametrize(
    ("table", "p"),
    [
        ((101, 121, 59, 33), 0.000004),
        ((101, 70, 59, 33), 0.378688),
        ((101, 80, 59, 33), 0.089452),
        ((101, 30, 60, 33), 0.00206),
        ((101, 10, 30, 33), 0.002221),
        ((101, 10, 10, 33), 1),
    ],
)
def test_mcnemar_gives_the_figures_in_the_tests_of_statsmodels(table: tuple[int, int, int, int], p: float) -> None:
    a, b = expand(*table)
    assert mcnemar(a, b) == pytest.approx(p, abs=1e-6)
    assert mcnemar(b, a) == mcnemar(a, b)


def test_mcnemar_of_equal_answers_is_one() -> None:
    a = np.array([True, False, True])
    assert mcnemar(a, a) == 1


def test_mcnemar_raises_no_more_false_alarms_than_it_says() -> None:
    rng = np.random.default_rng(0)
    p = [mcnemar(*draw(rng, (300,), (0.6, 0.6))) for _ in range(400)]
    assert 0.01 < np.mean(np.array(p) < 0.05) < 0.06
    assert mcnemar(*draw(rng, (300,), (0.5, 0.7))) < 0.001


@pytest.mark.parametrize("table", [(101, 70, 59, 33), (40, 0, 5, 3), (5, 9, 9, 1), (7, 0, 0, 2)])
def test_for_one_seed_the_paired_test_is_mcnemars(table: tuple[int, int, int, int]) -> None:
    a, b = expand(*table)
    result = paired_difference(a[None], b[None])
    _, wins, losses, _ = table
    expected = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert result["p"] == pytest.approx(expected, rel=1e-9)
    assert result["difference"] == pytest.approx((table[1] - table[2]) / sum(table))


@given(st.integers(1, 3), st.integers(1, 8), st.integers(0, 1_000))
def test_p_is_the_share_of_signs_counted_one_by_one(n_seeds: int, n_examples: int, seed: int) -> None:
    a, b = np.random.default_rng(seed).random((2, n_seeds, n_examples)) < 0.5
    differences = a.sum(0) - b.sum(0)
    signs = np.array(list(itertools.product([-1, 1], repeat=n_examples)))
    expected = np.mean(np.abs(signs @ differences) >= abs(differences.sum()))
    assert paired_difference(a, b, n_resamples=10)["p"] == pytest.approx(expected, abs=1e-12)


def test_p_is_near_to_that_of_scipys_random_signs() -> None:
    a, b = draw(np.random.default_rng(3), (3, 400), (0.6, 0.63))
    test = stats.permutation_test(
        (a.mean(0), b.mean(0)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=5_000,
        rng=np.random.default_rng(0),
        vectorized=True,
    )
    assert 0.001 < test.pvalue < 0.9
    assert paired_difference(a, b)["p"] == pytest.approx(test.pvalue, abs=0.03)


def test_the_interval_is_that_of_examples_drawn_one_by_one() -> None:
    rng = np.random.default_rng(5)
    a, b = draw(rng, (3, 200), (0.6, 0.66))
    differences = a.mean(0) - b.mean(0)
    means = differences[rng.integers(200, size=(10_000, 200))].mean(1)
    result = paired_difference(a, b)
    assert [result["low"], result["high"]] == pytest.approx(np.quantile(means, [0.025, 0.975]).tolist(), abs=0.004)


def test_intervals_of_differences_hold_the_true_one_as_often_as_they_say() -> None:
    rng, n_held = np.random.default_rng(0), 0
    for _ in range(400):
        result = paired_difference(*draw(rng, (1, 300), (0.6, 0.55)), n_resamples=500)
        n_held += result["low"] <= 0.05 <= result["high"]
    assert 368 <= n_held <= 392


def test_models_the_other_way_round_give_the_opposite() -> None:
    a, b = draw(np.random.default_rng(1), (2, 300), (0.6, 0.7))
    one, other = paired_difference(a, b), paired_difference(b, a)
    assert one["difference"] == -other["difference"] < 0
    assert one["p"] == pytest.approx(other["p"], rel=1e-12)
    assert [one["low"], one["high"]] == pytest.approx([-other["high"], -other["low"]], abs=0.01)
    assert one["low"] < one["difference"] < one["high"]
    assert paired_difference(a, b) == one


def test_a_model_against_itself_differs_by_nothing() -> None:
    a = np.random.default_rng(0).random((3, 50)) < 0.5
    assert paired_difference(a, a) == {"difference": 0, "low": 0, "high": 0, "p": 1}


def test_runs_that_differ_in_all_examples_could_not_do_so_by_chance() -> None:
    result = paired_difference(np.ones((3, 60), bool), np.zeros((3, 60), bool))
    assert (result["difference"], result["low"], result["high"]) == (1, 1, 1)
    assert result["p"] == pytest.approx(2.0**-59, rel=1e-9)


def test_pairs_that_do_not_fit_are_refused() -> None:
    a = np.ones((2, 5), bool)
    with pytest.raises(ValueError, match=r"one shape, \(S, N\) above 0, not \(2, 5\) and \(2, 4\)"):
        paired_difference(a, a[:, :4])
    with pytest.raises(ValueError, match=r"\(S, N\) above 0, not \(2, 0\) and \(2, 0\)"):
        paired_difference(a[:, :0], a[:, :0])
    with pytest.raises(ValueError, match=r"one shape, \(S, N\) above 0, not \(5,\) and \(5,\)"):
        paired_difference(a[0], a[0])
    with pytest.raises(ValueError, match="truth values, not bool and int64"):
        paired_difference(a, np.ones((2, 5), np.int64))


def test_holm_gives_the_figures_of_r() -> None:
    """p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm"), and one in which a later p is held up by an earlier one."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.5, 0.02]) == pytest.approx([1, 1, 0.06])
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_order_and_lies_between_no_correction_and_bonferronis(p: list[float]) -> None:
    adjusted = holm(p)
    for value, one in zip(p, adjusted, strict=True):
        assert value <= one <= min(1, value * len(p)) + 1e-12
    for (p_one, one), (p_other, other) in itertools.permutations(zip(p, adjusted, strict=True), 2):
        assert p_one >= p_other or one <= other


def test_holm_raises_a_false_alarm_as_often_as_stated() -> None:
    p = np.random.default_rng(0).random((2_000, 6))
    alarms = [min(holm(row)) < 0.05 for row in p.tolist()]
    assert 0.035 < np.mean(alarms) < 0.065


@pytest.mark.parametrize("p", [[0.5, 1.2], [-0.1], [float("nan")]])
def test_holm_refuses_what_is_no_p(p: list[float]) -> None:
    with pytest.raises(ValueError, match="values from 0 to 1"):
        holm(p)
