from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import myna
from myna import runs
from myna.config import MathConfig, Section, TrainingSection, check, save
from myna.errors import UserError


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all runs; without the process number that torchrun would give."""
    monkeypatch.delenv("RANK", raising=False)
    return runs.runs_folder()


def test_runs_are_in_the_folder_of_the_environment_or_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runs.runs_folder() == tmp_path / "runs"
    monkeypatch.delenv("MYNA_RUNS")
    assert runs.runs_folder() == Path("runs")


# Making and finding


def test_a_run_is_made_once_and_resumed_on_request(home: Path) -> None:
    folder = runs.create("a")
    assert folder == home / "a"
    assert folder.is_dir()
    # Killed before it had written its config: there is nothing to lose.
    assert runs.create("a") == folder
    (folder / runs.CONFIG).touch()
    with pytest.raises(UserError, match=r"runs/a: this run exists; add --resume"):
        runs.create("a")
    assert runs.create("a", resume=True) == folder


def test_a_run_is_finished_until_it_is_trained_again(home: Path) -> None:
    folder = runs.create("a")
    assert not runs.is_finished(folder)
    runs.write_summary(folder, minutes=1.5)
    with runs.claimed(folder):
        # Whatever claimed it may yet be refused.
        assert runs.is_finished(folder)
        runs.mark_unfinished(folder)
    assert not runs.is_finished(folder)


def test_the_first_process_alone_decides_whether_the_run_exists(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (runs.create("a") / runs.CONFIG).touch()
    monkeypatch.setenv("RANK", "1")
    assert runs.create("a") == home / "a"
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UserError):
        runs.create("a")


def test_a_file_in_the_way_is_one_line(home: Path) -> None:
    home.mkdir()
    (home / "a").touch()
    with pytest.raises(UserError, match=r"runs/a: cannot be made: File exists"):
        runs.create("a")


def test_find_takes_a_path_or_a_name(home: Path, tmp_path: Path) -> None:
    folder = runs.create("attn-1")
    assert runs.find("attn-1") == folder
    assert runs.find(str(folder)) == folder
    assert runs.find(tmp_path) == tmp_path


def test_what_is_found_has_a_name(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "net" / "best"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert (runs.find(".").name, runs.find("..").name) == ("best", "net")


def test_find_suggests_the_near_names(home: Path) -> None:
    with pytest.raises(UserError, match=r"^attn-2: neither a folder nor a run in .*/runs$"):
        runs.find("attn-2")
    for name in ("attn-1", "plain"):
        (runs.create(name) / runs.CONFIG).touch()
    with pytest.raises(UserError, match=r"neither a folder nor a run in .*/runs; did you mean attn-1\?$"):
        runs.find("attn-2")
    with pytest.raises(UserError, match=r"; 2 others are there$"):
        runs.find("zzz")


# Resuming with the same settings


class WithChoice(Section):
    name: str = "x"
    part: TrainingSection | None = None


def changed(**training: object) -> MathConfig:
    return check(MathConfig, {"training": training}, "test")


def test_a_new_folder_takes_any_config(tmp_path: Path) -> None:
    runs.check_same_config(tmp_path, MathConfig())


def test_the_same_config_may_go_on(tmp_path: Path) -> None:
    save(changed(epochs=3), tmp_path / runs.CONFIG)
    runs.check_same_config(tmp_path, changed(epochs=3))


@pytest.mark.parametrize("setting", [{"epochs": 9}, {"evaluate_epochs": 2}, {"checkpoint_minutes": 0.5}])
def test_how_far_and_how_often_may_change(tmp_path: Path, setting: dict[str, object]) -> None:
    save(MathConfig(), tmp_path / runs.CONFIG)
    runs.check_same_config(tmp_path, changed(**setting))


def test_other_epochs_go_on_record(tmp_path: Path) -> None:
    (tmp_path / "last").mkdir()
    earlier = []
    for n_epochs in (12, 12, 30, 40):
        config = changed(epochs=n_epochs)
        found = runs.find_earlier_epochs(tmp_path, config)
        earlier.append(found)
        save(config, tmp_path / runs.CONFIG)
        runs.write_environment(tmp_path, **{runs.EARLIER_EPOCHS: found})
    assert earlier == [[], [], [12], [12, 30]]
    runs.write_summary(tmp_path, n_parameters=7, minutes=1.0)
    card = "\n".join(runs.describe_making(tmp_path))
    assert "- First asked for 12 and 30 epochs, then resumed: its schedules changed\n" in card
    # Without a checkpoint, nothing was trained for fewer.
    (tmp_path / "last").rmdir()
    assert runs.find_earlier_epochs(tmp_path, changed(epochs=50)) == []


def test_a_renamed_run_may_go_on(tmp_path: Path) -> None:
    save(MathConfig(name="a"), tmp_path / runs.CONFIG)
    runs.check_same_config(tmp_path, MathConfig(name="b"))


def test_another_setting_is_told_with_both_values(tmp_path: Path) -> None:
    save(MathConfig(), tmp_path / runs.CONFIG)
    with pytest.raises(UserError) as caught:
        runs.check_same_config(tmp_path, changed(optimizer={"learning_rate": 1e-3}, seed=4))
    assert str(caught.value) == (
        f"{tmp_path}/config.toml: training.optimizer.learning_rate is 0.002 in this run, not 0.001; "
        "resume it with that, or --name another run"
    )


def test_a_setting_that_one_of_them_lacks_is_told(tmp_path: Path) -> None:
    save(WithChoice(), tmp_path / runs.CONFIG)
    with pytest.raises(UserError, match=r"part is None in this run, not|part\.\w+ is None in this run, not"):
        runs.check_same_config(tmp_path, WithChoice(part=TrainingSection()))
    save(WithChoice(part=TrainingSection()), tmp_path / runs.CONFIG)
    with pytest.raises(UserError, match=r"in this run, not None"):
        runs.check_same_config(tmp_path, WithChoice())


def test_what_an_older_version_did_not_have_counts_as_its_default(tmp_path: Path) -> None:
    (tmp_path / runs.CONFIG).write_text("name = 'old'\n[training]\nepochs = 3\n")
    runs.check_same_config(tmp_path, changed(epochs=3))
    with pytest.raises(UserError, match=r"training\.seed is 0 in this run, not 1"):
        runs.check_same_config(tmp_path, changed(epochs=3, seed=1))


# Metrics and environment


def test_metrics_without_the_line_that_was_cut_short(tmp_path: Path) -> None:
    assert runs.read_metrics(tmp_path) == []
    (tmp_path / runs.METRICS).write_text('{"split": "train"}\n{"split": "val"}\n{"spl')
    assert runs.read_metrics(tmp_path) == [{"split": "train"}, {"split": "val"}]


def test_a_broken_line_of_metrics_is_named(tmp_path: Path) -> None:
    (tmp_path / runs.METRICS).write_text('{"split": "train"}\noops\n{"split": "val"}\n')
    with pytest.raises(UserError, match=r"metrics\.jsonl: line 2: not JSON: Expecting value$"):
        runs.read_metrics(tmp_path)


def test_environment_says_what_the_run_was_made_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/myna", "math", "train", "a b.toml"])
    runs.write_environment(tmp_path, data="the course's")
    environment = json.loads((tmp_path / runs.ENVIRONMENT).read_text())
    assert environment["myna"] == myna.__version__
    assert environment["command"] == "myna math train 'a b.toml'"
    assert environment["data"] == "the course's"
    assert environment["packages"]["torch"].startswith("2.")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_ours_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed into an environment inside another project's checkout, that project's commit is not ours."""

    def git(*arguments: str) -> None:
        author = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", str(tmp_path), *author, *arguments], check=True, capture_output=True)

    package = tmp_path / "venv" / "myna"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (tmp_path / "README").touch()
    monkeypatch.setattr(runs, "__file__", str(package / "runs.py"))
    assert runs.describe_environment()["commit"] is None
    git("init", "-q")
    git("add", "README")
    git("commit", "-q", "-m", "theirs")
    assert runs.describe_environment()["commit"] is None
    git("add", ".")
    git("commit", "-q", "-m", "ours")
    commit = runs.describe_environment()["commit"]
    assert len(commit) == 12
    (package / "__init__.py").write_text("changed")
    assert runs.describe_environment()["commit"] == commit + "+"
