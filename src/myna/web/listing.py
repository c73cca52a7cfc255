"""The runs and reports that are there, as a page or a program reads them.

A name in a request is looked up among those listed; it never becomes part of a path.
"""

from __future__ import annotations

import re
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from myna import runs
from myna.config import flatten
from myna.errors import UserError
from myna.files import read_json, read_text

REPORT = "report.html"
SCORES = {"birds": "accuracy", "math": "exact_match"}
"""By which the best epoch of a run is chosen, for each study."""
_NAME = re.compile(r"\w[\w.-]*")


class RunSummary(BaseModel):
    """A run, in a line."""

    name: str
    study: str = Field(description="math or birds; empty where the run does not say")
    model: str = Field(description="type of the model, or norm of the net")
    is_finished: bool
    epoch: int = Field(description="epochs trained so far")
    n_epochs: int | None = Field(description="epochs asked for")
    score_name: str = Field(description="what the best epoch is chosen by, on dev or val")
    best_score: float | None = Field(description="the highest so far, 0 to 1")
    minutes: float | None = Field(description="spent training and evaluating")
    changed: datetime = Field(description="when the run last wrote")
    problem: str = Field(description="what is wrong with the run's files; empty where nothing is")


class Run(RunSummary):
    """A run with its settings and all it has measured."""

    settings: dict[str, Any] = Field(description="by dotted name")
    metrics: list[dict[str, Any]] = Field(description="a mapping for each epoch trained and each evaluation")


def list_runs(folder: Path) -> dict[str, Path]:
    """Return the folders of all runs by name, the one that wrote last first."""
    found = [path.parent for path in folder.glob(f"*/{runs.CONFIG}") if _NAME.fullmatch(path.parent.name)]
    return {path.name: path for path in sorted(found, key=lambda path: (-_changed(path), path.name))}


def list_reports(folder: Path) -> dict[str, Path]:
    """Return the reports of runs and studies by the folder they are in, such as studies/norms."""
    found = sorted([*folder.glob(f"*/{REPORT}"), *folder.glob(f"*/*/{REPORT}")])
    named = {path.parent.relative_to(folder).as_posix(): path for path in found}
    return {name: path for name, path in named.items() if all(map(_NAME.fullmatch, name.split("/")))}


def read_run(folder: Path) -> Run:
    """Read a run, finished or not; what is broken is told in `problem`."""
    settings: dict[str, Any] = {}
    metrics: list[dict[str, Any]] = []
    problem = ""
    is_finished = runs.is_finished(folder)
    try:
        settings = tomllib.loads(read_text(folder / runs.CONFIG))
        metrics = [line for line in runs.read_metrics(folder) if isinstance(line, dict)]
        if is_finished:
            read_json(folder / runs.SUMMARY)
    except tomllib.TOMLDecodeError as error:
        problem = f"{runs.CONFIG}: not TOML: {error}"
    except UserError as error:
        problem = str(error).replace(f"{folder}/", "")
    study = str(settings.get("study", ""))
    score_name = SCORES.get(study, "")
    flat = flatten(settings)
    model = flat.get("model.type", flat.get("model.norm", ""))
    n_epochs = flat.get("training.epochs")
    return Run(
        name=folder.name,
        study=study,
        model=str(model),
        is_finished=is_finished,
        epoch=int(max(_numbers(metrics, "epoch"), default=0)),
        n_epochs=n_epochs if isinstance(n_epochs, int) else None,
        score_name=score_name.replace("_", " "),
        best_score=max(_numbers([line for line in metrics if line.get("split") == "val"], score_name), default=None),
        minutes=max(_numbers(metrics, "minutes"), default=None),
        changed=datetime.fromtimestamp(_changed(folder), UTC),
        problem=problem,
        settings=flat,
        metrics=metrics,
    )


def _numbers(lines: list[dict[str, Any]], key: str) -> list[float]:
    """Return the finite numbers that lines hold under a key."""
    values = (line.get(key) for line in lines)
    return [value for value in values if isinstance(value, int | float) and abs(value) <= sys.float_info.max]


def _changed(folder: Path) -> float:
    """Return when a run last wrote its metrics, or else its config; 0 where that is gone meanwhile."""
    for name in (runs.METRICS, runs.CONFIG):
        try:
            return (folder / name).stat().st_mtime
        except OSError:
            continue
    return 0.0
