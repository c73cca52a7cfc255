"""Measuring a model on a split: what is refused before the hours that it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from myna.config import MathConfig, check
from myna.errors import UserError
from myna.mathqa.assessment import assess
from myna.mathqa.baselines import NeighbourIndex
from myna.mathqa.problems import Problem
from myna.mathqa.splits import generate_splits
from myna.mathqa.task import MathModel, MathTask

TINY = {"glove": "none", "learned_size": 8, "encoder_size": 8, "decoder_size": 16, "token_size": 8}


def test_problems_without_an_answer_are_refused_before_any_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = generate_splits()
    task = MathTask(check(MathConfig, {"model": TINY}, "test"), splits.train[:20], splits.dev[:2])
    model = MathModel(task.config, task.reader, task.translator)
    monkeypatch.setattr("myna.mathqa.task.predict", lambda *_, **__: pytest.fail("decoded"))
    problems = [splits.dev[0], Problem("2 + 3 ?", "add(n0,n1)|", place="dev.json: item 1")]
    index, output = NeighbourIndex(splits.train[:20]), tmp_path / "predictions.json"
    with pytest.raises(UserError, match=r"^dev\.json: item 1: no answer to score against"):
        assess(model, problems, index, title="t", beam_size=1, search="plain", output=output)
    assert not output.exists()
