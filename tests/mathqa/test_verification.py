"""Programs of the beam and of the neighbours, ranked together; and a model that does so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from myna.config import MathConfig, check
from myna.errors import UserError
from myna.mathqa import verification
from myna.mathqa.answers import answer
from myna.mathqa.baselines import Neighbour
from myna.mathqa.calibration import add_verifier
from myna.mathqa.language.execute import execute_text
from myna.mathqa.prediction import Prediction
from myna.mathqa.problems import Problem, mask_with_numbers
from myna.mathqa.splits import Splits, generate_splits
from myna.mathqa.task import MathModel, MathTask
from myna.mathqa.verification import fit_verifier, gather, verify
from myna.mathqa.verifier import FEATURES, Verifier

TEXT = "ravi has 30 apples and buys 4 more . how many are there ?"
FOUND = [
    Prediction(("divide", "n0", "n1"), 0.6, ended=True),
    Prediction(("add", "n0", "n1"), 0.3, ended=True),
    Prediction(("add", "n0", "n7"), 0.1, ended=True),
    Prediction(("multiply", "n0", "n1"), 0.1, ended=False),
]
NEIGHBOURS = [
    Neighbour("a", "subtract(n0,n1)|", 0.9),
    Neighbour("b", "add(n0,n1)|", 0.8),
    Neighbour("c", "power(n0,const_1000)|", 0.7),
]
TINY = {"type": "retrieval_lstm_attn", "glove": "none", "learned_size": 8, "encoder_size": 8, "decoder_size": 16}


def weigh(**weights: float) -> Verifier:
    return Verifier(n=1, weights=dict.fromkeys(FEATURES, 0.0) | weights)


def test_what_gives_a_value_is_gathered_once() -> None:
    candidates, features = gather(TEXT, FOUND, NEIGHBOURS)
    assert [each.tokens[0] for each in candidates] == ["divide", "add", "subtract"]
    assert [each.value for each in candidates] == [7.5, 34.0, 26.0]
    assert [each.neighbour for each in candidates] == [None, NEIGHBOURS[1], NEIGHBOURS[0]]
    assert candidates[2].log_probability is None
    assert features.shape == (3, len(FEATURES))


def test_the_most_believable_comes_first() -> None:
    ranked = verify(weigh(likeness=3.0, whole=1.0), TEXT, FOUND, NEIGHBOURS)
    assert [each.text for each in ranked] == ["subtract(n0,n1)|", "add(n0,n1)|", "divide(n0,n1)|"]
    assert sum(each.probability for each in ranked) == pytest.approx(1)
    # Equally believable ones stay in the beam's order.
    assert [each.tokens[0] for each in verify(weigh(), TEXT, FOUND, NEIGHBOURS)] == ["divide", "add", "subtract"]
    assert verify(weigh(), TEXT, [], []) == []


def make_problems(n: int) -> list[Problem]:
    """Problems of which two at a time read the same but for the numbers."""
    kinds = [f"{'abcdefghijklmno'[i]} has {i + 2} and {i + 5} of them" for i in range(n)]
    more = [f"{'abcdefghijklmno'[i]} has {i + 3} and {i + 9} of them" for i in range(n)]
    return [
        Problem(text, "add(n0,n1)|", execute_text("add(n0,n1)|", mask_with_numbers(text)[1]).value)  # type: ignore[arg-type]
        for text in [*kinds, *more]
    ]


def test_a_problem_is_chosen_for_by_what_was_fitted_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = make_problems(15)
    found = [[FOUND[0], FOUND[1]] for _ in problems]
    seen: list[list[Any]] = []

    def watch(examples: Sequence[Any]) -> Verifier:
        seen.append([features for features, _ in examples])
        return weigh(**{"likeliest of the beam": float(len(seen))})

    monkeypatch.setattr(verification, "fit", watch)
    verifier, chosen = fit_verifier(problems, found, [[] for _ in problems])
    assert verifier.weights["likeliest of the beam"] == 11
    assert [len(examples) for examples in seen] == [26] * 5 + [28] * 5 + [30]
    assert chosen == ["divide(n0,n1)|"] * 30


def test_it_learns_what_is_right() -> None:
    problems = make_problems(15)
    found = [[FOUND[0], FOUND[1]] for _ in problems]
    _, chosen = fit_verifier(problems, found, [NEIGHBOURS] * 30)
    assert chosen == ["add(n0,n1)|"] * 30
    assert fit_verifier([*problems, problems[0]], [*found, []], [[]] * 31)[1][-1] == ""
    verifier, chosen = fit_verifier(problems, [[] for _ in problems], [[] for _ in problems])
    assert (verifier.n, set(chosen)) == (0, {""})


@pytest.fixture(scope="module")
def splits() -> Splits:
    made = generate_splits()
    return replace(made, train=made.train[:60], dev=made.dev[:40], test=made.test[:20])


def train(splits: Splits, learn: Callable[[MathTask, int], None], **section: Any) -> MathModel:
    config = check(MathConfig, {"model": {"token_size": 8} | section}, "test")
    task = MathTask(config, splits.train, splits.dev)
    learn(task, 3)
    return MathModel(task.config, task.reader, task.translator)


@pytest.fixture(scope="module")
def model(splits: Splits, learn: Callable[[MathTask, int], None]) -> MathModel:
    return train(splits, learn, **TINY, neighbours={"n": 2, "size": 8})


def test_a_model_without_a_verifier_says_what_makes_one(
    model: MathModel, splits: Splits, learn: Callable[[MathTask, int], None]
) -> None:
    with pytest.raises(UserError, match=r"which a retrieval_lstm_attn has not; .*`myna math calibrate` makes one"):
        model.predict([TEXT], beam_size=1, search="verified")
    plain = train(splits, learn, **{**TINY, "type": "lstm_lstm"})
    assert add_verifier(plain, splits.dev, "test") == (plain, [])
    with pytest.raises(UserError, match=r"verifier\.json, which a lstm_lstm has not"):
        plain.predict([TEXT], beam_size=1, search="verified")


def test_a_verified_model_ranks_its_neighbours_programs_too(model: MathModel, splits: Splits) -> None:
    verified, chosen = add_verifier(model, splits.dev, "test")
    assert verified.verifier is not None
    assert len(chosen) == len(splits.dev)
    texts = [problem.text for problem in splits.test]
    ranked = verified.predict(texts, beam_size=3, search="verified", n_best=2)
    assert all(1 <= len(programs) <= 2 for programs in ranked)
    assert any(
        {each.program for each in near} & {program.text for program in programs}
        for near, programs in zip(model.reader.neighbours(texts), ranked, strict=True)  # type: ignore[attr-defined]
    )
    # What answers a typed problem is ranked so, too; a plain search is as it was.
    answers = answer(verified, None, texts, beam_size=3)
    assert [each.predictions[:2] for each in answers] == ranked
    assert verified.predict(texts, beam_size=3) == model.predict(texts, beam_size=3)


def test_a_saved_model_comes_with_its_verifier(
    model: MathModel,
    splits: Splits,
    tmp_path: Path,
    save_model: Callable[..., Path],
    write_training: Callable[..., Path],
) -> None:
    task = MathTask(model.config, splits.train, splits.dev)
    folder = save_model(task, tmp_path / "model")
    data = write_training(tmp_path / "data", splits.train)
    assert MathModel.load(folder, data).verifier is None
    weigh(whole=1.0).save(folder)
    assert MathModel.load(folder, data).verifier == weigh(whole=1.0)
