from __future__ import annotations

from typing import Any

import pytest

from myna.report.document import NOTHING
from myna.report.seeds import measure_change, say_interval
from myna.report.significance import adjusted_p, cells_of, difference_cell, judge, say_p, signed


@pytest.mark.parametrize(("p", "words"), [(None, ""), (0.049, "more than noise"), (0.05, "not more than noise")])
def test_judge(p: float | None, words: str) -> None:
    assert judge(p) == words


def test_a_comparison_is_judged_by_its_adjusted_p() -> None:
    comparison = {"n_seeds": 3, "difference": 0.021, "low": 0.001, "high": 0.04, "p": 0.02, "p_holm": 0.06}
    assert [cell.text for cell in cells_of(comparison)] == ["3", "+2.1", "0.020", "0.060", "not more than noise"]
    assert cells_of(comparison)[1].note == "+0.1 to +4.0"
    assert difference_cell(comparison, "p = 0.060").note == "+0.1 to +4.0, p = 0.060"
    del comparison["p_holm"]
    assert adjusted_p(comparison) == 0.02
    assert cells_of(comparison)[-1].text == "more than noise"


@pytest.mark.parametrize("comparison", [{}, {"difference": None}, {"difference": "x", "p": True}])
def test_a_comparison_without_figures_is_empty(comparison: dict[str, Any]) -> None:
    assert {cell.text for cell in cells_of(comparison)} == {NOTHING}


def test_p_and_signs() -> None:
    assert (say_p(0.0009), say_p(0.012)) == ("p < 0.001", "p = 0.012")
    assert (signed(-0.0001), signed(-0.012)) == ("+0.0", "-1.2")


def test_a_change_is_of_the_seeds_in_common() -> None:
    change = measure_change({"0": 0.1, "1": 0.2, "5": 0.9}, {"0": 0.2, "1": 0.3, "7": 0.0})
    assert change is not None
    assert change == pytest.approx((10.0, 10.0, 10.0))
    assert say_interval(change) == " (95 % interval over seeds +10.0 to +10.0)"
    assert measure_change({"0": 0.1}, {"1": 0.1}) is None
    assert say_interval((1.0, None, None)) == ""
