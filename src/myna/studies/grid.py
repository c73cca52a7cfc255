"""A search's plan: which settings are tried, with which values, and what each trial is as a run."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from myna.config import BirdsConfig, MathConfig, NonNegativeInt, RunName, Section, Seed, flatten, load
from myna.errors import UserError
from myna.studies.plan import CONFIGS, PlannedRun, to_arguments

Value = bool | int | float | str
Settings = dict[str, Value]
"""Of one trial, by dotted name."""
METRICS = {
    "math": ("exact_match", "execution_accuracy", "token_match", "loss"),
    "birds": ("accuracy", "macro_f1", "loss"),
}
"""What a search may go by; the first is what a training keeps its best model by."""
SHARES = ("exact_match", "execution_accuracy", "accuracy")
"""Shares of the examples, whose sampling error is known from the share alone."""
_TOML_WORDS = ("true", "false", "inf", "nan")


class GridConfig(Section):
    """A search: a config, the values that some of its settings may take, and how they are tried."""

    study: Literal["math", "birds"] = Field("math", description="of which half")
    name: RunName = Field(description="folder of the results, and beginning of the runs' names")
    title: str = Field(description="headline of the report")
    config: str = Field(description="a TOML file, relative to the search's")
    set: list[str] = Field([], description="overrides laid over every trial, such as 'training.epochs=8'")
    sampler: Literal["grid", "random", "tpe"] = Field("random", description="what chooses the settings of a trial")
    n_trials: NonNegativeInt = Field(16, description="how many; grid: 0 is all of the grid")
    seed: Seed = Field(0, description="of the sampler")
    metric: str = Field("", description="of the val lines of metrics.jsonl; none is the task's score")
    pruner: Literal["median", "halving", "none"] = Field("median", description="what stops trials that lag behind")
    warmup_epochs: NonNegativeInt = Field(2, description="epochs in which none is stopped")
    space: dict[str, list[Value]] = Field(min_length=1, description="values by dotted setting")

    @field_validator("space", mode="before")
    @classmethod
    def _flatten(cls, space: Any) -> Any:
        """Take a.b = [...] without quotes too, which TOML nests."""
        return flatten(space) if isinstance(space, Mapping) else space


@dataclass(frozen=True)
class Search:
    """A search that was found to be without mistakes.

    Attributes:
        grid: as in its file.
        config: path of the config file under it.
        overrides: settings laid over every trial.
        metric: what it goes by.
        n_trials: as many as there are to be.
        source: of the data; runs on other data are other runs.
    """

    grid: GridConfig
    config: Path
    overrides: tuple[str, ...]
    metric: str
    n_trials: int
    source: str = ""

    @property
    def space(self) -> dict[str, list[Value]]:
        """The values by setting."""
        return self.grid.space

    @property
    def size(self) -> int:
        """Of the whole grid."""
        return prod(map(len, self.space.values()))

    @property
    def is_minimised(self) -> bool:
        """Whether less is better."""
        return self.metric == "loss"

    @property
    def key(self) -> str:
        """Name of all that its trials share: searches with the same key go on with each other's trials."""
        return _digest({"base": self._ask(()), "space": self.space, "metric": self.metric, "source": self.source})

    def plan(self, settings: Settings, number: int) -> PlannedRun:
        """Return the run of a trial: one name, and so one training, for the same settings of the same config."""
        overrides = (*self.overrides, *to_overrides(settings))
        name = f"{self.grid.name}-{_digest({'settings': self._ask(overrides), 'source': self.source})}"
        seed = self._load(overrides).training.seed
        return PlannedRun(self.grid.study, name, f"trial {number}", seed, self.config, (*overrides, f"name={name}"))

    def describe_command(self, settings: Settings) -> str:
        """Return what trains with these settings outside the search."""
        overrides = to_arguments((*self.overrides, *to_overrides(settings)))
        name = f"{self.grid.name}-best"
        return shlex.join(["myna", self.grid.study, "train", str(self.config), *overrides, "--name", name])

    def draw_unseen(self, seen: Sequence[Settings]) -> Settings | None:
        """Return settings that are not among those seen, at random; None where the grid has no others."""
        # One more than were seen: one of them at least is new.
        n, draw = min(self.size, len(seen) + 1), random.Random(self.grid.seed)
        if self.size <= sys.maxsize:
            order = draw.sample(range(self.size), n)
        else:
            # More places than Python counts, of which none is drawn twice.
            order = [draw.randrange(self.size) for _ in range(n)]
        return next((settings for settings in map(self._settings_at, order) if settings not in seen), None)

    def _settings_at(self, place: int) -> Settings:
        """Return the settings at a place in the grid, the last setting changing fastest."""
        settings: Settings = {}
        for key, values in reversed(self.space.items()):
            place, index = divmod(place, len(values))
            settings[key] = values[index]
        return {key: settings[key] for key in self.space}

    def _load(self, overrides: Sequence[str]) -> MathConfig | BirdsConfig:
        return load(CONFIGS[self.grid.study], self.config, [*(overrides or self.overrides)])

    def _ask(self, overrides: Sequence[str]) -> dict[str, Any]:
        """Return what a run asks for beyond the schema's defaults, so that a new setting renames no old run."""
        asked = flatten(self._load(overrides).model_dump(mode="json", exclude_defaults=True))
        return {key: value for key, value in asked.items() if key != "name"}


def read_search(path: Path, overrides: Sequence[str] = ()) -> Search:
    """Read a search's file, and check every value that a trial could have.

    Args:
        path: the search's TOML file.
        overrides: settings laid over every trial, after those of the file.

    Raises:
        UserError: the search, its config, or one of the values has a mistake.
    """
    grid = load(GridConfig, path)
    config = Path(os.path.normpath(path.parent / grid.config))
    metrics = METRICS[grid.study]
    if grid.metric and grid.metric not in metrics:
        raise UserError(f"{path}: metric: {grid.metric!r}; choices: {', '.join(metrics)}")
    if grid.sampler != "grid" and not grid.n_trials:
        raise UserError(f"{path}: n_trials: 0; expected 1 or more with the sampler {grid.sampler}")
    fixed = (*grid.set, *overrides)
    schema = CONFIGS[grid.study]
    load(schema, config)
    _check_values(path, "set", schema, config, grid.set)
    load(schema, config, fixed)
    keys_set = {override.partition("=")[0].strip() for override in fixed}
    for key, values in grid.space.items():
        _check_list(path, key, values)
        if key in keys_set:
            raise UserError(f"{path}: space: {key}: set for every trial too; expected it in one place")
        for value in values:
            _check_values(path, "space", schema, config, (*fixed, *to_overrides({key: value})))
    size = prod(map(len, grid.space.values()))
    return Search(grid, config, fixed, grid.metric or metrics[0], min(grid.n_trials or size, size))


def to_overrides(settings: Mapping[str, Value]) -> list[str]:
    """Return settings as `--set` takes them."""
    return [f"{key}={_write(value)}" for key, value in settings.items()]


def _check_list(path: Path, key: str, values: Sequence[Value]) -> None:
    """Refuse a setting that no search can be over, and a list without values or with one twice."""
    if key in ("name", "study"):
        raise UserError(f"{path}: space: {key}: no setting; expected one such as training.optimizer.learning_rate")
    if not values:
        raise UserError(f"{path}: space: {key}: []; expected one value or more")
    twice = next((value for i, value in enumerate(values) if value in values[:i]), None)
    if twice is not None:
        raise UserError(f"{path}: space: {key}: {twice!r} twice; expected values that differ")


def _check_values(
    path: Path, place: str, schema: type[MathConfig] | type[BirdsConfig], config: Path, overrides: Sequence[str]
) -> None:
    """Load a config with overrides; a mistake in them is one of the search's file."""
    try:
        load(schema, config, overrides)
    except UserError as error:
        raise UserError(f"{path}: {place}: {str(error).removeprefix('--set').lstrip(': ')}") from None


def _write(value: Value) -> str:
    """Return a value that is read back as it is."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w./-]*", value) and value not in _TOML_WORDS:
        return value
    return json.dumps(value)


def _digest(values: Mapping[str, Any]) -> str:
    """Return a short name of values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
