"""Running a search: trials side by side, each reported while it trains, and stopped where it lags behind.

Optuna chooses the settings and says what lags; its record is grid.db. A trial is an ordinary run, named after its
settings, so that the same settings are trained once, whatever becomes of the record. Several processes, on one machine
or on several that share the runs folder, may work on one search: the record tells each what the others are at.
"""

from __future__ import annotations

import math
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myna import runs
from myna.engine.loop import Interrupted, stop_on_signals
from myna.engine.tracking import Tick, console, progress
from myna.errors import DivergedError, UserError
from myna.files import write_json
from myna.studies.effects import measure_effects, score_margin
from myna.studies.examples import load_examples
from myna.studies.grid import SHARES, Search, Settings, read_search
from myna.studies.plan import PlannedRun, to_arguments
from myna.studies.record import ERROR, PROCESS, SESSION, alone, announced, counted, ended, is_alive, open_record
from myna.studies.run import last_words, share_cores, start_training, stop_trainings

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

POLL_SECONDS = 1.0


def run_search(
    path: Path, data: Path | None, workers: int, overrides: Sequence[str] = (), *, only_finished: bool = False
) -> Path:
    """Try settings until there are as many trials as asked for; return the folder of the results.

    Args:
        path: the search's TOML file.
        data: the data folder asked for on the command line.
        workers: trainings at a time; the cores are shared out among them.
        overrides: settings laid over every trial.
        only_finished: train nothing.

    Raises:
        UserError: the search has a mistake, or a training failed; its log is named.
        Interrupted: a signal asked to stop; the trainings wrote their checkpoints.
    """
    started = time.monotonic()
    search = read_search(path, overrides)
    examples = load_examples(search.grid.study, data)
    search = replace(search, source=examples.source)
    folder = runs.study_folder(search.grid.name)
    with open_record(search, folder, only_finished=only_finished) as study:
        if not only_finished:
            with announced(folder) as name, stop_on_signals() as stop_asked:
                _Session(search, study, folder, name, data, workers).run(stop_asked)
        trials = [_describe(search, trial, number) for number, trial in _number(study)]
    if not any(trial["best"] is not None and trial["state"] != "unfinished" for trial in trials):
        raise UserError(f"{path}: none of its {search.n_trials} trials is finished")
    results = {
        "study": search.grid.study,
        "name": search.grid.name,
        "title": search.grid.title,
        "source": examples.source,
        "is_generated": examples.is_generated,
        "command": shlex.join(["myna", "study", "grid", str(path), *to_arguments(overrides)]),
        "environment": runs.describe_environment(),
        "metric": search.metric,
        "is_minimised": search.is_minimised,
        "n_examples": examples.n,
        "sampler": search.grid.sampler,
        "pruner": search.grid.pruner,
        "warmup_epochs": search.grid.warmup_epochs,
        "n_planned": search.n_trials,
        "size": search.size,
        "space": search.space,
        "config": str(search.config),
        "overrides": search.overrides,
        "trials": trials,
        **_analyse(search, trials, examples.n),
        "minutes": (time.monotonic() - started) / 60,
    }
    write_json(folder / runs.GRID, results)
    return folder


@dataclass
class _Running:
    """A trial that is being trained.

    Attributes:
        trial: of Optuna.
        run: its run.
        process: what trains it; None while a process of no search is at its run, which is waited for.
        n_epochs: that it would take.
        is_pruned: whether it was told to stop.
    """

    trial: Trial
    run: PlannedRun
    process: subprocess.Popen[bytes] | None
    n_epochs: int
    is_pruned: bool = False


@dataclass
class _Session:
    """One process's work on a search, until there are as many trials as asked for.

    Attributes:
        search: what is asked for.
        study: Optuna's record of it.
        folder: of the record.
        name: of this process, for the others.
        data: the data folder asked for.
        workers: trainings at a time.
        running: by name of the run.
        environment: of each training.
    """

    search: Search
    study: Study
    folder: Path
    name: str
    data: Path | None
    workers: int
    running: dict[str, _Running] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, stop_asked: Callable[[], bool]) -> None:
        """Train trials, so many at a time, until all that were asked for have ended, here or elsewhere."""
        n_done, n_trials = len(ended(self.study)), self.search.n_trials
        console.print(f"{self.search.grid.title}: {n_trials} trials, {n_done} of them done", markup=False)
        self.environment = share_cores(max(1, min(self.workers, n_trials - n_done)))
        try:
            with progress(f"{self.search.grid.name}, trials", n_trials, n_done) as tick:
                while not stop_asked():
                    while len(self.running) < self.workers and (trial := self._next()) is not None:
                        self._begin(trial, tick)
                    if not self.running and not self._under_way():
                        return
                    time.sleep(POLL_SECONDS)
                    for name in list(self.running):
                        self._look_at(name, tick)
            raise Interrupted
        finally:
            stop_trainings([each.process for each in self.running.values() if each.process])

    def _next(self) -> Trial | None:
        """Return a trial to begin, which this process has from now on; None where there is none to be had."""
        with alone(self.folder):
            self._take_up_unfinished()
            trial = self._ask()
            if trial is not None:
                trial.set_user_attr(SESSION, self.name)
            return trial

    def _under_way(self) -> list[FrozenTrial]:
        """Return the trials that are being trained, here or elsewhere."""
        from optuna.trial import TrialState

        return self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def _take_up_unfinished(self) -> None:
        """Queue again what a process left that is no more; a training that outlived it is stopped first."""
        from optuna.trial import TrialState

        for trial in self._under_way():
            if is_alive(self.folder, trial.user_attrs.get(SESSION, "")):
                continue
            if trial.params:
                name = self.search.plan(trial.params, trial.number).name
                _stop_orphan(trial, name)
                if runs.is_claimed(runs.runs_folder() / name):
                    continue  # it trains on another machine, and will be looked at again
                self.study.enqueue_trial(trial.params)
            self.study.tell(trial.number, state=TrialState.FAIL)

    def _ask(self) -> Trial | None:
        """Return a trial with settings that no other has; None where there are enough, or no others."""
        from optuna.trial import TrialState

        seen = [trial.params for trial in counted(self.study)]
        unseen = self.search.draw_unseen(seen)
        if len(seen) >= self.search.n_trials or unseen is None:
            return None
        is_waiting = bool(self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))
        if self.search.grid.sampler == "grid" and not is_waiting:
            self.study.enqueue_trial(unseen)
        trial = self._draw()
        while trial.params in seen:
            # The sampler came back to a known place: the queue goes before it.
            self.study.tell(trial, state=TrialState.FAIL)
            self.study.enqueue_trial(unseen)
            trial = self._draw()
        return trial

    def _draw(self) -> Trial:
        from optuna.distributions import CategoricalDistribution

        return self.study.ask({key: CategoricalDistribution(values) for key, values in self.search.space.items()})

    def _begin(self, trial: Trial, tick: Tick) -> None:
        """Train a trial, unless its run is finished, or so far behind already that it would be stopped."""
        run = self.search.plan(trial.params, trial.number)
        n_epochs, folder = run.settings.training.epochs, runs.runs_folder() / run.name
        is_finished = runs.is_finished(folder)
        is_pruned = self._report(trial, folder, n_epochs) and not is_finished
        if is_finished or is_pruned:
            self._tell(trial, run, "", is_pruned=is_pruned, tick=tick)
            return
        if runs.is_claimed(folder):
            self.running[run.name] = _Running(trial, run, None, n_epochs)
            return
        process = start_training(run, self.data, self.environment)
        trial.set_user_attr(PROCESS, process.pid)
        self.running[run.name] = _Running(trial, run, process, n_epochs)

    def _look_at(self, name: str, tick: Tick) -> None:
        """Report what a training has come to, and act on it."""
        each = self.running[name]
        if each.process is None:
            if not runs.is_claimed(runs.runs_folder() / name):
                del self.running[name]
                self._begin(each.trial, tick)
            return
        # Asked first: what it wrote before it ended is then all there.
        status = each.process.poll()
        folder = runs.runs_folder() / name
        if self._report(each.trial, folder, each.n_epochs) and not each.is_pruned and status is None:
            each.is_pruned = True
            each.process.terminate()
        if status is None:
            return
        del self.running[name]
        if runs.is_finished(folder) or each.is_pruned:
            self._tell(each.trial, each.run, "", is_pruned=not runs.is_finished(folder), tick=tick)
            return
        error = f"training stopped with status {status}: {last_words(name)}"
        # One that diverged says something of its settings. Else the trial stays under way, and is taken up again later.
        if status != DivergedError.status:
            raise UserError(f"{name}: {error}")
        self._tell(each.trial, each.run, error, is_pruned=False, tick=tick)

    def _report(self, trial: Trial, folder: Path, n_epochs: int) -> bool:
        """Report the evaluations that are new; return whether the trial should be stopped."""
        known = set(self._values(trial))
        for line in runs.read_metrics(folder):
            value = line.get(self.search.metric)
            if line["split"] == "val" and line["epoch"] not in known and isinstance(value, int | float):
                trial.report(value, line["epoch"])
                known.add(line["epoch"])
                # After the last epoch there is nothing left to save.
                if line["epoch"] < n_epochs and trial.should_prune():
                    return True
        return False

    def _tell(self, trial: Trial, run: PlannedRun, error: str, *, is_pruned: bool, tick: Tick) -> None:
        """Record how a trial ended."""
        from optuna.trial import TrialState

        values = [value for value in self._values(trial).values() if math.isfinite(value)]
        if error or not values:
            trial.set_user_attr(ERROR, error or f"no {self.search.metric} that is a number")
            self.study.tell(trial, state=TrialState.FAIL)
            said = "failed"
        elif is_pruned:
            self.study.tell(trial, state=TrialState.PRUNED)
            said = "pruned"
        else:
            self.study.tell(trial, min(values) if self.search.is_minimised else max(values))
            said = "finished"
        settings = ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in trial.params.items())
        best = f"{(min if self.search.is_minimised else max)(values):.4f}" if values else "none"
        console.print(f"{run.name} {said}: best {self.search.metric} {best} ({settings})", markup=False)
        tick(1)

    def _values(self, trial: Trial) -> dict[int, float]:
        """Return what was reported of a trial, by epoch."""
        record = self.study.get_trials(deepcopy=False)[trial.number]
        return record.intermediate_values


def _stop_orphan(trial: FrozenTrial, name: str) -> None:
    """Stop the training of a search that was killed too hard to do so itself."""
    import psutil

    try:
        process = psutil.Process(trial.user_attrs[PROCESS])
        # The number may be another process's by now.
        if f"name={name}" in process.cmdline():
            process.terminate()
            process.wait()
    except (KeyError, psutil.Error):
        return


def _number(study: Study) -> list[tuple[int, FrozenTrial]]:
    """Return the trials that have ended or are under way, numbered as their settings were first tried."""
    known: dict[str, int] = {}
    for trial in study.get_trials(deepcopy=False):
        known.setdefault(repr(sorted(trial.params.items())), trial.number)
    ordered = sorted(counted(study), key=lambda trial: known[repr(sorted(trial.params.items()))])
    return list(enumerate((trial for trial in ordered if trial.params), start=1))


def _describe(search: Search, trial: FrozenTrial, number: int) -> dict[str, Any]:
    """Return what there is to say of a trial."""
    settings: Settings = {key: trial.params[key] for key in search.space}
    run = search.plan(settings, number)
    lines = runs.read_metrics(runs.runs_folder() / run.name)
    values = sorted((epoch, value) for epoch, value in trial.intermediate_values.items() if math.isfinite(value))
    better = min if search.is_minimised else max
    best = better(values, key=lambda point: point[1], default=None)
    states = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}
    return {
        "number": number,
        "run": run.name,
        "settings": settings,
        "state": states.get(trial.state.name, "unfinished"),
        "values": values,
        "best": best[1] if best else None,
        "best_epoch": best[0] if best else None,
        "epochs": max((line["epoch"] for line in lines if line["split"] == "train"), default=0),
        "planned_epochs": run.settings.training.epochs,
        "minutes": lines[-1]["minutes"] if lines else None,
        "error": trial.user_attrs.get(ERROR, ""),
        "command": search.describe_command(settings),
    }


def _analyse(search: Search, trials: Sequence[dict[str, Any]], n_examples: int) -> dict[str, Any]:
    """Return what mattered: the effect of each setting, compared at the last epoch that all trials reached."""
    compared = [trial for trial in trials if trial["state"] in ("finished", "pruned") and trial["values"]]
    if not compared:
        return {}
    shared = set.intersection(*({epoch for epoch, _ in trial["values"]} for trial in compared))
    analysis: dict[str, Any] = {}
    if shared:
        epoch = max(shared)
        scores = [dict(trial["values"])[epoch] for trial in compared]
        effects = measure_effects([trial["settings"] for trial in compared], scores)
        analysis["effects"] = {"epoch": epoch, "n_trials": len(compared), "settings": effects}
    finished = [trial["best"] for trial in compared if trial["state"] == "finished"]
    if finished and search.metric in SHARES:
        analysis["margin"] = score_margin(max(finished), n_examples)
    return analysis
