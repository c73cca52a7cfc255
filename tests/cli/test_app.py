import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from myna import __version__
from myna.cli.app import run
from myna.errors import DivergedError, UserError

CONFIGS_FOLDER = Path(__file__).parents[2] / "configs"


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
        (["birds", "train", "nowhere.toml"], "nowhere.toml: no such file"),
        (["birds", "eval", "nowhere"], "nowhere: neither a folder nor a run"),
        (["birds", "eval", "."], "no config.toml; expected the folder of a run or of a model"),
        (["birds", "data", "--data", "nowhere"], "nowhere: no such folder"),
        (["math", "dance"], "No such command 'dance'"),
        (["math", "eval", "nowhere", "--search", "wide"], "'wide' is not one of 'plain', 'grammar', 'execution'"),
        (["math", "eval", "nowhere", "--length-penalty", "inf"], "less than or equal to 10"),
        (["study", "run"], "Missing argument"),
        (["study", "grid"], "Missing argument"),
        (["study", "grid", "nowhere.toml"], "nowhere.toml: no such file"),
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
        ["study", "grid"],
    ):
        assert call(monkeypatch, *verb, "--help") == 0
        assert "Example: myna" in capsys.readouterr().out


def test_user_errors_are_value_errors():
    assert issubclass(UserError, ValueError)


def test_a_user_error_is_one_line_of_print_whatever_it_tells_of():
    """A file's name or a problem's text could else break the line, command the terminal, or not be written at all."""
    assert str(UserError("größe: a\nb \x1b[2J \ud800 \u2028 C:\\x")) == r"größe: a\nb \x1b[2J \ud800 \u2028 C:\x"


@pytest.mark.parametrize(("error", "status"), [(UserError("a"), 2), (DivergedError("a"), 3)])
def test_the_status_tells_what_diverged_from_other_mistakes(monkeypatch, capsys, error, status):
    def fail(**_):
        raise error

    monkeypatch.setattr("myna.cli.app.app", fail)
    assert call(monkeypatch, "math", "train") == status
    assert capsys.readouterr().err == "myna: a\n"


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


@pytest.mark.parametrize("study", ["birds", "math"])
def test_every_shipped_config_validates(study):
    from myna.config import load
    from myna.studies.plan import CONFIGS

    configs = sorted((CONFIGS_FOLDER / study).glob("*/*.toml"))
    assert len(configs) >= 4
    for path in configs:
        assert load(CONFIGS[study], path).study == study


def test_the_shipped_search_is_without_mistakes_and_goes_over_known_settings():
    from myna.studies.grid import read_search

    plan = read_search(CONFIGS_FOLDER / "studies" / "grid.toml")
    assert (plan.n_trials, plan.metric) == (12, "exact_match")
    assert plan.plan({key: values[-1] for key, values in plan.space.items()}, 1).settings.training.epochs == 6


def test_a_mistake_in_a_search_names_its_file_and_place(monkeypatch, capsys, tmp_path):
    (tmp_path / "c.toml").write_text('name = "c"\n')
    path = tmp_path / "g.toml"
    path.write_text('name = "g"\ntitle = "T"\nconfig = "c.toml"\n[space]\n"model.drop" = [0.1]\n')
    assert call(monkeypatch, "study", "grid", path) == 2
    assert capsys.readouterr().err == f"myna: {path}: space: model.drop: unknown; did you mean dropout?\n"


def test_every_shipped_study_has_runs_of_different_names():
    from myna.studies.plan import expand

    studies = sorted((CONFIGS_FOLDER / "studies").rglob("*.toml"))
    studies.remove(CONFIGS_FOLDER / "studies" / "grid.toml")  # a search
    assert len(studies) >= 10
    for path in studies:
        names = [run.name for run in expand(path, [])[1]]
        assert len(set(names)) == len(names)


def test_a_bird_net_is_trained_evaluated_shipped_and_not_trained_twice(monkeypatch, capsys, tmp_path, bird_folder):
    monkeypatch.setenv("MYNA_DATA", str(bird_folder))
    config = tmp_path / "c.toml"
    config.write_text('study = "birds"\nname = "tiny"\n[data]\nsize = 16\n[model]\nn = 1\n[training]\nepochs = 1\n')
    assert call(monkeypatch, "birds", "prepare", config) == 0
    assert "train: 21 of 21 photos ready" in capsys.readouterr().out
    assert call(monkeypatch, "birds", "data") == 0
    assert "copies between train-test: 0 exact" in capsys.readouterr().out
    assert call(monkeypatch, "birds", "train", config, "--set", "model.norm=ln") == 0
    assert call(monkeypatch, "birds", "train", config) == 2
    assert "this run exists" in capsys.readouterr().err
    assert call(monkeypatch, "birds", "ship", "tiny", tmp_path) == 2
    assert "holds something else than a model" in capsys.readouterr().err
    assert call(monkeypatch, "birds", "ship", "tiny", tmp_path / "ln") == 0
    assert call(monkeypatch, "birds", "eval", tmp_path / "ln", "--split", "val", "--json") == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["n"] == 12
    assert scores["accuracy"] == json.loads((tmp_path / "ln" / "scores.json").read_text())["val"]["accuracy"]
    assert call(monkeypatch, "birds", "eval", tmp_path / "ln") == 0
    assert "Roller" in capsys.readouterr().out


def test_settings_that_do_not_go_together_leave_no_run_behind(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("MYNA_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "c.toml"
    config.write_text(
        'name = "tiny"\n[data]\nlimit = 20\n[training]\nepochs = 1\n[model]\ntype = "lstm_lstm"\nglove = "none"\n'
        "learned_size = 8\nencoder_size = 8\ndecoder_size = 16\ntoken_size = 8\n"
    )
    assert call(monkeypatch, "math", "train", config, "--set", "model.input_feeding=true") == 2
    assert "input_feeding" in capsys.readouterr().err
    assert call(monkeypatch, "math", "train", config) == 0


def test_facts_of_photos_are_printed_where_a_split_has_none(monkeypatch, capsys, bird_folder, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(bird_folder, data)
    shutil.rmtree(data / "birds" / "test")
    (data / "birds" / "test").mkdir()
    assert call(monkeypatch, "birds", "data", "--data", data) == 0
    assert "median shorter side" in capsys.readouterr().out
