"""Calibration of a model: what it counts, and that its curves say what came true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from myna.config import MathConfig, check
from myna.errors import UserError
from myna.mathqa.baselines import NeighbourIndex
from myna.mathqa.calibration import calibrate
from myna.mathqa.problems import Problem
from myna.mathqa.splits import Splits, generate_splits
from myna.mathqa.task import MathModel, MathTask

TINY = {"glove": "none", "learned_size": 16, "encoder_size": 16, "decoder_size": 32, "token_size": 16, "dropout": 0.0}
UNANSWERED = [Problem("there is no number here", "add(const_1,const_1)|", 2.0)]


@pytest.fixture(scope="module")
def splits() -> Splits:
    made = generate_splits()
    return replace(made, train=made.train[:200], dev=made.dev[:60] + UNANSWERED, test=made.test[:40])


@pytest.fixture(scope="module")
def model(splits: Splits, learn: Callable[[MathTask, int], None]) -> MathModel:
    task = MathTask(check(MathConfig, {"model": TINY}, "test"), splits.train, splits.dev)
    learn(task, 25)
    return MathModel(task.config, task.reader, task.translator)


def test_certainties_are_as_high_as_the_share_that_is_right(model: MathModel, splits: Splits) -> None:
    certainty = calibrate(model, splits, "test")
    assert certainty.n == 60  # without the one that has no number
    assert certainty.training_sha256 == NeighbourIndex(splits.train).fingerprint()
    assert set(certainty.checks) == {"all", "novel", "far", "novel, alone"}
    checked = certainty.checks["all"]
    assert checked.n == 40
    assert 0.2 < checked.accuracy < 0.95
    assert checked.mean_certainty == pytest.approx(checked.accuracy, abs=0.15)
    novel, alone = certainty.checks["novel"], certainty.checks["novel, alone"]
    assert 0 < novel.n <= 40
    assert (alone.n, alone.accuracy) == (novel.n, novel.accuracy)
    assert certainty.checks["far"].n <= novel.n


@pytest.mark.parametrize("split", ["dev", "test"])
def test_problems_without_an_answer_are_refused_before_any_is_solved(
    model: MathModel, splits: Splits, monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
    monkeypatch.setattr("myna.mathqa.calibration.answer", lambda *_, **__: pytest.fail("solved"))
    unknown = Problem("what is 2 percent of 3 ?", "add(n0,n1)|", place=f"{split}.json: item 7")
    with pytest.raises(UserError, match=rf"^{split}\.json: item 7: no answer to score against"):
        calibrate(model, replace(splits, **{split: [unknown]}), "test")


def test_where_dev_holds_nothing_novel_it_says_so(model: MathModel, splits: Splits) -> None:
    with pytest.raises(UserError, match="no dev problem that training does not hold"):
        calibrate(model, replace(splits, dev=splits.train[:5]), "test")
