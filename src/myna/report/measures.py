"""Reading the results of a study, of which any part may be missing.

`Results` is what a study writes as results.json. Every reader here answers None or something empty for what
is absent or of the wrong type, so that a half-finished study has a report too.
"""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from myna.report.document import Kind

Results = Mapping[str, Any]
Score = Mapping[str, Any]

SPLITS = ("test", "dev")
"""Splits that are scored, the most telling first."""
SUBSETS = ("seen", "novel", "far")
"""Parts of a split, from the easiest to the hardest."""
SEARCHES = {"plain": "plain", "grammar": "grammar", "execution": "grammar + execution"}
"""Kinds of beam search as people read them; execution guidance implies the grammar."""


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


def share(score: Score, measure: str, subset: str = "") -> float | None:
    """Return a measure of a score, of the whole split or of a subset; an empty subset has none."""
    part = as_mapping(score.get(subset)) if subset else score
    return None if part.get("n") == 0 else as_number(part.get(measure))


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


@dataclass(frozen=True)
class Line:
    """One line of a score table: what predicted, how it searched, how it scored.

    Attributes:
        title: of the run or baseline, unique among them; of a published model, its name.
        kind: whose it is.
        score: its scores on a split.
    """

    title: str
    kind: Kind
    score: Score

    @property
    def search(self) -> str:
        """How it searched, for people; "" for what does not search."""
        name = as_text(self.score.get("search"))
        beam_size = as_number(self.score.get("beam_size"))
        beam = f"beam {beam_size:.0f}" if beam_size is not None else ""
        return ", ".join(filter(None, (SEARCHES.get(name, name), beam)))

    def share(self, measure: str, subset: str = "") -> float | None:
        """Return a measure, of the whole split or of a subset."""
        return share(self.score, measure, subset)


def runs_of(results: Results) -> list[Mapping[str, Any]]:
    """Return the runs of a study."""
    return as_mappings(results.get("runs"))


def baselines_of(results: Results) -> list[Mapping[str, Any]]:
    """Return the baselines of a study."""
    return as_mappings(results.get("baselines"))


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


def scores_of(entry: Mapping[str, Any], split: str) -> list[Score]:
    """Return the scores of a run or baseline on a split, one for each way of searching."""
    return as_mappings(as_mapping(entry.get("scores")).get(split))


def lines_of(results: Results, split: str) -> list[Line]:
    """Return every score on a split, runs before baselines."""
    lines: list[Line] = []
    runs, baselines = runs_of(results), baselines_of(results)
    for run, title in zip(runs, titles_of(runs), strict=True):
        lines += [Line(title, "run", score) for score in scores_of(run, split)]
    for baseline, title in zip(baselines, titles_of(baselines), strict=True):
        lines += [Line(title, "baseline", score) for score in scores_of(baseline, split)]
    return lines


def is_chosen_on_dev(results: Results) -> bool:
    """Return whether every run that has scores has some on dev, to choose its search by."""
    on_dev = set(_lines_by_run(results, "dev"))
    return bool(on_dev) and set(_lines_by_run(results, "test")) <= on_dev


def chosen_lines(results: Results, split: str) -> list[Line]:
    """Return one line for each run, whose search was not chosen by its scores on test.

    It is the search that is best on dev, by exact match, then execution accuracy. Where a run has no scores
    on dev, it is for all runs the most guided search, at the assignment's beam size of 10 if there is one.
    """
    on_dev = _lines_by_run(results, "dev") if is_chosen_on_dev(results) else {}
    chosen = []
    for title, lines in _lines_by_run(results, split).items():
        search = max(on_dev[title], key=_quality).search if title in on_dev else ""
        chosen.append(next((line for line in lines if line.search == search), max(lines, key=_guidance)))
    return chosen


def _lines_by_run(results: Results, split: str) -> dict[str, list[Line]]:
    """Return the lines of each run by its title."""
    by_run: dict[str, list[Line]] = {}
    for line in lines_of(results, split):
        if line.kind == "run":
            by_run.setdefault(line.title, []).append(line)
    return by_run


def _quality(line: Line) -> tuple[float, float]:
    """Return what a search is chosen by on dev."""
    return line.share("exact_match") or 0.0, line.share("execution_accuracy") or 0.0


def _guidance(line: Line) -> tuple[bool, int]:
    """Return what a search is chosen by without dev."""
    names = list(SEARCHES)
    name = as_text(line.score.get("search"))
    return line.score.get("beam_size") == 10, names.index(name) if name in names else -1


def failures_of(line: Line) -> dict[str, int]:
    """Return the number of failed predictions by reason."""
    failures = as_mapping(line.score.get("failures"))
    counts = {as_text(reason): as_number(count) for reason, count in failures.items()}
    return {reason: int(count) for reason, count in counts.items() if count}


def curve_of(run: Mapping[str, Any], split: str, measure: str) -> list[tuple[float, float]]:
    """Return the (epoch, value) points of a curve, in order of epochs; `split` is train or val."""
    points = []
    for point in as_mappings(run.get("curves")):
        epoch, value = as_number(point.get("epoch")), as_number(point.get(measure))
        if point.get("split") == split and epoch is not None and value is not None:
            points.append((epoch, value))
    return sorted(points)


def study_command(results: Results) -> str:
    """Return the command that makes the whole study."""
    name = as_text(results.get("name")) or "quick"
    return as_text(results.get("command")) or f"myna study run {shlex.quote(f'configs/studies/{name}.toml')}"


def run_command(results: Results, run: Mapping[str, Any]) -> str:
    """Return the command that trains a run, or that of the study where the run names none."""
    return as_text(run.get("command")) or study_command(results)
