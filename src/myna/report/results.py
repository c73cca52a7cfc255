"""Reading the results of a study, of which any part may be missing.

`Results` is what a study writes as results.json. Every reader here answers None or something empty for what
is absent or of the wrong type, so that a half-finished study has a report too.
"""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Results = Mapping[str, Any]
Run = Mapping[str, Any]
Score = Mapping[str, Any]
Points = list[tuple[float, float]]
"""Of a curve: (epoch, value), in order of epochs."""
_PICTURE = re.compile(r"data:image/jpeg;base64,[A-Za-z0-9+/]+={0,2}")


def as_text(value: Any) -> str:
    """Return a value as one line of printable text; "" for None."""
    if value is None:
        return ""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(str(value).split()))


def as_number(value: Any) -> float | None:
    """Return a finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping, empty if `value` is none."""
    return value if isinstance(value, Mapping) else {}


def as_mappings(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings in a list, none if `value` is no list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def join_words(parts: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def interval(score: Score, measure: str) -> tuple[float, float] | None:
    """Return the 95 % interval of a measure."""
    bounds = as_mapping(score.get("intervals")).get(measure)
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        return None
    low, high = map(as_number, bounds)
    return None if low is None or high is None else (low, high)


def in_percent(value: float) -> float:
    """Return a share in percent, rounded as tables show it, so that differences agree with them."""
    return round(100 * value, 1)


def runs_of(results: Results) -> list[Run]:
    """Return the runs of a study."""
    return as_mappings(results.get("runs"))


def baselines_of(results: Results) -> list[Mapping[str, Any]]:
    """Return the baselines of a study."""
    return as_mappings(results.get("baselines"))


def is_search(results: Results) -> bool:
    """Return whether results are those of a search over settings, whose runs are its trials."""
    return "trials" in results


def trainings_of(results: Results) -> dict[str, float]:
    """Return the minutes of each training of a study or a search, by the run's name."""
    trials = [{**trial, "name": trial.get("run")} for trial in as_mappings(results.get("trials"))]
    minutes = {as_text(run.get("name")): as_number(run.get("minutes")) for run in [*runs_of(results), *trials]}
    return {name: value for name, value in minutes.items() if value is not None}


def titles_of(entries: list[Mapping[str, Any]]) -> list[str]:
    """Return a title for each run or baseline: its label, with the seed or the name where others share it."""
    labels = [as_text(entry.get("label") or entry.get("name")) or "unnamed" for entry in entries]
    with_seed = [f"{label}, seed {as_text(entry.get('seed'))}" for label, entry in zip(labels, entries, strict=True)]
    with_name = [f"{label}, {as_text(entry.get('name'))}" for label, entry in zip(labels, entries, strict=True)]
    n_label, n_seed = Counter(labels), Counter(with_seed)
    return [
        label if n_label[label] == 1 else seed if n_seed[seed] == 1 else name
        for label, seed, name in zip(labels, with_seed, with_name, strict=True)
    ]


def titled_runs(results: Results) -> list[tuple[Run, str]]:
    """Return the runs of a study with their titles."""
    runs = runs_of(results)
    return list(zip(runs, titles_of(runs), strict=True))


def curve_of(run: Run, split: str, measure: str) -> Points:
    """Return the (epoch, value) points of a curve, in order of epochs; `split` is train or val."""
    points = []
    for point in as_mappings(run.get("curves")):
        epoch, value = as_number(point.get("epoch")), as_number(point.get(measure))
        if point.get("split") == split and epoch is not None and value is not None:
            points.append((epoch, value))
    return sorted(points)


def pair_points(places: Any, values: Any) -> Points:
    """Return the points of a line from two lists, those of which both are numbers."""
    if not (isinstance(places, list) and isinstance(values, list)):
        return []
    pairs = ((as_number(x), as_number(y)) for x, y in zip(places, values, strict=False))
    return [(x, y) for x, y in pairs if x is not None and y is not None]


def study_command(results: Results) -> str:
    """Return the command that makes the whole study."""
    name = as_text(results.get("name")) or "quick"
    return as_text(results.get("command")) or f"myna study run {shlex.quote(f'configs/studies/{name}.toml')}"


def run_command(results: Results, run: Run) -> str:
    """Return the command that trains a run, or that of the study where the run names none."""
    return as_text(run.get("command")) or study_command(results)


def measure_command(results: Results, run: Run, split: str) -> str:
    """Return the command that scores a run on a split, or that of the study where the run names none."""
    return as_text(as_mapping(run.get("measure_commands")).get(split)) or study_command(results)


def compare_command(results: Results) -> str:
    """Return the command that compares runs: that of the study, or where there is none that of two runs."""
    names = [as_text(run.get("name")) for run in runs_of(results)]
    is_pair = bool(results.get("is_loose")) and len(names) > 1
    return shlex.join(["myna", "report", "compare", *names[:2]]) if is_pair else study_command(results)


def as_picture(value: Any) -> str:
    """Return a data URI of a JPEG, "" for anything else."""
    return value if isinstance(value, str) and _PICTURE.fullmatch(value) else ""


def join_values(values: Sequence[object]) -> object:
    """Return the one value that all are, or the different ones as text."""
    return values[0] if all(value == values[0] for value in values) else ", ".join(dict.fromkeys(map(as_text, values)))
