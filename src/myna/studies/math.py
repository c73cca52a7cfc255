"""What a study of the math half measures on its runs, and beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from myna.files import read_json, write_json
from myna.mathqa.assessment import assess
from myna.mathqa.baselines import BASELINES, NeighbourIndex
from myna.mathqa.evaluation import evaluate
from myna.mathqa.mistakes import count_mistakes
from myna.mathqa.problems import mask
from myna.mathqa.splits import describe, load_splits
from myna.mathqa.task import MathModel
from myna.studies.plan import StudyConfig


class MathMeasures:
    """Measurements on word problems.

    Args:
        study: which splits, beam sizes and searches.
        data: the data folder asked for; else as `load_splits` finds it.
    """

    def __init__(self, study: StudyConfig, data: Path | None) -> None:
        self.study = study
        self.splits = load_splits(data)
        self.source, self.is_generated = self.splits.source, self.splits.is_generated
        self.index = NeighbourIndex(self.splits.train)
        self.names: list[str] = [*study.splits] or ["dev", "test"]

    def describe_data(self) -> dict[str, Any]:
        """Return the facts of the data."""
        return describe(self.splits)

    def describe_run(self, folder: Path) -> dict[str, Any]:
        """Return what kinds of mistakes a run made on each split, in its first measurement of it."""
        first = f"{self.study.beam_sizes[0]}-{self.study.searches[0]}"
        mistakes = {}
        for split in self.names:
            items = read_json(folder / f"predictions-{split}-{first}.json")
            predicted = [item["predicted"] for item in items]
            mistakes[split] = count_mistakes(self.splits.named(split), predicted, self.index)
        return {"mistakes": mistakes}

    def measure(self, folder: Path) -> dict[str, Any]:
        """Return a run's scores: for each split a list, by beam size and search; what is measured is only read."""
        model: MathModel | None = None
        scores: dict[str, list[dict[str, Any]]] = {}
        for split in self.names:
            scores[split] = []
            for beam_size in self.study.beam_sizes:
                for search in self.study.searches:
                    path = folder / f"scores-{split}-{beam_size}-{search}.json"
                    if not path.exists():
                        model = model or MathModel.load(folder)
                        score = assess(
                            model,
                            self.splits.named(split),
                            self.index,
                            title=f"{folder.name}, {split}, beam {beam_size}, {search}",
                            beam_size=beam_size,
                            search=search,
                            output=folder / f"predictions-{split}-{beam_size}-{search}.json",
                        )
                        write_json(path, score)
                    scores[split].append(read_json(path))
        return scores

    def measure_baselines(self) -> list[dict[str, Any]]:
        """Score each baseline as if it were a run."""
        return [{"name": name, "label": name, "scores": self._measure_baseline(name)} for name in BASELINES]

    def compare(self, measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return paired tests between runs."""
        return []

    def _measure_baseline(self, name: str) -> dict[str, Any]:
        predict = BASELINES[name](self.index)
        scores: dict[str, Any] = {}
        for split in self.names:
            problems = self.splits.named(split)
            score = evaluate(problems, [predict(mask(problem.text)) for problem in problems], self.index)
            scores[split] = [{"beam_size": None, "search": None, "problems_per_second": None} | score]
        return scores
