"""Optuna's record of a search, and what it is asked: settings for the next trial, and whether one lags behind."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from myna.errors import UserError
from myna.studies.grid import Search

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

RECORD, LOCK, SESSIONS = "grid.db", "grid.lock", "sessions"
ERROR, SESSION, PROCESS = "error", "session", "process"
"""What a trial's record says beside its settings: why it failed; the search's process that has it; the number of the
process that trains it."""
_PATIENT = {"connect_args": {"timeout": 60}}
"""Seconds that the record may be busy."""


@contextmanager
def open_record(search: Search, folder: Path, *, only_finished: bool) -> Iterator[Study]:
    """Yield Optuna's record of a search, made where it is missing.

    Raises:
        UserError: the file is none, or `only_finished` and it is not there.
    """
    import optuna

    path = folder / RECORD
    if only_finished and not path.exists():
        raise UserError(f"{path}: no such file; expected a search that was begun")
    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            with alone(folder):
                storage = optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}", engine_kwargs=_PATIENT)
            # In one file, a search that was changed has a record of its own.
            study = optuna.create_study(
                storage=storage,
                study_name=search.key,
                direction="minimize" if search.is_minimised else "maximize",
                load_if_exists=True,
                pruner=_build_pruner(search),
            )
        except Exception as error:
            raise UserError(f"{path}: no record of a search: {str(error).splitlines()[0]}") from None
        study.sampler = _build_sampler(search, len(study.get_trials(deepcopy=False)))
        try:
            yield study
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _build_sampler(search: Search, n_known: int) -> BaseSampler:
    """Return what chooses settings; taken up again, it does not draw once more what it has drawn."""
    from optuna.samplers import RandomSampler, TPESampler

    if search.grid.sampler == "tpe":
        n_random = min(10, max(3, search.n_trials // 3))
        return TPESampler(n_startup_trials=n_random, seed=search.grid.seed + n_known, constant_liar=True)
    return RandomSampler(seed=search.grid.seed + n_known)


def _build_pruner(search: Search) -> BasePruner:
    """Return what says that a trial lags behind, from the epoch after the warm-up on."""
    from optuna.pruners import MedianPruner, NopPruner, SuccessiveHalvingPruner

    first = search.grid.warmup_epochs + 1
    if search.grid.pruner == "median":
        return MedianPruner(n_startup_trials=min(4, max(1, search.n_trials // 3)), n_warmup_steps=first)
    if search.grid.pruner == "halving":
        return SuccessiveHalvingPruner(min_resource=first, reduction_factor=2)
    return NopPruner()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process at a time make the record, or choose what to try next."""
    with FileLock(folder / LOCK):
        yield


@contextmanager
def announced(folder: Path) -> Iterator[str]:
    """Yield a name for this process; the others see it alive until it ends, however it ends."""
    path = folder / SESSIONS / secrets.token_hex(4)
    path.parent.mkdir(exist_ok=True)
    try:
        with FileLock(path):
            yield path.name
    finally:
        path.unlink(missing_ok=True)


def is_alive(folder: Path, name: str) -> bool:
    """Return whether the process that was announced by a name is there."""
    path = folder / SESSIONS / name
    if not path.is_file():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def ended(study: Study) -> list[FrozenTrial]:
    """Return the trials that count as done: finished, pruned, or failed by their own settings."""
    from optuna.trial import TrialState

    ends = (TrialState.COMPLETE, TrialState.PRUNED)
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state in ends or ERROR in trial.user_attrs]


def counted(study: Study) -> list[FrozenTrial]:
    """Return the trials that count as done, and those under way; read at once, so that none ends in between."""
    from optuna.trial import TrialState

    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state in states or ERROR in trial.user_attrs]
