"""A study's plan: which runs it is made of, and what is measured on each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from myna.config import MathConfig, RunName, Section, load


class StudyRun(Section):
    """One config of a study, run once for each seed."""

    config: str = Field(description="a TOML file, relative to the study's")
    label: str = Field("", description="name in tables; else the config's name")
    seeds: list[NonNegativeInt] = Field([0], min_length=1, description="a run for each")
    set: list[str] = Field([], description="overrides, such as 'teacher_forcing.ratio=0.3'")


class StudyConfig(Section):
    """A study: runs, and what is measured on them."""

    study: Literal["math"] = "math"
    name: RunName = Field(description="folder of the results")
    title: str = Field(description="headline of the report")
    runs: list[StudyRun] = Field(min_length=1)
    splits: list[Literal["dev", "test"]] = Field(["dev", "test"], description="measured on")
    beam_sizes: list[PositiveInt] = Field([10], description="measured at")
    searches: list[Literal["plain", "grammar", "execution"]] = Field(["plain", "grammar", "execution"])


@dataclass(frozen=True)
class PlannedRun:
    """One training of a study.

    Attributes:
        name: of the run folder; runs with the same name are the same run, whichever study asks for it.
        label: what the run is called in tables.
        seed: of the training.
        config: path of its config file.
        overrides: settings laid over it.
    """

    name: str
    label: str
    seed: int
    config: Path
    overrides: tuple[str, ...]

    @property
    def settings(self) -> MathConfig:
        """The run's whole configuration."""
        return load(MathConfig, self.config, self.overrides)

    @property
    def command(self) -> str:
        """What trains this run alone."""
        overrides = "".join(f" --set {override}" for override in self.overrides)
        return f"myna math train {self.config}{overrides}"


def expand(path: Path, overrides: list[str]) -> tuple[StudyConfig, list[PlannedRun]]:
    """Read a study's file and list its runs.

    Args:
        path: the study's TOML file.
        overrides: settings laid over every run of it.

    Raises:
        UserError: the study, or the config of one of its runs, has a mistake.
    """
    study = load(StudyConfig, path)
    planned = []
    for run in study.runs:
        config = Path(os.path.normpath(path.parent / run.config))
        # Names the run after everything that makes it differ from its config.
        base = load(MathConfig, config, run.set)
        suffix = "".join(f"-{_short(override)}" for override in run.set)
        for seed in run.seeds:
            name = f"{base.name}{suffix}-seed{seed}"
            settings = (*run.set, *overrides, f"training.seed={seed}", f"name={name}")
            planned.append(PlannedRun(name, run.label or base.name + suffix, seed, config, settings))
            load(MathConfig, config, settings)
    return study, planned


def _short(override: str) -> str:
    """Return "ratio-0.3" for "teacher_forcing.ratio=0.3"."""
    key, _, value = override.partition("=")
    return f"{key.rpartition('.')[2]}-{value}".replace('"', "").replace(" ", "")
