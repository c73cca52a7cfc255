"""Reading the results of a math study: scores by search and by kind of problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from myna.report.document import Kind
from myna.report.results import (
    Results,
    Score,
    as_mapping,
    as_mappings,
    as_number,
    as_text,
    baselines_of,
    runs_of,
    titles_of,
)

SPLITS = ("test", "dev")
"""Splits that are scored, the most telling first."""
SUBSETS = ("seen", "novel", "far")
"""Parts of a split, from the easiest to the hardest."""
SEARCHES = {"plain": "plain", "grammar": "grammar", "execution": "grammar + execution", "verified": "verified"}
"""Kinds of beam search as people read them; execution guidance implies the grammar, and a verifier both."""


def share(score: Score, measure: str, subset: str = "") -> float | None:
    """Return a measure of a score, of the whole split or of a subset; an empty subset has none."""
    part = as_mapping(score.get(subset)) if subset else score
    return None if part.get("n") == 0 else as_number(part.get(measure))


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

    @property
    def n_seeds(self) -> int | None:
        """How many trainings it is the mean of; None for what was not trained by us."""
        return int(as_number(self.score.get("n_seeds")) or 1) if self.kind == "run" else None

    def share(self, measure: str, subset: str = "") -> float | None:
        """Return a measure, of the whole split or of a subset."""
        return share(self.score, measure, subset)


def scores_of(entry: Mapping[str, Any], split: str) -> list[Score]:
    """Return the scores of a run or baseline on a split, one for each way of searching."""
    return as_mappings(as_mapping(entry.get("scores")).get(split))


def main_score(entry: Mapping[str, Any], split: str) -> Score:
    """Return the score that the assignment asks for, plain search at beam 10; where there is none, the first."""
    scores = scores_of(entry, split)
    asked = (score for score in scores if (score.get("beam_size"), score.get("search")) == (10, "plain"))
    return next(asked, scores[0] if scores else {})


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
