"""What the `train` verbs of both studies share."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from myna.config import BirdsConfig, MathConfig
    from myna.engine.loop import Task

    C = TypeVar("C", MathConfig, BirdsConfig)


def train_run(settings: C, source: str, build_task: Callable[[C], Task], *, resume: bool) -> None:
    """Train a task in the run folder that its config names, and say what came of it.

    Args:
        settings: the run's config.
        source: of the data, for the record.
        build_task: makes the task once the folder is there.
        resume: go on with the run where it was stopped.
    """
    from myna import runs
    from myna.config import save
    from myna.engine.loop import Interrupted, Trainer
    from myna.engine.tracking import console

    folder = runs.create(settings.name, resume=resume)
    runs.check_same_config(folder, settings)
    save(settings, folder / runs.CONFIG)
    runs.write_environment(folder, data=source)
    task = build_task(settings)
    try:
        at = Trainer(task, settings.training, folder, resume=resume).train()
    except Interrupted:
        again = shlex.join(["myna", *(part for part in sys.argv[1:] if part != "--resume"), "--resume"])
        console.print(f"stopped; all is saved. Go on with: {again}", markup=False)
        raise typer.Exit(130) from None
    n_parameters = sum(parameter.numel() for parameter in task.model.parameters())
    runs.write_summary(folder, n_parameters=n_parameters, minutes=at.seconds / 60, best_score=at.best_score)
    console.print(f"{folder}: best {task.score_name} {at.best_score:.4f}, {at.seconds / 60:.1f} minutes", markup=False)
