"""The assignment's command with a model that looks up training problems: it needs those that the model knows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from myna.config import MathConfig, check
from myna.engine.checkpoint import WEIGHTS
from myna.errors import UserError
from myna.mathqa.infer import main
from myna.mathqa.prediction import predict
from myna.mathqa.problems import Problem
from myna.mathqa.splits import generate_splits
from myna.mathqa.task import MathModel, MathTask

TINY = {"type": "retrieval_lstm_attn", "glove": "none", "learned_size": 8, "encoder_size": 8, "decoder_size": 16}
TEXTS = ["ravi has 30 apples and buys 4 more . how many apples are there now ?", "what is 3 percent of 500 ?", ""]


def make_task(training: list[Problem], **data: Any) -> MathTask:
    sizes = {"token_size": 8, "neighbours": {"n": 2, "size": 8}}
    return MathTask(check(MathConfig, {"model": TINY | sizes, "data": data}, "test"), training, training[:5])


@pytest.fixture(scope="module")
def training() -> list[Problem]:
    return generate_splits().train[:60]


@pytest.fixture(scope="module")
def task(training: list[Problem]) -> MathTask:
    return make_task(training)


@pytest.fixture(scope="module")
def model_folder(task: MathTask, tmp_path_factory: pytest.TempPathFactory, save_model: Callable[..., Any]) -> Path:
    return save_model(task, tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def data(training: list[Problem], tmp_path_factory: pytest.TempPathFactory, write_training: Callable[..., Any]) -> Path:
    return write_training(tmp_path_factory.mktemp("data"), training)


@pytest.fixture
def test_file(tmp_path: Path) -> Path:
    path = tmp_path / "test.json"
    path.write_text(json.dumps([{"Problem": text} for text in TEXTS]), encoding="utf-8")
    return path


def arguments(model: Path, test_file: Path, *more: Any) -> list[str]:
    given = ("--model_file", model, "--beam_size", 1, "--model_type", TINY["type"], "--test_data_file", test_file)
    return [str(argument) for argument in (*given, *more)]


def predicted(test_file: Path) -> list[str]:
    return [item["predicted"] for item in json.loads(test_file.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def expected(task: MathTask) -> list[str]:
    """What the model writes before it is saved."""
    found = predict(task.translator, task.reader, TEXTS, beam_size=1, length_penalty=1.0)
    assert len({programs[0].text for programs in found}) > 1
    return [programs[0].text for programs in found]


def test_the_data_folder_is_named(model_folder: Path, data: Path, test_file: Path, expected: list[str]) -> None:
    assert main(arguments(model_folder / WEIGHTS, test_file, "--data", data)) == 0
    assert predicted(test_file) == expected


def test_the_data_folder_is_that_of_the_environment(
    model_folder: Path, data: Path, test_file: Path, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYNA_DATA", str(data))
    assert main(arguments(model_folder, test_file)) == 0
    assert predicted(test_file) == expected


def test_the_course_s_script_takes_it(model_folder: Path, data: Path, test_file: Path, expected: list[str]) -> None:
    script = Path(__file__).parents[2] / "course" / "part2" / "infer.py"
    call = [sys.executable, str(script), *arguments(model_folder, test_file, "--data", data)]
    subprocess.run(call, check=True)
    assert predicted(test_file) == expected


def test_other_data_is_one_line_and_the_file_stays_as_it_was(
    model_folder: Path,
    training: list[Problem],
    test_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    write_training: Callable[..., Any],
) -> None:
    other = write_training(tmp_path / "other", training[:-1])
    before = test_file.read_text()
    assert main(arguments(model_folder, test_file, "--data", other)) == 2
    error = capsys.readouterr().err
    assert error.startswith("infer.py: model.neighbours: the training problems here have the hash ")
    assert error.count("\n") == 1
    assert test_file.read_text() == before


def test_no_data_is_one_line(
    model_folder: Path, test_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for folder, reason in (("nowhere", "no such folder"), ("empty", "train.json: no such file")):
        assert main(arguments(model_folder, test_file, "--data", tmp_path / folder)) == 2
        error = capsys.readouterr().err
        assert reason in error
        assert error.count("\n") == 1
    assert "predicted" not in test_file.read_text()


@pytest.mark.parametrize("items", [[], [{"Problem": TEXTS[1]}]])
def test_training_problems_without_a_program_are_one_line(
    model_folder: Path,
    test_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    items: list[Any],
    write_training: Callable[..., Any],
) -> None:
    data = write_training(tmp_path / "data", [])
    (data / "mathqa" / "train.json").write_text(json.dumps(items), encoding="utf-8")
    assert main(arguments(model_folder, test_file, "--data", data)) == 2
    error = capsys.readouterr().err
    assert error == "infer.py: no training problem with a program to look up\n"


def test_a_model_of_some_of_the_problems_finds_them_again(
    training: list[Problem],
    data: Path,
    tmp_path: Path,
    save_model: Callable[..., Any],
    write_training: Callable[..., Any],
) -> None:
    task = make_task(training, limit=20)
    model = MathModel.load(save_model(task, tmp_path / "model"), data)
    found, kept = (
        predict(translator, reader, TEXTS, beam_size=1)
        for translator, reader in ((task.translator, task.reader), (model.translator, model.reader))
    )
    assert found == kept
    # Those beyond do not matter, but the first do.
    MathModel.load(tmp_path / "model", write_training(tmp_path / "fewer", training[:20]))
    with pytest.raises(UserError, match=r"model\.neighbours: the training problems here have the hash"):
        MathModel.load(tmp_path / "model", write_training(tmp_path / "others", training[1:]))
