"""Running a study: its trainings side by side, then the measurements; what is finished is not done again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from myna import runs
from myna.config import MathConfig, flatten, load
from myna.engine.tracking import Tick, console, progress
from myna.errors import UserError
from myna.files import read_json, write_json
from myna.mathqa.assessment import assess
from myna.mathqa.baselines import BASELINES, NeighbourIndex
from myna.mathqa.evaluation import evaluate
from myna.mathqa.problems import mask
from myna.mathqa.splits import Splits, describe, load_splits
from myna.mathqa.task import MathModel
from myna.studies.plan import PlannedRun, StudyConfig, expand


def run_study(path: Path, data: Path | None, workers: int, overrides: list[str]) -> Path:
    """Train and measure everything that a study asks for; return the folder of its results.

    Args:
        path: the study's TOML file.
        data: the data folder asked for on the command line.
        workers: trainings at a time; the cores are shared out among them.
        overrides: settings laid over every run, such as "training.epochs=2".

    Raises:
        UserError: the plan has a mistake, or a training failed; its log is named.
    """
    started = time.monotonic()
    study, planned = expand(path, overrides)
    splits = load_splits(data)
    console.print(f"{study.title}: {len(planned)} runs on {splits.source}", markup=False)
    _train_all([run for run in planned if not runs.is_finished(runs.runs_folder() / run.name)], data, workers)
    index = NeighbourIndex(splits.train)
    results = {
        "study": study.study,
        "name": study.name,
        "title": study.title,
        "source": splits.source,
        "is_generated": splits.is_generated,
        "command": f"myna study run {path}",
        "environment": runs.describe_environment(),
        "facts": describe(splits),
        "runs": [_measure(run, study, splits, index) for run in planned],
        "baselines": [_measure_baseline(name, study, splits, index) for name in BASELINES],
    }
    folder = runs.runs_folder() / "studies" / study.name
    results["minutes"] = (time.monotonic() - started) / 60
    write_json(folder / "results.json", results)
    return folder


def _train_all(waiting: list[PlannedRun], data: Path | None, workers: int) -> None:
    """Train runs in processes of their own, so many at a time."""
    if not waiting:
        return
    workers = min(workers, len(waiting))
    epochs = [load(MathConfig, run.config, run.overrides).training.epochs for run in waiting]
    environment = os.environ | {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // workers))}
    running: dict[str, subprocess.Popen[bytes]] = {}
    queue = list(waiting)
    try:
        with progress(f"training {len(waiting)} runs, epochs", sum(epochs)) as tick:
            counted = 0
            while queue or running:
                while queue and len(running) < workers:
                    run = queue.pop(0)
                    running[run.name] = _start(run, data, environment)
                time.sleep(1)
                counted += _tick_epochs(waiting, counted, tick)
                for name in [name for name, process in running.items() if process.poll() is not None]:
                    _check(name, running.pop(name))
    finally:
        for process in running.values():
            # A polite kill: the training writes its checkpoint first.
            process.terminate()
        for process in running.values():
            process.wait()


def _start(run: PlannedRun, data: Path | None, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start one training; what it prints goes to train.log in its folder."""
    folder = runs.runs_folder() / run.name
    folder.mkdir(parents=True, exist_ok=True)
    settings = [argument for override in run.overrides for argument in ("--set", override)]
    where = ["--data", str(data)] if data else []
    command = [sys.executable, "-m", "myna", "math", "train", str(run.config), *settings, *where, "--resume"]
    with (folder / "train.log").open("ab") as log:
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
    log = runs.runs_folder() / name / "train.log"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no output"]
    raise UserError(f"{name}: training stopped with status {process.returncode}: {lines[-1]} (all of it: {log})")


def _measure(run: PlannedRun, study: StudyConfig, splits: Splits, index: NeighbourIndex) -> dict[str, Any]:
    """Return everything that a report says about one run; a measurement that exists is read, not repeated."""
    folder = runs.runs_folder() / run.name
    summary = read_json(folder / runs.SUMMARY)
    model: MathModel | None = None
    scores: dict[str, list[dict[str, Any]]] = {}
    for split in study.splits:
        scores[split] = []
        for beam_size in study.beam_sizes:
            for search in study.searches:
                path = folder / f"scores-{split}-{beam_size}-{search}.json"
                if not path.exists():
                    model = model or MathModel.load(folder)
                    output = folder / f"predictions-{split}-{beam_size}-{search}.json"
                    title = f"{run.name}, {split}, beam {beam_size}, {search}"
                    score = assess(
                        model,
                        splits.named(split),
                        index,
                        title=title,
                        beam_size=beam_size,
                        search=search,
                        output=output,
                    )
                    write_json(path, score)
                scores[split].append(read_json(path))
    return {
        "name": run.name,
        "label": run.label,
        "seed": run.seed,
        "command": run.command,
        "config": flatten(load(MathConfig, folder / "best" / runs.CONFIG).model_dump(mode="json")),
        "n_parameters": summary["n_parameters"],
        "minutes": summary["minutes"],
        "curves": runs.read_metrics(folder),
        "scores": scores,
    }


def _measure_baseline(name: str, study: StudyConfig, splits: Splits, index: NeighbourIndex) -> dict[str, Any]:
    """Score a baseline as if it were a run."""
    predict = BASELINES[name](index)
    scores = {
        split: [
            {"beam_size": None, "search": None, "problems_per_second": None}
            | evaluate(splits.named(split), [predict(mask(p.text)) for p in splits.named(split)], index)
        ]
        for split in study.splits
    }
    return {"name": name, "label": name, "scores": scores}
