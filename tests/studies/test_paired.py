from __future__ import annotations

import pytest
from scipy.stats import binomtest

from myna.studies.paired import adjust, compare, compare_all, group_by_label, pick


def test_one_seed_is_mcnemar() -> None:
    a, b = [True] * 9 + [False] * 3, [False] * 8 + [True] * 2 + [False] * 2
    found = compare({0: a}, {0: b})
    assert found["p"] == pytest.approx(binomtest(8, 8 + 1).pvalue)
    assert (found["n"], found["n_seeds"], found["difference"]) == (12, 1, pytest.approx(7 / 12))


def test_only_seeds_in_common_are_compared() -> None:
    a = {0: [True, True], 1: [True, False], 7: [False, False]}
    b = {1: [False, False], 0: [True, False], 5: [True, True]}
    found = compare(a, b)
    assert found["n_seeds"] == 2
    assert found["difference"] == pytest.approx(0.5)


@pytest.mark.parametrize(("a", "b"), [({0: [True]}, {1: [True]}), ({}, {0: [True]}), ({0: []}, {0: []})])
def test_nothing_in_common_is_no_comparison(a: dict[int, list[bool]], b: dict[int, list[bool]]) -> None:
    assert compare(a, b) == {}
    assert compare_all({"a": a, "b": b}) == []


def test_every_two_are_compared_and_adjusted_together() -> None:
    outcomes = {"a": {0: [True] * 10}, "b": {0: [False] * 10}, "c": {0: [True] * 10}}
    found = adjust(compare_all(outcomes, split="test"))
    assert [(each["a"], each["b"], each["split"]) for each in found] == [
        ("a", "b", "test"),
        ("a", "c", "test"),
        ("b", "c", "test"),
    ]
    assert found[0]["p_holm"] == pytest.approx(3 * found[0]["p"])
    assert found[2]["difference"] == -1.0
    assert adjust([]) == []


def test_runs_are_grouped_by_label_and_seed() -> None:
    runs = [{"label": "a", "seed": 0, "name": "x"}, {"label": "a", "seed": 1, "name": "y"}]
    assert group_by_label(runs) == {"a": {0: "x", 1: "y"}}


def test_some_examples_alone() -> None:
    assert pick({0: [True, False, True]}, [2, 1]) == {0: [True, False]}
