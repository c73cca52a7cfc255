"""The run folder: where one training keeps everything a study, a report or a resumed run needs.

runs/<name>/  config.toml        what the user asked for
              environment.json   versions, machine, source state, command
              metrics.jsonl      a line for each epoch trained and each evaluation
              summary.json       what it came to; there once the run is finished
              lock               held while a process trains the run
              scores-*.json, predictions-*.json, attention.json
                                 what was measured of `best`, until a better model takes its place
              last/              the checkpoint: model.safetensors, state.pt
              best/              the model: model.safetensors, config.toml (as built), and what the task adds

A model that is shipped is one such `best`, with the record of its run (environment, metrics, summary) and, under
scores.json, what it scores on each split.
"""

from __future__ import annotations

import difflib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open

import myna
from myna.config import BirdsConfig, MathConfig, Section, flatten, load
from myna.errors import UserError
from myna.files import is_there, read_json, read_object, read_text, write_json, writing

CONFIG = "config.toml"
METRICS = "metrics.jsonl"
ENVIRONMENT = "environment.json"
SUMMARY = "summary.json"
SCORES = "scores.json"
ATTENTION = "attention.json"
WEIGHTS = "model.safetensors"
CHECKSUM = "sha256"
"""Of the tensors, in the header of a weights file."""
LOCK = "lock"
STUDIES = "studies"
"""The folder, beside the runs, of the folders of what studies and searches found."""
RESULTS, GRID = "results.json", "grid.json"
"""What a study found, and a search."""
EXPLANATION, MAP_ANALYSIS = "index.json", "analysis.json"
"""What `myna birds explain` shows of a net, and what it measured."""
EARLIER_EPOCHS = "earlier_epochs"
"""In environment.json, the epochs that a run was asked for before it was gone on with to others."""
PRECISION = "precision"
"""In environment.json, what a run was trained in; its config may ask for one that the machine has not."""
FINGERPRINT = "data_sha256"
"""In environment.json, of all that a run learns from and is chosen by."""
# What a resumed run may be asked to do otherwise. Other epochs stretch the schedules too, which is put on record.
MAY_CHANGE = {"name", "training.epochs", "training.evaluate_epochs", "training.checkpoint_minutes"}


def runs_folder() -> Path:
    """Return the folder that holds all runs: $MYNA_RUNS, or ./runs."""
    return Path(os.environ.get("MYNA_RUNS", "runs"))


def study_folder(name: str) -> Path:
    """Return the folder of the results of a study or search."""
    return runs_folder() / STUDIES / name


def predictions_folder() -> Path:
    """Return where predictions go that belong to no run: of a model that is measured again, or shipped."""
    return runs_folder() / "predictions"


def explanation_folder(run: str) -> Path:
    """Return the folder of a run's Grad-CAM maps, where `myna birds explain` is told no other."""
    return runs_folder() / "explanations" / run


def create(name: str, *, resume: bool = False) -> Path:
    """Make the folder of a new run, or return that of a run to resume.

    Raises:
        UserError: the run exists and `resume` was not asked for, or the folder cannot be made.
    """
    folder = runs_folder() / name
    # Started by torchrun, every process comes here, and the first has the say.
    if is_first_process() and not resume and (folder / CONFIG).exists():
        raise UserError(f"{folder}: this run exists; add --resume to go on with it, or --name for another")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}") from None
    return folder


def is_first_process() -> bool:
    """Return whether this is the only process of a training, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other trainings from a run's folder, here and on machines that share it; a death ends the claim.

    Raises:
        UserError: another process is at the run, which is named; or nothing can be written there.
    """
    if not is_first_process():
        yield
        return
    path = folder / LOCK
    with writing(folder):
        try:
            # To find out whether a run is claimed takes a moment, in which it seems so.
            claim = FileLock(path).acquire(timeout=2)
        except Timeout:
            other = read_text(path).strip() or "another process"
            raise UserError(f"{folder}: {other} is at this run; wait for it, or --name another") from None
    with claim:
        with writing(folder):
            path.write_text(f"process {os.getpid()} on {platform.node()}\n", encoding="utf-8")
        yield


def is_claimed(folder: Path) -> bool:
    """Return whether some process is at a run."""
    if not folder.is_dir():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True


def check_same_config(folder: Path, config: Section) -> None:
    """Refuse to resume a run with other settings than it was begun with; a new folder takes any.

    What the user asked for is compared: the folder's own config.toml, not the one in `best`, which the task
    completed from the data.

    Raises:
        UserError: one line naming the first setting that differs, and both its values.
    """
    for key, (before, now) in compare_config(folder, config).items():
        if key not in MAY_CHANGE:
            raise UserError(
                f"{folder / CONFIG}: {key} is {before!r} in this run, not {now!r}; resume it with that, or --name "
                "another run"
            )


def compare_config(folder: Path, config: Section) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which a run differs from what is asked for now, with both values; a new folder in none."""
    path = folder / CONFIG
    if not path.exists():
        return {}
    old = flatten(load(type(config), path).model_dump(mode="json"))
    new = flatten(config.model_dump(mode="json"))
    pairs = {key: (old.get(key), new.get(key)) for key in new | old}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def check_same_data(folder: Path, fingerprint: str) -> None:
    """Refuse to go on from a checkpoint with other data than it was trained on.

    Args:
        folder: of the run.
        fingerprint: of the data that there is now.

    Raises:
        UserError: the data changed.
    """
    # Before there were fingerprints, none was recorded.
    if (folder / "last").exists() and read_environment(folder).get(FINGERPRINT, fingerprint) != fingerprint:
        raise UserError(f"{folder}: its data changed since then; resume it with what it began with, or --name another")


def find(name_or_path: str | Path) -> Path:
    """Return the folder of a run or model given by its name or path.

    Raises:
        UserError: there is none.
    """
    for folder in (Path(name_or_path), runs_folder() / name_or_path):
        if is_there(folder) and folder.is_dir():
            # "." and ".." have no name to call what is written of them by.
            return folder if folder.name.strip(".") else folder.resolve()
    known = sorted(path.parent.name for path in runs_folder().glob(f"*/{CONFIG}"))
    near = difflib.get_close_matches(str(name_or_path), known, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else f"; {len(known)} others are there" if known else ""
    raise UserError(f"{name_or_path}: neither a folder nor a run in {runs_folder()}{hint}")


def find_model(folder: Path) -> Path:
    """Return the folder that holds a model: `folder` itself, or the best model of a run.

    Raises:
        UserError: there is none.
    """
    folder = folder / "best" if (folder / "best").is_dir() else folder
    if not (folder / CONFIG).exists():
        raise UserError(f"{folder}: no {CONFIG}; expected the folder of a run or of a model")
    return folder


def read_checksum(folder: Path) -> str | None:
    """Return the checksum that the weights of a run or model were written with; None where there is none."""
    try:
        with safe_open(find_model(folder) / WEIGHTS, framework="np") as file:
            return (file.metadata() or {}).get(CHECKSUM)
    except (UserError, OSError, SafetensorError):
        return None


def find_shipped(half: str, name: str) -> Path:
    """Return the folder of a model that is shipped with the code: models/<half>/<name>, here or beside the source.

    Args:
        half: "birds" or "math".
        name: of the model.

    Raises:
        UserError: it is in neither place.
    """
    places = [root / "models" / half / name for root in (Path(), Path(myna.__file__).parents[2])]
    for folder in places:
        if (folder / CONFIG).is_file():
            return folder
    looked = " or ".join(dict.fromkeys(str(folder.absolute()) for folder in places))
    raise UserError(f"{name}: no shipped model at {looked}; run Myna in its checkout, or name a model")


def forget_measurements(folder: Path) -> None:
    """Remove what was measured of a run's best model: another is about to take its place."""
    with writing(folder):
        for pattern in ("scores-*.json", "predictions-*.json", ATTENTION):
            for path in folder.glob(pattern):
                path.unlink()


def find_earlier_epochs(folder: Path, config: MathConfig | BirdsConfig) -> list[int]:
    """Return the epochs that a run with a checkpoint was asked for before, where they were others, in order."""
    if not (folder / CONFIG).exists() or not (folder / "last").exists():
        return []
    epochs = [*read_environment(folder).get(EARLIER_EPOCHS, []), load(type(config), folder / CONFIG).training.epochs]
    return [n for n in dict.fromkeys(epochs) if n != config.training.epochs]


def mark_unfinished(folder: Path) -> None:
    """Say that a run is being trained."""
    with writing(folder):
        (folder / SUMMARY).unlink(missing_ok=True)


def write_summary(folder: Path, **values: float) -> None:
    """Say that a run is finished, and what it came to."""
    write_json(folder / SUMMARY, values)


def copy_record(run: Path, folder: Path) -> None:
    """Put what a finished run says of itself beside its model, so that a report can be made of the model alone."""
    for name in (ENVIRONMENT, METRICS, SUMMARY):
        shutil.copyfile(run / name, folder / name)


def describe_making(folder: Path) -> list[str]:
    """Return what a model card says of how a finished run was made: command, source, seed, minutes.

    Raises:
        UserError: the run is not finished.
    """
    check_finished(folder)
    summary, environment = read_json(folder / SUMMARY), read_json(folder / ENVIRONMENT)
    packages, earlier = environment["packages"], " and ".join(map(str, environment.get(EARLIER_EPOCHS, [])))
    return [
        f"- Made by: `{environment['command'].removesuffix(' --resume')}`",
        *([f"- First asked for {earlier} epochs, then resumed: its schedules changed"] if earlier else ()),
        f"- Source: {environment['commit']}; torch {packages['torch']}, Python {environment['python']}",
        f"- Took {summary['minutes']:.0f} minutes on {_describe_machine(environment)}; "
        f"{summary['n_parameters']:,} parameters",
    ]


def _describe_machine(environment: dict[str, Any]) -> str:
    """Return what a run computed on; of runs from before that was recorded, it was one core."""
    device, threads = environment.get("device", "cpu"), environment.get("threads", 1)
    if device != "cpu":
        return f"one {device} device"
    return "one core" if threads == 1 else f"{threads} cores"


def is_finished(folder: Path) -> bool:
    """Return whether a run was trained to its end."""
    return (folder / SUMMARY).exists()


def check_finished(folder: Path) -> None:
    """Check that a run was trained to its end.

    Raises:
        UserError: it was not.
    """
    if not is_finished(folder):
        raise UserError(f"{folder}: this run is not finished; go on with it first (--resume)")


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics.jsonl; a last line cut short by a crash is left out.

    Raises:
        UserError: a line is not JSON; the message names it.
    """
    path = folder / METRICS
    if not path.exists():
        return []
    metrics = []
    # What stands after the last line break was not written whole.
    for number, line in enumerate(read_text(path).split("\n")[:-1], start=1):
        try:
            metrics.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise UserError(f"{path}: line {number}: not JSON: {reason}") from None
    return metrics


def read_environment(folder: Path) -> dict[str, Any]:
    """Return what a run was made with, as far as that is on record.

    Raises:
        UserError: the record is no JSON object.
    """
    path = folder / ENVIRONMENT
    return read_object(path) if path.exists() else {}


def write_environment(folder: Path, **extra: Any) -> None:
    """Record what the run was made with: versions, machine, source state, and `extra`."""
    write_json(folder / ENVIRONMENT, {**describe_environment(), **extra})


def describe_environment() -> dict[str, Any]:
    """Return versions, machine and source state."""
    return {
        "myna": myna.__version__,
        "commit": _git_state(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "n_cpus": os.cpu_count(),
        "packages": {name: _version(name) for name in ("torch", "numpy", "accelerate", "scikit-learn")},
        "command": shlex.join(["myna", *sys.argv[1:]]),
    }


def _version(package: str) -> str | None:
    """Return the installed version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_state() -> str | None:
    """Return the commit of the source, "+" added where files differ from it; None outside a checkout."""
    source = Path(__file__).parent

    def git(*arguments: str) -> str:
        answer = subprocess.run(
            ["git", "-C", str(source), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
        return answer.stdout.strip()

    try:
        # Installed into the environment of another project, we would find that project's commit.
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None
