import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from filelock import FileLock
from scipy.stats import kruskal

from myna import runs
from myna.errors import UserError
from myna.files import write_json
from myna.report.render import render
from myna.studies import search
from myna.studies.effects import measure_effects, score_margin
from myna.studies.examples import Examples
from myna.studies.grid import read_search
from myna.studies.record import RECORD

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
epochs = 6
"""
HEAD = 'name = "s"\ntitle = "A small search"\nconfig = "tiny.toml"\n'
SPACE = '[space]\n"model.attention" = ["luong", "bahdanau"]\ntraining.optimizer.learning_rate = [1e-3, 1e-2, 1.0]\n'


def test_a_grid_may_have_more_places_than_python_counts(write):
    search_ = read_search(write())
    space = {f"s{i}": list(range(10)) for i in range(20)}
    search_ = replace(search_, grid=search_.grid.model_copy(update={"space": space}))
    first = search_.draw_unseen([])
    second = search_.draw_unseen([first])
    assert second is not None
    assert second != first
    assert set(second) == set(search_.space)


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a search's file; its trials are found in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MYNA_DATA", raising=False)
    monkeypatch.setenv("MYNA_RUNS", str(tmp_path / "runs"))
    (tmp_path / "tiny.toml").write_text(TINY)

    def write(more="", space=SPACE):
        path = tmp_path / "search.toml"
        path.write_text(HEAD + more + space)
        return path

    return write


class FakeTraining:
    """Stands for the process of a training: each time it is asked how it is, it has done an epoch more."""

    def __init__(self, run, score, status=0):
        self.run, self.score, self.status, self.stopped = run, score, status, False
        self.pid, self.returncode = 2**22 + 1, None
        self.folder = runs.runs_folder() / run.name
        self.folder.mkdir(parents=True, exist_ok=True)

    def poll(self):
        epoch = sum(line["split"] == "val" for line in runs.read_metrics(self.folder)) + 1
        if self.stopped or (self.status and epoch > 1):
            self.returncode = 130 if self.stopped else self.status
            (self.folder / "train.log").write_text("one\nmyna: the loss became nan\n")
        elif epoch > self.run.settings.training.epochs:
            self.returncode = 0
            write_json(self.folder / runs.SUMMARY, {"minutes": 1.0})
        else:
            value = self.score(self.run.settings, epoch)
            lines = [{"split": "train", "epoch": epoch, "loss": 1.0}]
            lines += [{"split": "val", "epoch": epoch, "minutes": epoch / 2, "exact_match": value, "loss": 1 - value}]
            with (self.folder / runs.METRICS).open("a") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)
        return self.returncode

    def terminate(self):
        self.stopped = True

    def wait(self):
        self.poll()


def score(settings, epoch):
    """A rate of 1 learns nothing; attention makes a difference in the fourth decimal."""
    rate = settings.training.optimizer.learning_rate
    return {0.001: 0.5, 0.01: 0.8, 1.0: 0.0}[rate] * epoch / 10 + 1e-4 * (settings.model.attention == "luong")


def train_by_fakes(replace):
    """Have `replace` put FakeTraining in the place of trainings; return the list of the runs that will be started."""
    names = []

    def start(run, data, environment):
        names.append(run.name)
        return FakeTraining(run, score)

    replace(search, "start_training", start)
    replace(search, "load_examples", lambda study, data: Examples(1000, "made up", True))
    replace(search, "POLL_SECONDS", 0)
    return names


@pytest.fixture
def started(monkeypatch):
    """Train by FakeTraining; the list of the names of the runs that were started."""
    return train_by_fakes(monkeypatch.setattr)


def run(path, workers=1, **options):
    return json.loads((search.run_search(path, None, workers, **options) / runs.GRID).read_text())


def test_a_whole_grid_is_trained_once(write, started):
    path = write('sampler = "grid"\nn_trials = 0\npruner = "none"\n')
    results = run(path, workers=2)
    assert len(set(started)) == len(started) == results["n_planned"] == 6
    assert {trial["state"] for trial in results["trials"]} == {"finished"}
    best = max(results["trials"], key=lambda trial: trial["best"])
    assert best["settings"] == {"model.attention": "luong", "training.optimizer.learning_rate": 0.01}
    assert (best["best"], best["best_epoch"], best["epochs"]) == (pytest.approx(0.4801), 6, 6)
    assert best["values"][0] == [1, pytest.approx(0.0801)]
    assert best["command"] == (
        f"myna math train {path.with_name('tiny.toml')} --set model.attention=luong"
        " --set training.optimizer.learning_rate=0.01 --name s-best"
    )
    assert results["effects"]["settings"][0]["name"] == "training.optimizer.learning_rate"
    assert results["margin"] == pytest.approx(score_margin(0.4801, 1000))
    # Again, and again without the record: what is finished is read.
    again = run(path)
    assert again["command"] == f"myna study grid {path}"
    assert again["trials"] == results["trials"]
    (runs.runs_folder() / "studies" / "s" / RECORD).unlink()
    anew = run(path)
    assert len(started) == 6
    assert sorted(trial["best"] for trial in anew["trials"]) == sorted(trial["best"] for trial in results["trials"])


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_sampler_never_has_the_same_settings_trained_twice(write, started, sampler):
    results = run(write(f'sampler = "{sampler}"\nn_trials = 40\npruner = "none"\n'), workers=2)
    assert results["n_planned"] == len(results["trials"]) == len(started) == len(set(started)) == 6
    assert [trial["number"] for trial in results["trials"]] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("pruner", ["median", "halving"])
def test_a_trial_that_lags_behind_is_stopped_and_stays_so(write, started, pruner):
    path = write(f'sampler = "grid"\nn_trials = 0\npruner = "{pruner}"\nwarmup_epochs = 2\n')
    results = run(path)
    states = {trial["run"]: trial["state"] for trial in results["trials"]}
    pruned = [trial for trial in results["trials"] if trial["state"] == "pruned"]
    assert pruned
    assert all(2 < trial["epochs"] < 6 for trial in pruned)
    assert 0.01 not in {trial["settings"]["training.optimizer.learning_rate"] for trial in pruned}
    assert results["effects"]["epoch"] == min(trial["epochs"] for trial in results["trials"])
    assert {trial["run"]: trial["state"] for trial in run(path)["trials"]} == states
    assert len(started) == 6


def test_a_search_that_was_killed_goes_on_with_the_same_runs(write, started, monkeypatch):
    path = write('n_trials = 4\npruner = "none"\n')
    poll, n_polls = FakeTraining.poll, []

    def die(training):
        n_polls.append(1)
        if len(n_polls) == 11:
            raise KeyboardInterrupt
        return poll(training)

    monkeypatch.setattr(FakeTraining, "poll", die)
    with pytest.raises(KeyboardInterrupt):
        run(path)
    first, second = started
    assert not runs.is_finished(runs.runs_folder() / second)
    partly = run(path, only_finished=True)
    assert [trial["state"] for trial in partly["trials"]] == ["finished", "unfinished"]
    assert [trial["run"] for trial in partly["trials"]] == [first, second]
    results = run(path)
    assert started[2] == second
    assert len(set(started)) == 4
    assert len(started) == 5
    assert [trial["run"] for trial in results["trials"]] == [first, *started[2:]]
    assert [epoch for epoch, _ in results["trials"][1]["values"]] == [1, 2, 3, 4, 5, 6]


def test_a_loss_is_minimised_and_has_no_sampling_error(write, started):
    results = run(write('sampler = "grid"\nn_trials = 0\nmetric = "loss"\n'))
    best = min(results["trials"], key=lambda trial: trial["best"])
    assert best["settings"]["training.optimizer.learning_rate"] == 0.01
    assert "margin" not in results
    assert "0.520" in render([results], runs.runs_folder(), "grid").read_text()


def test_one_that_diverges_is_recorded_and_not_tried_again(write, started, monkeypatch):
    path = write('sampler = "grid"\nn_trials = 0\npruner = "none"\n')

    def start(run, data, environment):
        started.append(run.name)
        return FakeTraining(run, score, status=3 * (run.settings.training.optimizer.learning_rate == 1.0))

    monkeypatch.setattr(search, "start_training", start)
    results = run(path)
    failed = [trial for trial in results["trials"] if trial["state"] == "failed"]
    assert len(failed) == 2
    assert "status 3: myna: the loss became nan (all of it: " in failed[0]["error"]
    run(path)
    assert len(started) == 6
    page = render([results], runs.runs_folder(), "grid").with_suffix(".md").read_text()
    assert "failed: training stopped with status 3: myna: the loss became nan" in page


def test_one_that_fails_for_another_reason_ends_the_search_and_is_tried_again(write, started, monkeypatch):
    path = write('sampler = "grid"\nn_trials = 0\npruner = "none"\n')
    is_full = True

    def start(run, data, environment):
        started.append(run.name)
        return FakeTraining(run, score, status=2 * (is_full and len(started) == 3))

    monkeypatch.setattr(search, "start_training", start)
    with pytest.raises(UserError, match=r"^s-\w{8}: training stopped with status 2: "):
        run(path)
    is_full = False
    assert {trial["state"] for trial in run(path)["trials"]} == {"finished"}
    assert started.count(started[2]) == 2


def test_a_run_that_another_process_is_at_is_waited_for(write, started, monkeypatch):
    path = write('sampler = "grid"\nn_trials = 2\npruner = "none"\n')
    run(path)
    for name in started:
        (runs.runs_folder() / name / runs.SUMMARY).unlink()
    (runs.runs_folder() / "studies" / "s" / RECORD).unlink()
    first, naps = started[0], []
    started.clear()
    other = FileLock(runs.runs_folder() / first / runs.LOCK)
    other.acquire()

    def sleep(seconds):
        naps.append(list(started))
        if len(naps) == 3:
            other.release()

    monkeypatch.setattr(search.time, "sleep", sleep)
    assert {trial["state"] for trial in run(path)["trials"]} == {"finished"}
    assert all(first not in names for names in naps[:3])
    assert started.count(first) == 1


def test_a_training_that_cannot_begin_ends_the_search(write, started, monkeypatch):
    class Broken(FakeTraining):
        def poll(self):
            self.returncode = 2
            (self.folder / "train.log").write_text("myna: nowhere.txt: no such file\n")
            return 2

    monkeypatch.setattr(search, "start_training", lambda run, data, environment: Broken(run, score))
    with pytest.raises(UserError, match=r"^s-\w{8}: training stopped with status 2: myna: nowhere.txt.*train\.log"):
        run(write())


def test_processes_at_one_search_divide_its_trials(write, started):
    path = write('n_trials = 4\nset = ["training.epochs=2"]\n')
    code = (
        "import json, sys; from pathlib import Path; from tests.studies import test_grid as t;"
        "names = t.train_by_fakes(setattr); results = t.run(Path(sys.argv[1]));"
        "print(json.dumps([names, [trial['state'] for trial in results['trials']]]))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code, str(path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    printed = [process.communicate()[0] for process in processes]
    (one, states), (two, other_states) = map(json.loads, printed)
    assert len(one + two) == len({*one, *two}) == 4
    # Whoever is done first waits for the other.
    assert states == other_states == ["finished"] * 4
    assert not list((runs.runs_folder() / "studies" / "s" / "sessions").iterdir())


def test_the_trials_of_a_live_process_are_left_to_it(write, started, monkeypatch):
    path = write("n_trials = 4\n")
    poll, seen = FakeTraining.poll, []

    def look(training):
        if not seen:
            grid = search.read_search(path, ())
            with search.open_record(search.replace(grid, source="made up"), folder, only_finished=True) as study:
                session = search._Session(grid, study, folder, "another", None, 1)
                session._take_up_unfinished()
                seen.extend(trial.state.name for trial in study.get_trials())
        return poll(training)

    folder = runs.runs_folder() / "studies" / "s"
    monkeypatch.setattr(FakeTraining, "poll", look)
    run(path)
    assert seen == ["RUNNING"]


def test_nothing_is_made_to_report_on_a_search_that_was_not_begun(write, started):
    with pytest.raises(UserError, match=r"grid.db: no such file; expected a search that was begun"):
        run(write(), only_finished=True)
    assert not runs.runs_folder().exists()


@pytest.mark.parametrize(
    ("more", "space", "expected"),
    [
        ("", '[space]\n"model.atention" = ["luong"]\n', r"space: model.atention: unknown; did you mean attention"),
        ("", '[space]\n"model.attention" = ["luong", "long"]\n', r"space: model.attention: .*'bahdanau'.* not 'long'"),
        ("", '[space]\n"model.dropout" = [0.1, 1.5]\n', r"space: model.dropout: .*less than 1, not 1.5"),
        ("", '[space]\n"model.dropout" = []\n', r"space: model.dropout: \[\]; expected one value or more"),
        ("", '[space]\n"model.dropout" = [0.1, 0.1]\n', r"space: model.dropout: 0.1 twice"),
        ("", '[space]\n"model.dropout" = 0.1\n', r"space.model.dropout: Input should be a valid list, not 0.1"),
        ("", '[space]\nname = ["a", "b"]\n', r"space: name: no setting"),
        ("", "[space]\n", r"space: "),
        ('set = ["model.dropout=0.1"]\n', '[space]\n"model.dropout" = [0.2]\n', r"model.dropout: set for every trial"),
        ('set = ["training.epochz=3"]\n', SPACE, r"set: training.epochz: unknown; did you mean epochs"),
        ('metric = "accuracy"\n', SPACE, r"metric: 'accuracy'; choices: exact_match, .*loss"),
        ("n_trials = 0\n", SPACE, r"n_trials: 0; expected 1 or more with the sampler random"),
        ('samplr = "tpe"\n', SPACE, r"samplr: unknown; did you mean sampler"),
    ],
)
def test_a_mistake_is_found_before_anything_is_trained(write, started, more, space, expected):
    path = write(more, space)
    with pytest.raises(UserError, match=expected) as found:
        run(path)
    assert str(path) in str(found.value)
    assert "\n" not in str(found.value)
    assert not started


def test_runs_are_named_after_what_they_ask_for_and_the_data(write):
    plan = read_search(write())
    one = plan.plan({"model.attention": "luong", "training.optimizer.learning_rate": 1e-3}, 1)
    other = plan.plan({"model.attention": "luong", "training.optimizer.learning_rate": 1e-2}, 1)
    longer = read_search(write('set = ["training.epochs=7"]\n'))
    assert one.settings.name == one.name != other.name
    assert one.name != longer.plan({"model.attention": "luong", "training.optimizer.learning_rate": 1e-3}, 1).name
    assert plan.key != longer.key
    assert one.settings.training.optimizer.learning_rate == 1e-3


def test_the_report_says_what_is_clear_and_what_is_noise(write, started):
    space = SPACE.replace("1e-3, 1e-2, 1.0", "1e-3, 1e-2") + "label_smoothing = [0.0, 0.05, 0.1, 0.2]\n"
    results = run(write('sampler = "grid"\nn_trials = 0\npruner = "none"\n', space))
    folder = runs.runs_folder() / "studies" / "s"
    page = render([results], folder, "grid").read_text()
    assert "GENERATED" in page
    text = (folder / "grid.md").read_text()
    assert "are 0.0 points apart: less than the 4.4 points by which sampling alone" in text
    assert "8 of the 16 finished trials lie that near the best" in text
    assert "A score on 1,000 dev problems has a sampling error of ± 3.1 points (95 %)." in text
    assert "learning_rate matters: 80 % of the variance" in text
    assert "Its best value is the largest tried." in text
    assert "attention and label_smoothing cannot be told from chance with 16 trials" in text
    assert "myna math train" in text
    assert {path.name for path in (folder / "figures").iterdir()} == {
        "grid-trials.svg",
        "grid-model-attention.svg",
        "grid-training-optimizer-learning-rate.svg",
        "grid-label-smoothing.svg",
    }


def test_effects_agree_with_kruskal_and_wallis():
    scores = [0.1, 0.5, 0.3, 0.9, 0.8, 0.75, 0.2]
    settings = [{"a": value, "b": "same"} for value in (1, 1, 1, 2, 2, 3, 3)]
    first, second = measure_effects(settings, scores)
    groups = [[0.1, 0.5, 0.3], [0.9, 0.8], [0.75, 0.2]]
    assert first["name"] == "a"
    assert first["share"] * (len(scores) - 1) == pytest.approx(kruskal(*groups).statistic)
    assert first["chance"] == pytest.approx(2 / 6)

    # Of the 210 ways to deal the ranks, those with as large a share: sums of squares of a group's ranks over its size.
    def between(order):
        return sum(order[:3]) ** 2 / 3 + sum(order[3:5]) ** 2 / 2 + sum(order[5:]) ** 2 / 2

    orders = [between(order) for order in permutations(range(1, 8))]
    exact = sum(value >= between((1, 4, 3, 7, 6, 5, 2)) - 1e-9 for value in orders) / len(orders)
    assert first["p"] == pytest.approx(exact, abs=0.01)
    assert first["values"][1] == {"value": 2, "n": 2, "mean": pytest.approx(0.85)}
    assert second["share"] is second["p"] is second["p_holm"] is None


@pytest.mark.slow
def test_a_search_trains_real_runs(write):
    path = write('set = ["training.epochs=1"]\nn_trials = 2\n')
    results = run(path, workers=2)
    assert [trial["state"] for trial in results["trials"]] == ["finished", "finished"]
    assert results["is_generated"] is True
    for trial in results["trials"]:
        assert (runs.runs_folder() / trial["run"] / "best" / "model.safetensors").exists()
        assert trial["minutes"] > 0
