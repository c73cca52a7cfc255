"""Running a study: its trainings side by side, then the measurements; what is finished is not done again.

Processes that run the same study in the same runs folder, on one machine or several, divide its runs among themselves.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

from filelock import BaseFileLock, FileLock, Timeout

from myna import runs
from myna.engine.tracking import Tick, console, progress
from myna.errors import UserError
from myna.files import read_json, take_turns, write_json
from myna.studies.birds import BirdMeasures
from myna.studies.collection import read_settings
from myna.studies.math import MathMeasures
from myna.studies.plan import PlannedRun, StudyConfig, expand, to_arguments

LOG = "train.log"
"""In a run folder, what its training printed."""
LOCK = "study.lock"
"""In a run folder, held by a study's process that has the run trained, or measures it."""

_OF_NO_EFFECT = ("name", "training.checkpoint_minutes")
"""Settings that change nothing of what a training comes to."""


class Measures(Protocol):
    """What a half of Myna measures for its studies."""

    source: str
    is_generated: bool

    def describe_data(self) -> dict[str, Any]:
        """Return the facts of the data."""

    def hash_data(self, section: Any) -> str:
        """Return the hash of what a run with this section `data` would learn from, as a run's record has it."""

    def describe_run(self, folder: Path) -> dict[str, Any]:
        """Return what there is to say of a measured run beyond its config and its scores."""

    def measure(self, folder: Path) -> dict[str, Any]:
        """Return a run's scores by split; a measurement that exists is read, not repeated."""

    def measure_baselines(self) -> list[dict[str, Any]]:
        """Score each baseline as if it were a run."""

    def compare(self, measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return paired tests between runs."""


MEASURES: dict[str, Callable[[StudyConfig, Path | None], Measures]] = {"math": MathMeasures, "birds": BirdMeasures}


def run_study(
    path: Path, data: Path | None, workers: int, overrides: Sequence[str] = (), *, only_finished: bool = False
) -> Path:
    """Train and measure everything that a study asks for; return the folder of its results.

    Args:
        path: the study's TOML file.
        data: the data folder asked for on the command line.
        workers: trainings at a time; the cores are shared out among them.
        overrides: settings laid over every run, such as "training.epochs=2".
        only_finished: train nothing, and leave out the runs that are not finished.

    Raises:
        UserError: the plan has a mistake, a finished run was made with other data, or a training failed; its log is
            named.
    """
    started = time.monotonic()
    study, planned = expand(path, overrides)
    measures = MEASURES[study.study](study, data)
    console.print(f"{study.title}: {len(planned)} runs on {measures.source}", markup=False)
    finished = find_finished(planned, measures)
    if not only_finished:
        waiting = [run for run in planned if run not in finished]
        # The first seed of all comes before the second of any, so that a study cut short can be compared.
        train_all(sorted(waiting, key=lambda run: run.seed), data, workers)
        finished = find_finished(planned, measures)
    if not finished:
        raise UserError(f"{path}: none of its {len(planned)} runs is finished")
    take_turns([runs.runs_folder() / run.name for run in finished], lambda folder: folder / LOCK, measures.measure)
    measured = [_measure(run, measures) for run in finished]
    results = {
        "study": study.study,
        "name": study.name,
        "title": study.title,
        "source": measures.source,
        "is_generated": measures.is_generated,
        "command": shlex.join(["myna", "study", "run", str(path), *to_arguments(overrides)]),
        "environment": runs.describe_environment(),
        "facts": measures.describe_data(),
        "runs": measured,
        "baselines": measures.measure_baselines(),
        "comparisons": measures.compare(measured),
        "n_planned": len(planned),
    }
    folder = runs.study_folder(study.name)
    results["minutes"] = (time.monotonic() - started) / 60
    write_json(folder / runs.RESULTS, results)
    return folder


def find_finished(planned: Sequence[PlannedRun], measures: Measures) -> list[PlannedRun]:
    """Return the runs that are finished.

    Args:
        planned: of a study.
        measures: of the data that they are to be measured on.

    Raises:
        UserError: one was made with other data, which it would be measured on as if it were its own; or with other
            settings than it would be shown under.
    """
    finished = [run for run in planned if runs.is_finished(runs.runs_folder() / run.name)]
    hash_data = cache(measures.hash_data)  # most runs of a study learn from the same
    for run in finished:
        folder, settings = runs.runs_folder() / run.name, run.settings
        for key, (before, now) in runs.compare_config(folder, settings).items():
            if key not in _OF_NO_EFFECT:
                raise UserError(
                    f"{folder}: made with {key} {before!r}, not {now!r}; move it away, or set MYNA_RUNS to another "
                    "folder"
                )
        _check_data(folder, measures.source, partial(hash_data, settings.data))
    return finished


def _check_data(folder: Path, source: str, hash_data: Callable[[], str]) -> None:
    """Refuse a run whose record says that it was made with other data; one that says nothing is believed."""
    environment = runs.read_environment(folder)
    data, recorded = environment.get("data", source), environment.get(runs.FINGERPRINT)
    if data == source:
        if recorded is None or recorded == hash_data():
            return
        data = "others of the same number"
    raise UserError(f"{folder}: made with {data}, not {source}; move it away, or set MYNA_RUNS to another folder")


def train_all(waiting: list[PlannedRun], data: Path | None, workers: int) -> None:
    """Train runs in processes of their own, so many at a time; one that starts from another waits for it.

    What another study's process trains is waited for, and taken over if that process dies.

    Raises:
        UserError: a training failed, or runs wait for one another.
    """
    if not waiting:
        return
    workers = min(workers, len(waiting))
    epochs = [run.settings.training.epochs for run in waiting]
    environment = share_cores(workers)
    running: dict[str, tuple[subprocess.Popen[bytes], BaseFileLock]] = {}
    queue = list(waiting)
    try:
        with progress(f"training {len(waiting)} runs, epochs", sum(epochs)) as tick:
            counted = 0
            while queue or running:
                elsewhere: set[str] = set()
                while len(running) < workers and (run := find_ready(queue, running, elsewhere)):
                    claim = _claim(run)
                    if claim is None:
                        elsewhere.add(run.name)
                        continue
                    queue.remove(run)
                    if runs.is_finished(runs.runs_folder() / run.name):
                        claim.release()
                    else:
                        running[run.name] = start_training(run, data, environment), claim
                time.sleep(1)
                counted += _tick_epochs(waiting, counted, tick)
                for name in [name for name, (process, _) in running.items() if process.poll() is not None]:
                    process, claim = running.pop(name)
                    claim.release()
                    _check(name, process)
    finally:
        stop_trainings([process for process, _ in running.values()])
        for _, claim in running.values():
            claim.release()


def _claim(run: PlannedRun) -> BaseFileLock | None:
    """Return the claim on a run; None if another study's process has it, or a training that outlived its study."""
    folder = runs.runs_folder() / run.name
    folder.mkdir(parents=True, exist_ok=True)
    claim = FileLock(folder / LOCK)
    try:
        claim.acquire(timeout=0)
    except Timeout:
        return None
    if runs.is_claimed(folder):
        claim.release()
        return None
    return claim


def find_ready(
    queue: Sequence[PlannedRun], running: Mapping[str, object], elsewhere: Collection[str] = ()
) -> PlannedRun | None:
    """Return the first run that starts from none of those that are not finished yet.

    Args:
        queue: runs that are not finished, nor trained by this process.
        running: those that this process trains, by name.
        elsewhere: names of those in the queue that other processes train.

    Raises:
        UserError: runs wait for one another, so that none can ever start.
    """
    unfinished = {run.name for run in queue} | running.keys()
    free = [run for run in queue if run.name not in elsewhere]
    ready = next((run for run in free if run.start_from not in unfinished), None)
    if queue and ready is None and not running and not elsewhere:
        names = ", ".join(run.name for run in queue)
        raise UserError(f"start_from: runs that wait for one another, so that none can start: {names}")
    return ready


def share_cores(workers: int) -> dict[str, str]:
    """Return the environment of each of so many trainings at a time; threads that the user asked for stay."""
    return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // workers)), **os.environ}


def stop_trainings(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Stop trainings and wait for them; it is a polite kill, on which they write a checkpoint."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()


def start_training(run: PlannedRun, data: Path | None, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start one training; what it prints goes to train.log in its folder."""
    folder = runs.runs_folder() / run.name
    folder.mkdir(parents=True, exist_ok=True)
    where = ["--data", str(data)] if data else []
    command = [
        sys.executable,
        "-m",
        "myna",
        run.study,
        "train",
        str(run.config),
        *to_arguments(run.overrides),
        *where,
        "--resume",
    ]
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)


def _tick_epochs(waiting: Sequence[PlannedRun], counted: int, tick: Tick) -> int:
    """Tell the progress bar of epochs that have ended; return how many."""
    folders = [runs.runs_folder() / run.name for run in waiting]
    ended: int = sum([line["split"] == "train" for folder in folders for line in runs.read_metrics(folder)])
    if ended > counted:
        tick(ended - counted)
    return ended - counted


def _check(name: str, process: subprocess.Popen[bytes]) -> None:
    """Raise what a training that has ended died of."""
    if process.returncode == 0:
        console.print(f"{name}: trained", markup=False)
        return
    raise UserError(f"{name}: training stopped with status {process.returncode}: {last_words(name)}")


def last_words(name: str) -> str:
    """Return the last line that a training printed, and where all of it is."""
    log = runs.runs_folder() / name / LOG
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no output"]
    return f"{lines[-1]} (all of it: {log})"


def _measure(run: PlannedRun, measures: Measures) -> dict[str, Any]:
    """Return everything that a report says about one run."""
    folder = runs.runs_folder() / run.name
    summary = read_json(folder / runs.SUMMARY)
    scores = measures.measure(folder)
    return {
        "name": run.name,
        "label": run.label,
        "seed": run.seed,
        "command": run.command,
        "config": read_settings(run.study, folder),
        "n_parameters": summary["n_parameters"],
        "minutes": summary["minutes"],
        "curves": runs.read_metrics(folder),
        "scores": scores,
        **measures.describe_run(folder),
    }
