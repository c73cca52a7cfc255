"""What kinds of mistakes a model makes, and on which problems: counted, not guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import Any

from myna.mathqa.baselines import NeighbourIndex
from myna.mathqa.evaluation import judge_problem
from myna.mathqa.language.program import Program, parse
from myna.mathqa.language.score import Verdict, summarise
from myna.mathqa.problems import Problem, check_scorable, mask

KINDS = (
    "right value, other program",
    "does not run",
    "too short",
    "too long",
    "wrong operation",
    "wrong argument order",
    "wrong number",
    "wrong constant",
    "wrong step referred to",
)
"""Of a prediction that is no exact match, from the first to the last that is looked for."""
LONGEST = 6
"""Programs of so many steps or more are counted together."""
COSINES = (1.0, 0.9, 0.8, 0.7, 0.0)
"""Lower bounds of the cosine to the nearest training problem; 1 is the same masked text."""
_OF_ARGUMENT = {"n": "wrong number", "c": "wrong constant", "#": "wrong step referred to"}


def count_mistakes(problems: Sequence[Problem], predicted: Sequence[str], index: NeighbourIndex) -> dict[str, Any]:
    """Count mistakes by kind, and score problems by the length and the operations of their program, and by nearness.

    Args:
        problems: with references and answers.
        predicted: a program's text for each.
        index: of the training problems.

    Returns:
        `kinds`: the number of each of `KINDS`, and of `exact` matches; `by_steps`, `by_operation` and `by_cosine`:
        lists of {"name", "n", "exact_match", "execution_accuracy"}, those of operations from the most frequent.

    Raises:
        UserError: a problem has no answer, no reference, or none that parses.
    """
    check_scorable(problems)
    kinds = dict.fromkeys(("exact", *KINDS), 0)
    judged = []
    for problem, program in zip(problems, predicted, strict=True):
        reference = problem.formula or ""
        verdict = judge_problem(problem, program)
        kinds[find_kind(reference, program, verdict)] += 1
        judged.append((problem, parse(reference), verdict))
    operations = sorted({step.operation for _, program, _ in judged for step in program.steps})
    by_operation = [
        _score(operation, [v for _, program, v in judged if operation in {step.operation for step in program.steps}])
        for operation in operations
    ]
    return {
        "kinds": kinds,
        "by_steps": _group(judged, lambda problem, program: _steps_name(program)),
        "by_operation": sorted(by_operation, key=lambda row: -row["n"]),
        "by_cosine": _group(judged, lambda problem, program: _cosine_name(problem, index)),
    }


def find_kind(reference: str, predicted: str, verdict: Verdict) -> str:
    """Return "exact", or which of `KINDS` a prediction is; of several mistakes, the first one in the program.

    Args:
        reference: the right program's text.
        predicted: the predicted program's text.
        verdict: on it.
    """
    if verdict.exact:
        return "exact"
    if verdict.executes:
        return "right value, other program"
    if verdict.failure is not None:
        return "does not run"
    right, wrong = parse(reference), parse(predicted)
    if len(wrong.steps) != len(right.steps):
        return "too short" if len(wrong.steps) < len(right.steps) else "too long"
    if [step.operation for step in right.steps] != [step.operation for step in wrong.steps]:
        return "wrong operation"
    return _find_argument_kind(right, wrong)


def _find_argument_kind(right: Program, wrong: Program) -> str:
    """Return what is wrong with the arguments of the first step that differs from the reference's."""
    for ours, theirs in zip(right.steps, wrong.steps, strict=True):
        if ours.arguments != theirs.arguments:
            if sorted(ours.arguments) == sorted(theirs.arguments):
                return "wrong argument order"
            pairs = zip_longest(ours.arguments, theirs.arguments, fillvalue="")
            expected = next(a or b for a, b in pairs if a != b)
            return _OF_ARGUMENT.get(expected[:1], "wrong number")
    return "wrong argument order"  # the same steps, written otherwise


def _group(
    judged: Sequence[tuple[Problem, Program, Verdict]], name: Callable[[Problem, Program], str]
) -> list[dict[str, Any]]:
    """Score problems by the name of their group, in the order of the names."""
    groups: dict[str, list[Verdict]] = {}
    for problem, program, verdict in judged:
        groups.setdefault(name(problem, program), []).append(verdict)
    return [_score(key, groups[key]) for key in sorted(groups)]


def _score(name: str, verdicts: Iterable[Verdict]) -> dict[str, Any]:
    scores = summarise(list(verdicts))
    return {
        "name": name,
        "n": scores.n,
        "exact_match": scores.exact_match,
        "execution_accuracy": scores.execution_accuracy,
    }


def _steps_name(program: Program) -> str:
    n_steps = len(program.steps)
    return str(n_steps) if n_steps < LONGEST else f"{LONGEST} or more"


def _cosine_name(problem: Problem, index: NeighbourIndex) -> str:
    text = mask(problem.text)
    if index.is_seen(text):
        return "1 (seen)"
    cosine = index.nearest([text])[0].cosine
    low = next(bound for bound in COSINES if cosine >= bound and bound < 1)
    return f"{low} to {next(bound for bound in reversed(COSINES) if bound > low)}"
