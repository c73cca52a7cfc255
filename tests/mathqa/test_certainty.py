"""The curve of certainty: by hand, against scikit-learn, and where there is little to fit."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from myna.errors import UserError
from myna.mathqa.certainty import FILE, Certainty, Check, Evidence, check, fit

CHECK = Check(n=3, mean_certainty=0.5, accuracy=0.6, calibration_error=0.1)
CERTAINTY = Certainty(
    training_sha256="0" * 64,
    n=10,
    beside_training=[-1.0, 0.5, 1.0, 2.0, 4.0],
    alone=[0.25, 2.0],
    checks={"all": CHECK},
)


def sigmoid(height: float) -> float:
    return 1 / (1 + math.exp(-height))


def test_certainty_by_hand() -> None:
    odds = math.log(0.8 / 0.2)
    assert CERTAINTY.of(Evidence(0.8)) == pytest.approx(sigmoid(0.25 + 2 * odds))
    assert CERTAINTY.of(Evidence(0.8, 0.5)) == pytest.approx(sigmoid(-1 + 0.5 * odds + 0.5))
    seen = Evidence(0.8, 1.0, is_seen=True, agrees=True)
    assert CERTAINTY.of(seen) == pytest.approx(sigmoid(-1 + 0.5 * odds + 1 + 2 + 4))


@pytest.mark.parametrize("probability", [0.0, 1e-300, 1.0, 1.0000001])
def test_no_probability_is_beyond_it(probability: float) -> None:
    assert 0 < CERTAINTY.of(Evidence(probability)) < 1


def draw(n: int, *, beside_training: bool) -> tuple[list[Evidence], list[bool]]:
    """Draw evidence, and outcomes that it speaks for."""
    rng = np.random.default_rng(0)
    evidence = []
    for _ in range(n):
        probability, likeness = rng.uniform(0.01, 0.99, 2)
        known = (likeness, bool(likeness > 0.8), bool(rng.random() < 0.5)) if beside_training else ()
        evidence.append(Evidence(probability, *known))
    chances = [sigmoid(2 * each.features()[1] + (2 if each.agrees else -1)) for each in evidence]
    return evidence, [bool(rng.random() < chance) for chance in chances]


@pytest.mark.parametrize("beside_training", [True, False])
def test_the_fit_equals_scikit_learn_s(beside_training: bool) -> None:
    evidence, right = draw(300, beside_training=beside_training)
    features = np.array([each.features() for each in evidence])
    reference = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10, max_iter=10_000).fit(features, right)
    assert fit(evidence, right) == pytest.approx(reference.coef_[0].tolist(), abs=1e-4)


def test_what_is_fitted_comes_true() -> None:
    evidence, right = draw(2000, beside_training=True)
    fitted = CERTAINTY.model_copy(update={"beside_training": fit(evidence[:1000], right[:1000])})
    found = check([fitted.of(each) for each in evidence[1000:]], right[1000:])
    assert found.calibration_error < 0.06
    assert found.mean_certainty == pytest.approx(found.accuracy, abs=0.04)


@pytest.mark.parametrize("outcome", [True, False])
def test_answers_that_are_all_right_or_all_wrong_can_be_fitted(outcome: bool) -> None:
    evidence, _ = draw(50, beside_training=False)
    fitted = CERTAINTY.model_copy(update={"alone": fit(evidence, [outcome] * 50)})
    mean = sum(fitted.of(each) for each in evidence) / 50
    assert (mean > 0.9) if outcome else (mean < 0.1)


def test_calibration_error_by_hand() -> None:
    # Ten bins of two: of those of 0.2, two hold right answers alone, one holds both, and two hold wrong ones alone.
    found = check([0.2, 0.9] * 10, [True, True] * 5 + [False, True] * 5)
    assert (found.n, found.accuracy) == (20, 0.75)
    assert found.mean_certainty == pytest.approx(0.55)
    assert found.calibration_error == pytest.approx((2 * 0.8 + 0.3 + 2 * 0.2 + 5 * 0.1) / 10)
    assert check([], []) == Check(n=0, mean_certainty=0, accuracy=0, calibration_error=0)


def test_it_is_kept_beside_a_model(tmp_path: Path) -> None:
    assert Certainty.load(tmp_path) is None
    CERTAINTY.save(tmp_path)
    assert Certainty.load(tmp_path) == CERTAINTY


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        ({"alone": [1.0]}, "alone: List should have at least 2 items"),
        ({"beside_training": "x"}, "beside_training: Input should be a valid list"),
        ({"more": 1}, "more: Extra inputs are not permitted"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, harm: dict[str, object], expected: str) -> None:
    (tmp_path / FILE).write_text(json.dumps(CERTAINTY.model_dump() | harm))
    with pytest.raises(UserError, match=rf"certainty\.json: {expected}") as error:
        Certainty.load(tmp_path)
    assert "\n" not in str(error.value)
