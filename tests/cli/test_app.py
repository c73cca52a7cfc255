import json
import subprocess
import sys
from pathlib import Path

import pytest

from myna import __version__
from myna.cli.app import run
from myna.errors import UserError


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["myna", *map(str, arguments)])
    return run()


def test_version_is_printed(monkeypatch, capsys):
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"myna {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["math", "train", "nowhere.toml"], "nowhere.toml: no such file"),
        (["math", "eval", "nowhere"], "nowhere: neither a folder nor a run"),
        (["math", "score", "nowhere.json"], "nowhere.json: no such file"),
        (["math", "data", "--data", "nowhere"], "nowhere: no such folder"),
        (["math", "dance"], "No such command 'dance'"),
        (["study", "run"], "Missing argument"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(monkeypatch, capsys, arguments, expected):
    assert call(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.startswith("myna: ")
    assert error.count("\n") == 1


def test_an_unknown_setting_names_file_key_and_the_near_one(monkeypatch, capsys, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text("[training]\nepoch = 3\n")
    assert call(monkeypatch, "math", "train", config) == 2
    assert capsys.readouterr().err == f"myna: {config}: training.epoch: unknown; did you mean epochs?\n"


def test_a_broken_data_folder_names_the_missing_file(monkeypatch, capsys, tmp_path):
    assert call(monkeypatch, "math", "data", "--data", tmp_path) == 2
    assert str(tmp_path / "mathqa" / "train.json") in capsys.readouterr().err


def test_facts_of_the_generated_sample_say_that_it_is_generated(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("MYNA_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "math", "data", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert "GENERATED" in facts["source"]
    assert call(monkeypatch, "math", "data") == 0
    assert "GENERATED" in capsys.readouterr().out


def test_help_needs_no_torch():
    code = (
        "import sys; sys.argv = ['myna', 'math', '--help']\n"
        "from myna.cli.app import run\n"
        "assert run() == 0\n"
        "assert 'torch' not in sys.modules and 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_every_verb_shows_an_example(monkeypatch, capsys):
    for verb in (
        ["math", "data"],
        ["math", "score"],
        ["math", "train"],
        ["math", "eval"],
        ["math", "ship"],
        ["study", "run"],
    ):
        assert call(monkeypatch, *verb, "--help") == 0
        assert "Example: myna" in capsys.readouterr().out


def test_user_errors_are_value_errors():
    assert issubclass(UserError, ValueError)


def test_train_eval_and_score_on_the_generated_sample(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("MYNA_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MYNA_RUNS", str(tmp_path / "runs"))
    config = tmp_path / "tiny.toml"
    config.write_text(
        'name = "tiny"\n[data]\nlimit = 60\n'
        '[model]\nglove = "none"\nlearned_size = 8\nencoder_size = 8\ndecoder_size = 16\ntoken_size = 8\n'
        "[training]\nepochs = 1\n"
    )
    assert call(monkeypatch, "math", "train", config) == 0
    assert call(monkeypatch, "math", "train", config) == 2
    assert "--resume" in capsys.readouterr().err
    predictions = tmp_path / "predictions.json"
    assert (
        call(
            monkeypatch,
            "math",
            "eval",
            "tiny",
            "--beam",
            "2",
            "--search",
            "execution",
            "--json",
            "--output",
            predictions,
        )
        == 0
    )
    scores = json.loads(capsys.readouterr().out)
    assert scores["n"] == 150
    assert set(scores["seen"]) >= {"n", "exact_match", "raw_exact_match", "execution_accuracy", "token_match"}
    assert call(monkeypatch, "math", "score", predictions, "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["exact_match"] == scores["exact_match"]
    assert again["execution_accuracy"] == scores["execution_accuracy"]


def test_every_shipped_config_validates():
    from myna.config import MathConfig, load
    from myna.studies.plan import expand

    root = Path(__file__).parents[2] / "configs"
    configs = sorted((root / "math").glob("*/*.toml"))
    assert configs
    for path in configs:
        load(MathConfig, path)
    for path in sorted((root / "studies").glob("*.toml")):
        assert expand(path, [])[1]
