"""How many programs a second are run and scored, and what the guards against bad ones cost.

The bare interpreter looks up, applies and appends. It has no limits, and no word for what is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness import Effort, Row, Speeds, Variant

from myna.mathqa.language.execute import execute, execute_text
from myna.mathqa.language.operations import OPERATIONS
from myna.mathqa.language.program import parse
from myna.mathqa.language.score import judge
from myna.mathqa.problems import Problem, mask_with_numbers
from myna.mathqa.splits import load_splits

N_PROGRAMS = 1_000


def measure(effort: Effort) -> list[Row]:
    """Compare running and scoring with the bare interpreter."""
    problems = [problem for problem in load_splits().test[:N_PROGRAMS] if _runs(problem)]
    texts = [problem.formula or "" for problem in problems]
    numbers = [mask_with_numbers(problem.text)[1] for problem in problems]
    parsed = [parse(text) for text in texts]
    jobs = {
        "parsed programs, run": lambda: list(map(execute, parsed, numbers)),
        "programs parsed and run": lambda: list(map(execute_text, texts, numbers)),
        "problems scored": lambda: [judge(p.text, p.answer or 0.0, p.formula or "", p.formula or "") for p in problems],
        "bare interpreter": lambda: list(map(_interpret, texts, numbers)),
    }
    speeds = Speeds("programs", {name: Variant(run, len(texts), "programs") for name, run in jobs.items()}, effort)
    *ours, bare = jobs
    return [speeds.row(name, bare) for name in ours]


def _runs(problem: Problem) -> bool:
    """Return whether a problem's own program runs."""
    return execute_text(problem.formula or "", mask_with_numbers(problem.text)[1]).failure is None


def _interpret(text: str, numbers: Sequence[float]) -> float:
    """Run a program that is known to be good."""
    values: list[float] = []

    def look_up(argument: str) -> float:
        if argument.startswith("const_"):
            name = argument.removeprefix("const_")
            return math.pi if name == "pi" else float(name.replace("_", "."))
        return numbers[int(argument[1:])] if argument[0] == "n" else values[int(argument[1:])]

    for step in text.strip("|").split("|"):
        name, _, arguments = step.partition("(")
        operation = OPERATIONS[name]
        values.append(operation.function(*map(look_up, arguments.rstrip(")").split(",")[: operation.n_args])))
    return values[-1]
