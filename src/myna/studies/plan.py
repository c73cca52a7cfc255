"""A study's plan: which runs it is made of, and what is measured on each."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from myna.config import BirdsConfig, MathConfig, NonNegativeInt, PositiveInt, RunName, Section, load
from myna.errors import UserError

CONFIGS: dict[str, type[MathConfig] | type[BirdsConfig]] = {"math": MathConfig, "birds": BirdsConfig}


class StudyRun(Section):
    """One config of a study, run once for each seed."""

    config: str = Field(description="a TOML file, relative to the study's")
    label: str = Field("", description="name in tables; else the config's name")
    seeds: list[NonNegativeInt] = Field([0], min_length=1, description="a run for each")
    set: list[str] = Field([], description="overrides, such as 'teacher_forcing.ratio=0.3'; {seed} is the run's seed")


class StudyConfig(Section):
    """A study: runs, and what is measured on them."""

    study: Literal["math", "birds"] = Field("math", description="of which half")
    name: RunName = Field(description="folder of the results")
    title: str = Field(description="headline of the report")
    runs: list[StudyRun] = Field(min_length=1)
    splits: list[Literal["train", "dev", "val", "test"]] = Field(
        [], description="measured on; none is all but math's train"
    )
    beam_sizes: list[PositiveInt] = Field(
        [10], min_length=1, description="math: measured at; models are compared with each other at the first"
    )
    searches: list[Literal["plain", "grammar", "execution"]] = Field(
        ["plain", "grammar", "execution"],
        min_length=1,
        description="math: what may follow in the beam; models are compared with each other by the first",
    )


@dataclass(frozen=True)
class PlannedRun:
    """One training of a study.

    Attributes:
        study: "math" or "birds".
        name: of the run folder; runs with the same name are the same run, whichever study asks for it.
        label: what the run is called in tables.
        seed: of the training.
        config: path of its config file.
        overrides: settings laid over it.
    """

    study: str
    name: str
    label: str
    seed: int
    config: Path
    overrides: tuple[str, ...]

    @property
    def settings(self) -> MathConfig | BirdsConfig:
        """The run's whole configuration."""
        return load(CONFIGS[self.study], self.config, self.overrides)

    @property
    def start_from(self) -> str:
        """The run that this one begins with the weights of; "" for none."""
        settings = self.settings
        return settings.start_from if isinstance(settings, MathConfig) else ""

    @property
    def command(self) -> str:
        """What trains this run alone."""
        return shlex.join(["myna", self.study, "train", str(self.config), *to_arguments(self.overrides)])


def to_arguments(overrides: Sequence[str]) -> list[str]:
    """Return overrides as words of a command."""
    return [word for override in overrides for word in ("--set", override)]


def expand(path: Path, overrides: Sequence[str] = ()) -> tuple[StudyConfig, list[PlannedRun]]:
    """Read a study's file and list its runs.

    Args:
        path: the study's TOML file.
        overrides: settings laid over every run of it.

    Raises:
        UserError: the study, or the config of one of its runs, has a mistake.
    """
    study = load(StudyConfig, path)
    planned = []
    for override in overrides:
        if override.split("=")[0].strip() in ("name", "training.seed"):
            raise UserError(f"--set {override}: a study names its runs and seeds itself; set `seeds` in {path}")
    for run in study.runs:
        config = Path(os.path.normpath(path.parent / run.config))
        # Names the run after everything that makes it differ from its config, but for where it starts.
        base = load(CONFIGS[study.study], config, _fill(run.set, run.seeds[0]))
        suffix = "".join(f"-{_short(override)}" for override in run.set if not override.startswith("start_from="))
        for seed in run.seeds:
            name = f"{base.name}{suffix}-seed{seed}"
            settings = (*_fill(run.set, seed), *overrides, f"training.seed={seed}", f"name={name}")
            label = run.label or base.name + suffix
            planned.append(PlannedRun(study.study, name, label, seed, config, settings))
            load(CONFIGS[study.study], config, settings)
    _check_names(path, planned)
    return study, planned


def _fill(overrides: Sequence[str], seed: int) -> list[str]:
    """Put a run's seed where its overrides ask for it."""
    return [override.replace("{seed}", str(seed)) for override in overrides]


def _check_names(path: Path, planned: Sequence[PlannedRun]) -> None:
    """Refuse two different runs of one name, which would train in one folder, and two of one label and seed.

    One of these two would be left out of comparisons, and counted twice in means and intervals.
    """
    by_name: dict[str, PlannedRun] = {}
    by_seed: set[tuple[str, int]] = set()
    for run in planned:
        other = by_name.setdefault(run.name, run)
        if other is not run and other.settings != run.settings:
            raise UserError(f"{path}: two runs would be called {run.name} and differ; give one config another name")
        if (run.label, run.seed) in by_seed:
            raise UserError(
                f"{path}: runs: label {run.label!r}: seed {run.seed} twice; expected each seed of a label once"
            )
        by_seed.add((run.label, run.seed))


def _short(override: str) -> str:
    """Return "ratio-0.3" for "teacher_forcing.ratio=0.3"."""
    key, _, value = override.partition("=")
    return re.sub(r"[^\w.-]", "", f"{key.rpartition('.')[2]}-{value}".replace("/", "-"))
