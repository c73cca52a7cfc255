"""Scores of predicted programs: over all problems, over the seen, novel and far ones, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from myna.errors import UserError, show
from myna.files import write_json
from myna.mathqa.baselines import BASELINES, NeighbourIndex
from myna.mathqa.language.score import Verdict, judge, summarise
from myna.mathqa.problems import Problem, mask, read_items

FAR_COSINE = 0.7
"""A problem is far if no training problem is at least so similar."""
GROUPS = ("seen", "novel", "far")
_EXPECTED = {"linear_formula": "a text", "answer": "a number", "predicted": "a text"}


def evaluate(problems: Sequence[Problem], predicted: Sequence[str], index: NeighbourIndex) -> dict[str, Any]:
    """Score predicted programs.

    Args:
        problems: with references and answers.
        predicted: a program's text for each.
        index: of the training problems.

    Returns:
        what `score` gives, and under `intervals` the 95 % intervals of exact match and execution accuracy.

    Raises:
        ValueError: a problem has no reference or no answer; `check_scorable` tells beforehand.
    """
    verdicts = [judge_problem(problem, program) for problem, program in zip(problems, predicted, strict=True)]
    intervals = {
        "exact_match": bootstrap_interval([verdict.exact for verdict in verdicts]),
        "execution_accuracy": bootstrap_interval([verdict.executes for verdict in verdicts]),
    }
    return {**score(verdicts, [problem.text for problem in problems], index), "intervals": intervals}


def score_baselines(problems: Sequence[Problem], index: NeighbourIndex) -> dict[str, dict[str, Any]]:
    """Score what learns nothing on the same problems.

    Args:
        problems: with references and answers.
        index: of the training problems, whose programs are looked up.

    Returns:
        what `evaluate` gives, by the baseline's name.
    """
    return {name: evaluate(problems, found, index) for name, found in predict_baselines(problems, index).items()}


def predict_baselines(problems: Sequence[Problem], index: NeighbourIndex) -> dict[str, list[str]]:
    """Return the program's text that each baseline looks up for each problem."""
    masked = [mask(problem.text) for problem in problems]
    return {name: list(map(build(index), masked)) for name, build in BASELINES.items()}


def judge_problem(problem: Problem, predicted: str) -> Verdict:
    """Judge the program that was predicted for a problem, one that `check_scorable` passes.

    Raises:
        ValueError: the problem has no reference or no answer.
    """
    if problem.formula is None or problem.answer is None:
        raise ValueError(f"no linear_formula and answer to score against in problem: {problem.text[:60]}")
    return judge(problem.text, problem.answer, problem.formula, predicted)


def score(verdicts: Sequence[Verdict], texts: Sequence[str], index: NeighbourIndex | None) -> dict[str, Any]:
    """Summarise verdicts, all together and by how near their problems are to the training problems.

    Args:
        verdicts: one for each problem.
        texts: the problems.
        index: of the training problems; None if there are none.

    Returns:
        n, exact_match, raw_exact_match, execution_accuracy, token_match; the same of the seen, novel and far
        problems under `seen`, `novel` and `far` (None without an index); `failures`, counts by reason.
    """
    scores = asdict(summarise(verdicts))
    failures = scores.pop("failures")
    groups: dict[str, Any] = dict.fromkeys(GROUPS)
    if index is not None:
        for name, members in group(texts, index).items():
            groups[name] = asdict(summarise([verdicts[i] for i in members]))
            del groups[name]["failures"]
    return {**scores, **groups, "failures": failures}


def group(texts: Sequence[str], index: NeighbourIndex) -> dict[str, list[int]]:
    """Return the positions of the seen, the novel and (among these) the far problems.

    Seen: its masked text is that of a training problem. Far: the cosine to the nearest one is under 0.7.
    """
    masked = [mask(text) for text in texts]
    seen = [index.is_seen(text) for text in masked]
    return {
        "seen": [i for i, is_seen in enumerate(seen) if is_seen],
        "novel": [i for i, is_seen in enumerate(seen) if not is_seen],
        "far": [i for i, neighbour in enumerate(index.nearest(masked)) if neighbour.cosine < FAR_COSINE],
    }


def bootstrap_interval(outcomes: Sequence[bool], n_resamples: int = 10_000, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the share of true outcomes; (0, 0) if there are none.

    Drawing n outcomes with replacement and counting the true ones is drawing from a binomial distribution, so
    that is done at once.
    Source: Efron 1979, The Annals of Statistics 7(1), section 2.
    """
    n = len(outcomes)
    if n == 0:
        return 0.0, 0.0
    counts = np.random.default_rng(seed).binomial(n, sum(outcomes) / n, size=n_resamples)
    low, high = np.quantile(counts / n, [0.025, 0.975])
    return float(low), float(high)


def read_predictions(path: Path) -> list[dict[str, Any]]:
    """Read a file of the course's format with predictions: a list of objects, other fields as they are.

    Raises:
        UserError: it is not one; the message names the file, the item (counted from 0) and the field.
    """
    items = read_items(path)
    for index, item in enumerate(items):
        for field, expected in _EXPECTED.items():
            place = f"{path}: item {index}: {field}"
            if field not in item:
                raise UserError(f"{place}: missing; expected {expected}")
            if not (_is_finite_number(item[field]) if field == "answer" else isinstance(item[field], str)):
                raise UserError(f"{place}: expected {expected}, not {show(item[field])}")
    return items


def as_problems(items: Sequence[dict[str, Any]]) -> list[Problem]:
    """Return the problems of items as `read_predictions` gives them."""
    return [Problem(item["Problem"], item["linear_formula"], item["answer"]) for item in items]


def judge_items(items: Sequence[dict[str, Any]]) -> list[Verdict]:
    """Judge items as `read_predictions` gives them."""
    return [judge(item["Problem"], item["answer"], item["linear_formula"], item["predicted"]) for item in items]


def write_back(path: Path, items: Sequence[dict[str, Any]], verdicts: Sequence[Verdict]) -> None:
    """Write the items with `predicted_answer`: the program's value where it is right, null where it is wrong.

    The file is replaced as a whole; other fields and the order stay.

    Raises:
        UserError: the file cannot be written.
    """
    answers = [verdict.value if verdict.executes else None for verdict in verdicts]
    write_json(path, [{**item, "predicted_answer": answer} for item, answer in zip(items, answers, strict=True)])


def _is_finite_number(value: object) -> bool:
    """Return whether JSON's `value` is a number; its true is an int to Python, and its NaN and Infinity are floats."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)
