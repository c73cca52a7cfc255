"""What the `train` verbs of both studies share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from myna.config import BirdsConfig, MathConfig
    from myna.engine.loop import Task

    C = TypeVar("C", MathConfig, BirdsConfig)

    class StudyTask(Task, Protocol):
        """A task that knows its data from other data."""

        def fingerprint(self) -> str:
            """Return a hash of all that is learned from and chosen by."""


def train_run(settings: C, source: str, build_task: Callable[[C], StudyTask], *, resume: bool) -> None:
    """Train a task in the run folder that its config names, and say what came of it.

    Args:
        settings: the run's config.
        source: of the data, for the record.
        build_task: makes the task once the folder is there.
        resume: go on with the run where it was stopped.
    """
    import torch

    from myna import runs
    from myna.config import save
    from myna.engine.loop import Trainer
    from myna.engine.tracking import console

    folder = runs.create(settings.name, resume=resume)
    with runs.claimed(folder):
        runs.check_same_config(folder, settings)
        task = build_task(settings)
        fingerprint = task.fingerprint()
        runs.check_same_data(folder, fingerprint)
        trainer = Trainer(task, settings.training, folder, resume=resume)
        earlier = runs.find_earlier_epochs(folder, settings)
        # Only now, so that settings which do not go together leave no run behind that blocks the name.
        if runs.is_first_process():
            runs.mark_unfinished(folder)
            save(settings, folder / runs.CONFIG)
            where = {
                "device": trainer.accelerator.device.type,
                "threads": torch.get_num_threads(),
                runs.PRECISION: trainer.precision,
            }
            found = {runs.FINGERPRINT: fingerprint, **({runs.EARLIER_EPOCHS: earlier} if earlier else {})}
            runs.write_environment(folder, data=source, **where, **found)
            console.print(f"{settings.name}: training on {source}", markup=False)
        at = trainer.train()
        n_parameters = sum(parameter.numel() for parameter in task.model.parameters())
        if runs.is_first_process():
            runs.write_summary(folder, n_parameters=n_parameters, minutes=at.seconds / 60, best_score=at.best_score)
    trainer.accelerator.end_training()
    console.print(f"{folder}: best {task.score_name} {at.best_score:.4f}, {at.seconds / 60:.1f} minutes", markup=False)
