import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from myna import runs
from myna.cli.report import app
from myna.config import BirdsConfig, save
from myna.errors import UserError
from myna.files import write_json


def call(*arguments):
    """Run a verb; mistakes are raised, as `myna.cli.app` gets them."""
    return CliRunner().invoke(
        app, [str(argument) for argument in arguments], catch_exceptions=False, standalone_mode=False
    )


def write_run(name, n_right):
    folder = runs.runs_folder() / name
    folder.mkdir(parents=True)
    save(BirdsConfig.model_validate({"name": name}), folder / runs.CONFIG)
    write_json(folder / runs.SUMMARY, {"n_parameters": 7, "minutes": 1.5, "best_score": 0.5})
    write_json(folder / "scores-test.json", {"accuracy": n_right / 20})
    said = ["a" if i < n_right else "b" for i in range(20)]
    photos = [{"photo": str(i), "class": "a", "predicted": each, "probability": 0.5} for i, each in enumerate(said)]
    write_json(folder / "predictions-test.json", photos)
    return folder


@pytest.fixture(autouse=True)
def _no_data(monkeypatch, tmp_path):
    monkeypatch.delenv("MYNA_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def test_one_report_is_made_of_runs_and_studies(tmp_path):
    write_run("one", 5)
    write_json(
        runs.runs_folder() / "studies" / "words" / "results.json", {"study": "math", "name": "words", "title": "Words"}
    )
    result = call("make", "one", "words", "--output", tmp_path / "out")
    assert result.exception is None
    text = (tmp_path / "out" / "report.html").read_text()
    assert "Runs on photos of birds" in text
    assert "Words" in text
    assert (tmp_path / "out" / "report.md").exists()


def test_the_report_of_one_study_or_run_goes_into_its_folder():
    folder = write_run("one", 5)
    assert call("make", "one").exception is None
    assert (folder / "report.html").exists()
    write_run("two", 5)
    assert call("make", "one", "two").exception is None
    assert (runs.runs_folder() / "report" / "report.html").exists()


def test_two_runs_are_compared_in_words_and_as_json():
    write_run("one", 2)
    write_run("two", 18)
    output = " ".join(call("compare", "one", "two").output.split())
    assert "On test, two is 80.0 points above one in accuracy: more than noise (p < 0.001" in output
    assert "settings that differ: none" in output
    found = json.loads(call("compare", "one", "two", "--json").output)
    assert found["tests"][0]["difference"] == pytest.approx(0.8)


def test_mistakes_are_one_line():
    write_run("one", 2)
    for arguments in (["make", "nowhere"], ["compare", "one", "nowhere"]):
        with pytest.raises(UserError, match="nowhere: neither a study nor a run") as error:
            call(*arguments)
        assert "\n" not in str(error.value)


def test_every_verb_shows_an_example():
    for verb in ("make", "compare"):
        assert "Example: myna report" in CliRunner().invoke(app, [verb, "--help"]).output
    assert isinstance(app, typer.Typer)
    assert Path(runs.runs_folder()).name == "runs"
