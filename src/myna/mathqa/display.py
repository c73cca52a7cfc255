"""Numbers and programs as people read them. No torch in here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from myna.mathqa.language.execute import Value, execute
from myna.mathqa.language.operations import OPERATIONS
from myna.mathqa.language.program import Program
from myna.mathqa.solution import Step

# From here on a float is not sure of its last digit before the point.
_LARGE = 10**15


def show_number(value: Value) -> str:
    """Return a number as it is written: 8 for 8.0 and for 7.9999999999, 0.333333 for a third."""
    if isinstance(value, complex):
        return "no real number"
    if isinstance(value, int):
        return str(value) if abs(value) < _LARGE else f"{Decimal(value).normalize():.6g}"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    if abs(value) < 1:
        # Adding 0 turns -0 into 0.
        return f"{float(f'{value:.6g}') + 0:.6g}"
    return f"{round(value, 6):.15g}" if abs(value) < _LARGE else f"{value:.6g}"


def as_json_number(value: Value | None) -> float | None:
    """Return a number that JSON can hold; None for any other."""
    try:
        number = None if value is None or isinstance(value, complex) else float(value)
    except OverflowError:
        return None
    return number if number is not None and math.isfinite(number) else None


def tell_steps(program: Program, numbers: Sequence[float]) -> list[Step]:
    """Run a program, and tell each of the steps that ran in words and numbers."""
    result = execute(program, numbers)
    return [
        Step(
            name=f"#{place}",
            operation=step.operation,
            arguments=list(step.arguments),
            values=[as_json_number(value) for value in values],
            sentence=_tell(step.operation, step.arguments, values),
            result=as_json_number(outcome),
            result_text=show_number(outcome),
        )
        for place, (step, values, outcome) in enumerate(
            zip(program.steps, result.arguments, result.values, strict=False)
        )
    ]


def _tell(operation: str, arguments: Sequence[str], values: Sequence[Value]) -> str:
    """Return the sentence of a step."""
    shown = ["π" if name == "const_pi" else show_number(value) for name, value in zip(arguments, values, strict=False)]
    return OPERATIONS[operation].words.format(**dict(zip("abc", shown, strict=False)))
