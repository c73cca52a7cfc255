"""The solver: a model that knows four problems by heart, asked for them as people type, and for what it cannot do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from myna.config import MathConfig, check
from myna.errors import UserError
from myna.mathqa.baselines import NeighbourIndex
from myna.mathqa.certainty import Certainty
from myna.mathqa.problems import Problem
from myna.mathqa.solution import Number, Solution
from myna.mathqa.solver import BEST, MAX_WORDS, WITHOUT_TRAINING, Solver
from myna.mathqa.task import MathTask

TRAINING = [
    Problem("ravi has 3 apples and buys 4 more . how many are there ?", "add(n0,n1)|", 7.0),
    Problem("meera had 9 pens and gave away 4 . how many are left ?", "subtract(n0,n1)|", 5.0),
    Problem("what is 20 % of 50 ?", "divide(n0,const_100)|multiply(n1,#0)|", 10.0),
    Problem("the area of a circle of radius 3 is what ?", "circle_area(n0)|", 28.27),
]
TINY = {"glove": "none", "learned_size": 16, "encoder_size": 16, "decoder_size": 32, "token_size": 16, "dropout": 0.0}
WITHOUT_ATTENTION = "lstm_lstm"
TYPED = "Ravi has 30 apples and buys 1,400 more. How many are there?"


@pytest.fixture(scope="module")
def models(
    tmp_path_factory: pytest.TempPathFactory,
    learn: Callable[[MathTask, int], None],
    save_model: Callable[[MathTask, Path], Path],
) -> Path:
    """A folder as the checkout's: models/math/ with three models that were trained alike."""
    root = tmp_path_factory.mktemp("checkout")
    for name in (BEST, WITHOUT_TRAINING, WITHOUT_ATTENTION):
        values = {"model": {**TINY, "type": name, "neighbours": {"n": 2, "size": 8}}, "data": {"min_word_count": 1}}
        task = MathTask(check(MathConfig, values, "test"), TRAINING, TRAINING)
        learn(task, 40)
        save_model(task, root / "models" / "math" / name)
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, write_training: Callable[[Path, list[Problem]], Path]) -> Path:
    return write_training(tmp_path_factory.mktemp("data"), TRAINING)


@pytest.fixture(autouse=True)
def _in_the_checkout(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models)
    monkeypatch.delenv("MYNA_DATA", raising=False)


@pytest.fixture(scope="module")
def solver(models: Path) -> Solver:
    return Solver.load(models / "models" / "math" / WITHOUT_TRAINING)


def write_certainty(folder: Path, training: list[Problem]) -> None:
    weights = {"beside_training": [0.0, 0.0, 0.0, 9.0, 0.0], "alone": [-9.0, 0.0]}
    Certainty(training_sha256=NeighbourIndex(training).fingerprint(), n=4, checks={}, **weights).save(folder)


@pytest.fixture
def certain(models: Path, tmp_path: Path) -> Path:
    """A model beside which it stands how sure one may be: sure of what was seen, and not at all alone."""
    folder = tmp_path / "certain"
    folder.mkdir()
    for path in (models / "models" / "math" / WITHOUT_TRAINING).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    write_certainty(folder, TRAINING)
    return folder


def test_a_typed_problem_is_answered_with_reasons(solver: Solver) -> None:
    solution = solver.solve(TYPED)
    assert (solution.answer, solution.answer_text, solution.message) == (1430, "1430", "")
    assert (solution.problem, solution.model, solution.program) == (TYPED, WITHOUT_TRAINING, "add(n0,n1)|")
    assert solution.numbers == [Number(name="n0", value=30), Number(name="n1", value=1400)]
    assert [(step.sentence, step.result_text) for step in solution.steps] == [("add 30 and 1400", "1430")]
    best = solution.candidates[0]
    assert (best.program, best.answer, best.answer_text) == (solution.program, 1430, "1430")
    assert best.probability > 0.5
    assert solution.notes == []
    assert solution.attention is None


def test_a_percent_sign_and_units_do_not_matter(solver: Solver) -> None:
    solution = solver.solve("what is 15% of $80?")
    assert solution.answer_text == "12"
    assert [step.sentence for step in solution.steps] == ["divide 15 by 100", "multiply 80 by 0.15"]
    assert solver.solve("The area of a circle of radius 5cm is what").answer_text == "78.539816"


def test_no_more_programs_are_told_than_asked_for(solver: Solver) -> None:
    assert len(solver.solve(TYPED, n_best=2).candidates) == 2
    assert len(solver.solve(TYPED, beam_size=1).candidates) == 1
    assert solver.solve(TYPED, beam_size=3, n_best=50).answer == 1430
    shares = [candidate.probability for candidate in solver.solve(TYPED, n_best=10).candidates]
    assert len(shares) > 2
    assert sum(shares) <= 1.0001


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "There is no text."),
        (" \n\t", "There is no text."),
        ("how many are there?", "There is no number in the text."),
        ("what is " + "9" * 400, "A number in the text is too large to compute with."),
        ("a 3 " * MAX_WORDS, f"The text has {2 * MAX_WORDS:,} words; at most {MAX_WORDS:,} are read."),
    ],
    ids=["empty", "blank", "no number", "too large", "too long"],
)
def test_where_there_is_no_answer_it_says_why(solver: Solver, text: str, message: str) -> None:
    solution = solver.solve(text)
    assert solution.message == message
    assert (solution.answer, solution.answer_text, solution.certainty_text) == (None, "", "")
    assert (solution.steps, solution.candidates, solution.nearest) == ([], [], None)


def test_no_program_is_said(solver: Solver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myna.mathqa.task.predict", lambda *arguments, **options: [[]])
    solution = solver.solve(TYPED)
    assert solution.message == "The model found no program that runs on these numbers."
    assert (solution.answer_text, solution.program, solution.candidates) == ("", "", [])


def test_what_is_not_read_is_noted(solver: Solver) -> None:
    assert solver.solve("Ravi has three apples.").notes == [
        'Numbers in words are not read ("three"): write them in digits.'
    ]
    assert solver.solve("It is -5 degrees, a sum of 4 and 5.").notes[0] == (
        "The sign of -5 is not read: only decimals, such as -0.5, may have one."
    )
    solution = solver.solve("Ravi has 3 apples and buys 4 more. How many are there in the 2 bags?")
    assert solution.program == "add(n0,n1)|"
    assert solution.notes == ["The program makes no use of 2 (n2)."]


def test_how_sure_one_may_be_is_told_where_it_is_known(certain: Path, data: Path, solver: Solver) -> None:
    unknown = solver.solve(TYPED)
    assert unknown.certainty is None
    assert "is not known" in unknown.certainty_text
    sure = Solver.load(certain, data).solve(TYPED)
    assert sure.certainty == pytest.approx(0.99988, abs=1e-5)
    assert sure.certainty_text == (
        "Very likely right: where the model was as sure, more than 99 of 100 answers were right."
    )
    alone = Solver.load(certain).solve(TYPED)
    assert alone.certainty == pytest.approx(0.00012, abs=1e-5)
    assert alone.certainty_text.startswith("Very likely wrong: where the model was as sure, hardly any of 100")
    assert "training problems" in alone.certainty_text


def test_the_nearest_training_problem_is_told_if_it_is_near(certain: Path, data: Path) -> None:
    solver = Solver.load(certain, data)
    same = solver.solve(TYPED).nearest
    assert same is not None
    assert same.model_dump() == {
        "text": "ravi has n0 apples and buys n1 more . how many are there ?",
        "program": "add(n0,n1)|",
        "likeness": 1.0,
        "answer": 1430.0,
        "agrees": True,
    }
    near = solver.solve("ravi has 3 apples and sells 4 . how many are there ?").nearest
    assert near is not None
    assert 0.7 < near.likeness < 1
    assert solver.solve("an unlike text of 3 words and 4 more").nearest is None


def test_other_problems_than_those_it_learned_from_are_not_called_training_problems(certain: Path, data: Path) -> None:
    write_certainty(certain, TRAINING[:2])
    solution = Solver.load(certain, data).solve(TYPED)
    assert solution.nearest is None
    assert "training problems" in solution.certainty_text


def test_attention_is_told_when_asked_for(solver: Solver, models: Path) -> None:
    attention = solver.solve(TYPED, with_attention=True).attention
    assert attention is not None
    assert attention.words[:4] == ["ravi", "has", "n0", "apples"]
    assert attention.tokens == ["add", "n0", "n1", "</s>"]
    assert [len(row) for row in attention.weights] == [len(attention.words)] * 4
    assert [sum(row) for row in attention.weights] == pytest.approx([1] * 4, abs=1e-5)
    other = Solver.load(models / "models" / "math" / WITHOUT_ATTENTION).solve(TYPED, with_attention=True)
    assert (other.model, other.attention) == (WITHOUT_ATTENTION, None)


def test_the_best_shipped_model_that_can_be_used_is_asked(data: Path) -> None:
    best = Solver.load(data=data)
    solution = best.solve(TYPED, with_attention=True)
    assert (best.model_name, solution.model, solution.answer) == (BEST, BEST, 1430)
    assert solution.attention is not None
    assert "</s>" in solution.attention.words
    other = Solver.load()
    assert (other.model_name, other.solve(TYPED).answer) == (WITHOUT_TRAINING, 1430)


def test_other_training_problems_leave_the_model_that_needs_none(
    tmp_path: Path, write_training: Callable[[Path, list[Problem]], Path]
) -> None:
    assert Solver.load(data=write_training(tmp_path / "other", TRAINING[1:])).model_name == WITHOUT_TRAINING


def test_a_model_or_a_folder_that_is_not_there_is_one_line(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder"):
        Solver.load(data=tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"model\.neighbours: the training problems here"):
        Solver.load(models / "models" / "math" / BEST)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("myna.__file__", str(tmp_path / "a" / "b" / "c" / "__init__.py"))
    with pytest.raises(UserError, match=r"lstm_lstm_attn: no shipped model at .*; run Myna in its checkout") as error:
        Solver.load()
    assert "\n" not in str(error.value)


def as_strict_json(solution: Solution) -> Any:
    """Return a solution as programs get it, which has to fit its own schema."""
    text = solution.model_dump_json()
    assert Solution.model_validate_json(text) == solution
    return json.loads(text, parse_constant=pytest.fail)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=60)
    | st.text("0123456789.,-+/%$ n#<>", max_size=40)
    | st.lists(st.sampled_from([*TYPED.split(), "0", "1e308", "-.5", "\ud800", "\0", "const_2", "n7", "</s>"])).map(
        " ".join
    )
)
def test_no_text_makes_it_fail(solver: Solver, text: str) -> None:
    solution = solver.solve(text, beam_size=2, with_attention=True)
    as_strict_json(solution)
    assert bool(solution.answer_text) != bool(solution.message)


def test_a_number_that_json_cannot_hold_is_shown_all_the_same(solver: Solver, monkeypatch: pytest.MonkeyPatch) -> None:
    from myna.mathqa.prediction import Prediction

    large = Prediction(("factorial", "n0"), 0.5, ended=True)
    monkeypatch.setattr("myna.mathqa.task.predict", lambda *arguments, **options: [[large]])
    solution = solver.solve("the factorial of 1000")
    assert (solution.answer, solution.answer_text, solution.message) == (None, "4.02387e+2567", "")
    assert as_strict_json(solution)["steps"][0]["result"] is None
