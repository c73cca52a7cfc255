import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from myna import runs
from myna.config import save
from myna.errors import UserError
from myna.files import write_json
from myna.report.render import render
from myna.studies.plan import PlannedRun, expand
from myna.studies.run import LOCK, MEASURES, find_finished, find_ready, run_study, share_cores, train_all

CONFIG = Path(__file__).parents[2] / "configs" / "math" / "base.toml"

TINY = """
name = "tiny"
[data]
limit = 40
[model]
glove = "none"
learned_size = 8
encoder_size = 8
decoder_size = 16
token_size = 8
[training]
epochs = 1
"""
STUDY = """
name = "small"
title = "A small study"
splits = ["test"]
beam_sizes = [2, 1]
searches = ["plain"]
[[runs]]
config = "tiny.toml"
label = "later"
set = ["start_from=tiny-seed{seed}", "label_smoothing=0.1"]
seeds = [0, 1]
[[runs]]
config = "tiny.toml"
seeds = [0, 1]
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MYNA_DATA", raising=False)
    monkeypatch.setenv("MYNA_RUNS", str(tmp_path / "runs"))
    (tmp_path / "tiny.toml").write_text(TINY)
    (tmp_path / "small.toml").write_text(STUDY)
    return tmp_path / "small.toml"


@pytest.mark.slow
def test_a_study_trains_measures_and_reports_and_does_nothing_twice(study):
    folder = run_study(study, None, 2, [])
    results = json.loads((folder / "results.json").read_text())
    names = ["tiny-label_smoothing-0.1-seed0", "tiny-label_smoothing-0.1-seed1", "tiny-seed0", "tiny-seed1"]
    assert [run["name"] for run in results["runs"]] == names
    assert [run["config"]["start_from"] for run in results["runs"]] == ["tiny-seed0", "tiny-seed1", "", ""]
    kinds = [(each["what"], each["n_seeds"]) for each in results["comparisons"] if each["measure"] == "exact_match"]
    # Each of two labels has two beam sizes, and two baselines on all and on novel problems; none are far here.
    assert kinds.count(("models", 2)) == 1
    assert kinds.count(("beams", 2)) == 2
    assert kinds.count(("baselines", 2)) >= 2 * 2
    assert results["is_generated"] is True
    assert {row["name"] for row in results["baselines"]} == {"look-up", "nearest neighbour"}
    for row in (*results["runs"], *results["baselines"]):
        assert row["scores"]["test"][0]["n"] == 150
    trained = runs.runs_folder() / "tiny-seed0" / "last" / "model.safetensors"
    before = trained.stat().st_mtime_ns
    again = json.loads((run_study(study, None, 2, []) / "results.json").read_text())
    assert trained.stat().st_mtime_ns == before
    assert again["runs"] == results["runs"]
    report = render([results], folder).read_text()
    assert "GENERATED" in report
    assert "Beam sizes" in report
    assert "2 seeds" in report
    assert "tiny" in report


@pytest.mark.slow
def test_a_training_that_fails_names_its_log(study):
    with pytest.raises(UserError, match=r"tiny-seed\d: training stopped with status 2: .*nowhere\.txt.*train\.log"):
        run_study(study, None, 2, ["model.glove=nowhere.txt"])


@pytest.mark.parametrize("only_finished", [False, True])
def test_runs_made_with_other_data_are_refused_before_anything_is_trained(study, monkeypatch, only_finished):
    monkeypatch.setattr("myna.studies.run.train_all", lambda *arguments: pytest.fail("trained"))
    folder = runs.runs_folder() / "tiny-seed1"
    runs.write_summary(folder, minutes=1.0)
    write_json(folder / runs.ENVIRONMENT, {"data": "other problems"})
    with pytest.raises(UserError, match=r"tiny-seed1: made with other problems, not a GENERATED .*; move it away"):
        run_study(study, None, 2, only_finished=only_finished)


def test_runs_made_with_other_settings_are_refused_before_anything_is_trained(study, monkeypatch):
    monkeypatch.setattr("myna.studies.run.train_all", lambda *arguments: pytest.fail("trained"))
    folder = runs.runs_folder() / "tiny-seed1"
    study_config, planned = expand(study)
    settings = next(run.settings for run in planned if run.name == folder.name)
    runs.write_summary(folder, minutes=1.0)
    often = settings.training.model_copy(update={"checkpoint_minutes": 0.5})
    save(settings.model_copy(update={"training": often}), folder / runs.CONFIG)
    # How often it was saved changes nothing of what came out.
    measures = MEASURES["math"](study_config, None)
    assert [run.name for run in find_finished(planned, measures)] == [folder.name]
    with pytest.raises(UserError, match=r"tiny-seed1: made with training.epochs \d+, not 99; move it away"):
        run_study(study, None, 2, ["training.epochs=99"])


@pytest.mark.parametrize("override", ["training.seed=3", "name=other"])
def test_a_study_names_its_runs_and_seeds_itself(study, override):
    with pytest.raises(UserError, match=f"^--set {override}: a study names its runs and seeds itself"):
        run_study(study, None, 2, [override])


def test_results_name_the_command_with_what_was_set(study, monkeypatch):
    class Measures:
        source, is_generated = "made up", True
        measure = describe_data = hash_data = measure_baselines = compare = lambda self, *_: []

        def __init__(self, *_):
            pass

    monkeypatch.setitem(MEASURES, "math", Measures)
    monkeypatch.setattr("myna.studies.run.train_all", lambda *_: None)
    monkeypatch.setattr("myna.studies.run._measure", lambda *_: {})
    runs.write_summary(runs.runs_folder() / "tiny-seed0", minutes=1.0)
    folder = run_study(study, None, 1, ["training.epochs=2", "model.glove=my vectors.txt"])
    command = json.loads((folder / "results.json").read_text())["command"]
    assert command == f"myna study run {study} --set training.epochs=2 --set 'model.glove=my vectors.txt'"


def test_finished_runs_are_those_of_the_data_or_of_before_that_was_recorded(study):
    measures = MEASURES["math"](expand(study)[0], None)
    whole = {"data": measures.source, runs.FINGERPRINT: measures.hash_data(plan("a").settings.data)}
    for name, environment in {"a": whole, "b": {"data": measures.source}, "c": {}, "d": None}.items():
        runs.write_summary(runs.runs_folder() / name, minutes=1.0)
        if environment is not None:
            write_json(runs.runs_folder() / name / runs.ENVIRONMENT, environment)
    assert [run.name for run in find_finished([plan(name) for name in "abcde"], measures)] == ["a", "b", "c", "d"]


def test_as_many_other_problems_are_other_data(study):
    folder = runs.runs_folder() / "a"
    runs.write_summary(folder, minutes=1.0)
    measures = MEASURES["math"](expand(study)[0], None)
    recorded = measures.hash_data(plan("a").settings.data)
    write_json(folder / runs.ENVIRONMENT, {"data": measures.source, runs.FINGERPRINT: recorded})
    measures.splits.train[0] = replace(measures.splits.train[0], answer=-1.0)
    with pytest.raises(UserError, match=r"a: made with others of the same number, not a GENERATED .*; move it away"):
        find_finished([plan("a")], measures)


@pytest.mark.slow
def test_a_birds_study_compares_its_runs_on_the_same_photos(tmp_path, monkeypatch, bird_folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(
        'study = "birds"\nname = "tiny"\n[data]\nsize = 16\n[model]\nn = 1\n[training]\nepochs = 1\nbatch_size = 4\n'
    )
    runs_of = '[[runs]]\nconfig = "tiny.toml"\nlabel = "{0}"\nset = ["model.norm={0}"]\nseeds = [0, 1]\n'
    study = tmp_path / "norms.toml"
    study.write_text('study = "birds"\nname = "n"\ntitle = "T"\n' + runs_of.format("bn") + runs_of.format("inbuilt"))
    with pytest.raises(UserError, match="none of its 4 runs is finished"):
        run_study(study, bird_folder, 2, only_finished=True)
    folder = run_study(study, bird_folder, 2)
    results = json.loads((folder / "results.json").read_text())
    assert [run["label"] for run in results["runs"]] == ["bn", "bn", "inbuilt", "inbuilt"]
    assert results["runs"][0]["n_layers"] == 8
    assert results["runs"][0]["scores"]["train"]["n"] == 21
    (comparison,) = results["comparisons"]
    assert (comparison["a"], comparison["b"], comparison["n_seeds"]) == ("bn", "inbuilt", 2)
    accuracies = [run["scores"]["test"]["accuracy"] for run in results["runs"]]
    expected = (accuracies[0] + accuracies[1] - accuracies[2] - accuracies[3]) / 2
    assert comparison["difference"] == pytest.approx(expected)
    assert {row["name"] for row in results["baselines"]} >= {"linear on pixels"}
    assert "inbuilt" in render([results], folder).read_text()


def plan(name: str, start_from: str = "") -> PlannedRun:
    return PlannedRun("math", name, name, 0, CONFIG, (f"name={name}", f"start_from={start_from}"))


def test_a_run_waits_for_the_one_that_it_starts_from():
    tuned, frozen, other = plan("tuned", "frozen"), plan("frozen"), plan("other", "trained before")
    assert find_ready([tuned, frozen, other], {}) == frozen
    assert find_ready([tuned, other], {"frozen": None}) == other
    assert find_ready([tuned], {"frozen": None}) is None
    assert find_ready([tuned], {}) == tuned
    assert find_ready([], {}) is None


def test_runs_that_wait_for_one_another_are_refused():
    with pytest.raises(UserError, match="none can start: a, b"):
        find_ready([plan("a", "b"), plan("b", "a")], {})


def fake_trainings(started):
    """Return what stands for `start_training`: a process that has ended well already."""

    class Process:
        returncode = 0

        def poll(self):
            return 0

        def terminate(self):
            pass

        wait = terminate

    def start(run, data, environment):
        started.append(run.name)
        return Process()

    return start


def test_trainings_are_started_in_the_order_of_their_weights(monkeypatch):
    started = []
    monkeypatch.setattr("myna.studies.run.start_training", fake_trainings(started))
    monkeypatch.setattr("myna.studies.run.time.sleep", lambda seconds: None)
    train_all([plan("c", "b"), plan("b", "a"), plan("a"), plan("d")], None, 3)
    assert started.index("a") < started.index("b") < started.index("c")
    assert sorted(started) == ["a", "b", "c", "d"]


@pytest.mark.slow
def test_processes_at_one_study_divide_its_runs(study):
    code = (
        "import sys; from pathlib import Path; from myna.studies.plan import expand;"
        "from myna.studies.run import train_all; train_all(expand(Path(sys.argv[1]))[1], None, 1)"
    )
    command = [sys.executable, "-c", code, str(study)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], printed
    trained = [line for text in printed for line in text.splitlines() if line.endswith(": trained")]
    names = [run.name for run in expand(study)[1]]
    # Each by one of the two, and whoever is done first waits for the other.
    assert sorted(trained) == [f"{name}: trained" for name in sorted(names)]
    for name in names:
        assert (runs.runs_folder() / name / "train.log").read_text().count("best exact_match") == 1


def test_a_run_that_another_process_has_is_waited_for_and_taken_over_if_that_dies(monkeypatch):
    """`a` is trained by a process that outlived its study, `b` is another study's: the one dies, the other finishes."""
    started, naps = [], []
    folder = {name: runs.runs_folder() / name for name in "abc"}
    for each in folder.values():
        each.mkdir(parents=True)
    training, study = FileLock(folder["a"] / runs.LOCK), FileLock(folder["b"] / LOCK)
    training.acquire()
    study.acquire()

    def sleep(seconds):
        naps.append(list(started))
        if len(naps) == 3:
            training.release()
            runs.write_summary(folder["b"], minutes=1.0)
            study.release()

    monkeypatch.setattr("myna.studies.run.start_training", fake_trainings(started))
    monkeypatch.setattr("myna.studies.run.time.sleep", sleep)
    train_all([plan("a"), plan("b"), plan("c")], None, 3)
    assert naps[:3] == [["c"]] * 3
    assert started == ["c", "a"]
    for each in folder.values():
        FileLock(each / LOCK).acquire(timeout=0).lock.release()


def test_cores_are_shared_out_unless_the_user_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert share_cores(3)["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert share_cores(3)["OMP_NUM_THREADS"] == "1"
