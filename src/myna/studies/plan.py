"""A study's plan: which runs it is made of, and what is measured on each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from myna.config import BirdsConfig, MathConfig, RunName, Section, load

CONFIGS: dict[str, type[MathConfig] | type[BirdsConfig]] = {"math": MathConfig, "birds": BirdsConfig}


class StudyRun(Section):
    """One config of a study, run once for each seed."""

    config: str = Field(description="a TOML file, relative to the study's")
    label: str = Field("", description="name in tables; else the config's name")
    seeds: list[NonNegativeInt] = Field([0], min_length=1, description="a run for each")
    set: list[str] = Field([], description="overrides, such as 'teacher_forcing.ratio=0.3'")


class StudyConfig(Section):
    """A study: runs, and what is measured on them."""

    study: Literal["math", "birds"] = Field("math", description="of which half")
    name: RunName = Field(description="folder of the results")
    title: str = Field(description="headline of the report")
    runs: list[StudyRun] = Field(min_length=1)
    splits: list[Literal["train", "dev", "val", "test"]] = Field(
        [], description="measured on; none is all but math's train"
    )
    beam_sizes: list[PositiveInt] = Field([10], description="math: measured at")
    searches: list[Literal["plain", "grammar", "execution"]] = Field(
        ["plain", "grammar", "execution"], description="math: what may follow in the beam"
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
    def command(self) -> str:
        """What trains this run alone."""
        overrides = "".join(f" --set {override}" for override in self.overrides)
        return f"myna {self.study} train {self.config}{overrides}"


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
    for run in study.runs:
        config = Path(os.path.normpath(path.parent / run.config))
        # Names the run after everything that makes it differ from its config.
        base = load(CONFIGS[study.study], config, run.set)
        suffix = "".join(f"-{_short(override)}" for override in run.set)
        for seed in run.seeds:
            name = f"{base.name}{suffix}-seed{seed}"
            settings = (*run.set, *overrides, f"training.seed={seed}", f"name={name}")
            label = run.label or base.name + suffix
            planned.append(PlannedRun(study.study, name, label, seed, config, settings))
            load(CONFIGS[study.study], config, settings)
    return study, planned


def _short(override: str) -> str:
    """Return "ratio-0.3" for "teacher_forcing.ratio=0.3"."""
    key, _, value = override.partition("=")
    return f"{key.rpartition('.')[2]}-{value}".replace('"', "").replace(" ", "")
