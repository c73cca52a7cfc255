"""What a study of the math half measures on its runs, and beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from myna import runs
from myna.config import MathDataSection
from myna.errors import UserError
from myna.files import read_json, write_json
from myna.mathqa.assessment import assess
from myna.mathqa.baselines import BASELINES, NeighbourIndex
from myna.mathqa.evaluation import group, judge_items, predict_baselines, read_predictions, score_baselines
from myna.mathqa.language.program import split_tokens
from myna.mathqa.language.score import Verdict
from myna.mathqa.mistakes import count_mistakes
from myna.mathqa.problems import as_items, check_scorable, hash_problems
from myna.mathqa.splits import describe, load_splits
from myna.mathqa.task import MathModel
from myna.studies.paired import Outcomes, adjust, compare, compare_all, group_by_label, pick
from myna.studies.plan import StudyConfig

MEASURES = ("exact_match", "execution_accuracy")
"""What is right or wrong of each problem, and so can be compared in pairs."""
SUBSETS = ("", "novel", "far")
"""Problems that models are compared with baselines on: all of a split, and its hard ones."""


class MathMeasures:
    """Measurements on word problems.

    Args:
        study: which splits, beam sizes and searches.
        data: the data folder asked for; else as `load_splits` finds it.

    Raises:
        UserError: a problem to measure on has no answer, no reference, or none that parses.
    """

    def __init__(self, study: StudyConfig, data: Path | None) -> None:
        self.study, self.data = study, data
        self.splits = load_splits(data)
        self.source, self.is_generated = self.splits.source, self.splits.is_generated
        self.index = NeighbourIndex(self.splits.train)
        self.names: list[str] = [*study.splits] or ["dev", "test"]
        for name in self.names:
            check_scorable(self.splits.named(name))

    def describe_data(self) -> dict[str, Any]:
        """Return the facts of the data."""
        return describe(self.splits)

    def hash_data(self, section: MathDataSection) -> str:
        """Return the hash of what a run of these settings would learn from here."""
        return hash_problems(self.splits.train[: section.limit or None], self.splits.dev)

    def describe_run(self, folder: Path) -> dict[str, Any]:
        """Return what kinds of mistakes a run made on each split, in its first measurement of it."""
        mistakes = {}
        for split in self.names:
            items = self._read_predictions(folder, split, self.study.beam_sizes[0], self.study.searches[0])
            predicted = [item["predicted"] for item in items]
            mistakes[split] = count_mistakes(self.splits.named(split), predicted, self.index)
        return {"mistakes": mistakes}

    def measure(self, folder: Path) -> dict[str, Any]:
        """Return a run's scores: for each split a list, by beam size and search; what is measured is only read.

        `n_tokens` is added: the mean length of the predicted programs, None where there are no predictions.

        Raises:
            UserError: a run's predictions are of other problems than those of the split.
        """
        model: MathModel | None = None
        scores: dict[str, list[dict[str, Any]]] = {}
        for split in self.names:
            scores[split] = []
            for beam_size in self.study.beam_sizes:
                for search in self.study.searches:
                    path = folder / f"scores-{split}-{beam_size}-{search}.json"
                    predictions = _predictions_path(folder, split, beam_size, search)
                    if not path.exists():
                        model = model or MathModel.load(folder, self.data)
                        score = assess(
                            model,
                            self.splits.named(split),
                            self.index,
                            title=f"{folder.name}, {split}, beam {beam_size}, {search}",
                            beam_size=beam_size,
                            search=search,
                            output=predictions,
                        )
                        write_json(path, score)
                    n_tokens: float | None = None
                    if predictions.exists():
                        n_tokens = _mean_length(self._read_predictions(folder, split, beam_size, search))
                    scores[split].append({**read_json(path), "n_tokens": n_tokens})
        return scores

    def measure_baselines(self) -> list[dict[str, Any]]:
        """Score each baseline as if it were a run."""
        nothing = {"beam_size": None, "search": None, "problems_per_second": None}
        found = {split: score_baselines(self.splits.named(split), self.index) for split in self.names}
        return [
            {"name": name, "label": name, "scores": {split: [nothing | found[split][name]] for split in self.names}}
            for name in BASELINES
        ]

    def compare(self, measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return paired tests on test, or on dev where the study has no test.

        Each has `what`, `split`, `measure`, `search`, `a`, `b`, and what `paired.compare` gives, with `p_holm` over
        those of one `what` and measure: "models", every two labels; "beams", every two beam sizes (`a` the larger) of
        one `label`; "baselines", each label with each baseline on a `subset`: "" for all problems, novel, far. Models
        and baselines are compared at the first beam size, all by the first search.
        """
        split = next((name for name in ("test", "dev") if name in self.names), None)
        if split is None:
            return []
        verdicts = {
            (label, beam_size): {seed: self._judge(name, split, beam_size) for seed, name in by_seed.items()}
            for label, by_seed in group_by_label(measured).items()
            for beam_size in self.study.beam_sizes
        }
        problems = self.splits.named(split)
        guessed = predict_baselines(problems, self.index)
        floors = {name: judge_items(as_items(problems, predicted)) for name, predicted in guessed.items()}
        found: list[dict[str, Any]] = []
        for measure in MEASURES:
            right = {
                key: {seed: _outcomes(each, measure) for seed, each in own.items()} for key, own in verdicts.items()
            }
            at = {"split": split, "measure": measure, "search": self.study.searches[0]}
            first = {label: own for (label, size), own in right.items() if size == self.study.beam_sizes[0]}
            at_first = {**at, "beam_size": self.study.beam_sizes[0]}
            found += adjust(compare_all(first, what="models", **at_first))
            found += adjust(self._compare_beams(right, at))
            right_floors = {name: _outcomes(each, measure) for name, each in floors.items()}
            found += adjust(self._compare_baselines(first, right_floors, at_first))
        return found

    def _compare_beams(self, right: dict[tuple[str, int], dict[int, list[bool]]], at: dict[str, Any]) -> list[Any]:
        """Compare every two beam sizes of each label."""
        sizes = sorted(self.study.beam_sizes, reverse=True)
        return [
            comparison
            for label in dict.fromkeys(label for label, _ in right)
            for comparison in compare_all({size: right[label, size] for size in sizes}, what="beams", label=label, **at)
        ]

    def _compare_baselines(
        self, right: dict[str, dict[int, list[bool]]], floors: dict[str, list[bool]], at: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Compare each label with each baseline, which is the same beside every seed."""
        problems = self.splits.named(at["split"])
        places = {"": [*range(len(problems))], **group([problem.text for problem in problems], self.index)}
        found = []
        for label, ours in right.items():
            for name, floor in floors.items():
                for subset in SUBSETS:
                    theirs: Outcomes = dict.fromkeys(ours, floor)
                    difference = compare(pick(ours, places[subset]), pick(theirs, places[subset]))
                    if difference:
                        names = {"what": "baselines", "subset": subset, "a": label, "b": name}
                        found.append({**names, **at, **difference})
        return found

    def _judge(self, run: str, split: str, beam_size: int) -> list[Verdict]:
        """Judge what a run predicted by the first search."""
        return judge_items(self._read_predictions(runs.runs_folder() / run, split, beam_size, self.study.searches[0]))

    def _read_predictions(self, folder: Path, split: str, beam_size: int, search: str) -> list[dict[str, Any]]:
        """Read what a run predicted.

        Raises:
            UserError: its predictions are of other problems than those of the split.
        """
        path = _predictions_path(folder, split, beam_size, search)
        items = read_predictions(path)
        asked = [(problem.text, problem.formula, problem.answer) for problem in self.splits.named(split)]
        if [(item["Problem"], item["linear_formula"], item["answer"]) for item in items] != asked:
            raise UserError(f"{path}: not of the {split} problems here; move it away, and measure the run again")
        return items


def _outcomes(verdicts: list[Verdict], measure: str) -> list[bool]:
    """Return which predictions are right by a measure."""
    return [each.exact if measure == "exact_match" else each.executes for each in verdicts]


def _predictions_path(folder: Path, split: str, beam_size: int, search: str) -> Path:
    """Return the file of a run's predictions."""
    return folder / f"predictions-{split}-{beam_size}-{search}.json"


def _mean_length(items: list[dict[str, Any]]) -> float | None:
    """Return the mean number of tokens of predicted programs, None where there are none."""
    lengths = [len(split_tokens(item["predicted"])) for item in items]
    return sum(lengths) / len(lengths) if lengths else None
