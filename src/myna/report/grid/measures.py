"""Reading the results of a search, which `myna study grid` writes as grid.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from myna.report.document import Cell, number_cell, percent_cell
from myna.report.results import Points, Results, as_mapping, as_mappings, as_number, as_text

Trial = Mapping[str, Any]
_NAMES = {"math": ("dev", "problems"), "birds": ("val", "photos")}


def ranked_trials(results: Results) -> list[Trial]:
    """Return the trials, best first: finished ones, then pruned, failed and unfinished ones."""
    order = ("finished", "pruned", "failed", "unfinished")
    sign = 1 if results.get("is_minimised") else -1

    def rank(trial: Trial) -> tuple[int, float, float]:
        best = as_number(trial.get("best"))
        return order.index(state_of(trial)), float("inf") if best is None else sign * best, trial.get("number", 0)

    return sorted(as_mappings(results.get("trials")), key=rank)


def trials_in(results: Results, *states: str) -> list[Trial]:
    """Return the trials of some states that have a score, best first."""
    return [trial for trial in ranked_trials(results) if state_of(trial) in states and trial.get("best") is not None]


def state_of(trial: Trial) -> str:
    """Return finished, pruned, failed or unfinished."""
    state = as_text(trial.get("state"))
    return state if state in ("finished", "pruned", "failed") else "unfinished"


def curve_of(trial: Trial) -> Points:
    """Return a trial's scores by epoch."""
    return [(float(epoch), float(value)) for epoch, value in trial.get("values") or ()]


def effects_of(results: Results) -> list[Mapping[str, Any]]:
    """Return the effect of each setting, that which matters most first."""
    return as_mappings(as_mapping(results.get("effects")).get("settings"))


def effect_epoch(results: Results) -> int:
    """Return the epoch at which trials are compared; 0 where there is none."""
    return int(as_number(as_mapping(results.get("effects")).get("epoch")) or 0)


def is_share(results: Results) -> bool:
    """Return whether the metric is a share, shown in percent."""
    return results.get("metric") != "loss"


def score_cell(results: Results, value: float | None) -> Cell:
    """Return a score as tables show it."""
    return percent_cell(value) if is_share(results) else number_cell(value, 3)


def say_score(results: Results, value: float) -> str:
    """Return a score in words."""
    return f"{100 * value:.1f} %" if is_share(results) else f"{value:.3f}"


def say_difference(results: Results, value: float) -> str:
    """Return a difference of two scores in words."""
    return f"{100 * abs(value):.1f} points" if is_share(results) else f"{abs(value):.3f}"


def name_metric(results: Results) -> str:
    """Return the metric's name for people."""
    return as_text(results.get("metric")).replace("_", " ")


def name_split(results: Results) -> str:
    """Return what the half calls the split that trials are scored on."""
    return _NAMES.get(as_text(results.get("study")), _NAMES["math"])[0]


def name_examples(results: Results) -> str:
    """Return what the half's examples are called, with how many there are."""
    n = as_number(results.get("n_examples"))
    return f"{n:,.0f} {name_split(results)} {_NAMES.get(as_text(results.get('study')), _NAMES['math'])[1]}"


def short(key: str) -> str:
    """Return a setting's name without its sections."""
    return key.rpartition(".")[2]


def say_value(value: Any) -> str:
    """Return a setting's value as it is written in a config."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else as_text(value)


def say_settings(trial: Trial) -> str:
    """Return a trial's settings in words."""
    return ", ".join(f"{short(key)} {say_value(value)}" for key, value in as_mapping(trial.get("settings")).items())
