"""Running programs: every one ends at once, with a value or with the reason why it has none.

Verdicts are those of the course's checker wherever that finishes: Python's own arithmetic on floats, ints and
complex numbers, where a step that raises fails the whole program and only the last value has to be a real
number. What would take the checker long is refused as too large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from myna.mathqa.language.operations import MAX_BITS, OPERATIONS, Operation
from myna.mathqa.language.program import EmptyProgram, Program, ProgramError, parse

# Machine words (64 bits) that the steps of a program may read and write together: enough for twenty thousand
# steps on floats, or for some ten on the largest integers.
MAX_WORDS = 16 * MAX_BITS // 64
# Python neither reads nor writes longer integers as text, so no answer in a file can be one.
_MAX_INTEGER = 10**4300

Value = int | float | complex


class Failure(StrEnum):
    """Why a program has no value."""

    EMPTY = "empty program"
    MALFORMED = "malformed text"
    UNKNOWN_OPERATION = "unknown operation"
    MISSING_ARGUMENT = "missing argument"
    UNKNOWN_ARGUMENT = "unknown argument"
    UNKNOWN_CONSTANT = "unknown constant"
    NO_SUCH_NUMBER = "no such number in the problem"
    NO_SUCH_STEP = "step not yet computed"
    DIVISION_BY_ZERO = "division by zero"
    TOO_LARGE = "too large"
    COMPLEX = "complex"
    NOT_A_NUMBER = "not a number"


class _Failed(Exception):
    """A step cannot be run."""

    def __init__(self, failure: Failure, detail: str = "") -> None:
        super().__init__(f"{failure}: {detail}" if detail else str(failure))
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Result:
    """What running a program gave.

    Attributes:
        value: that of the last step; None on failure.
        failure: why there is no value.
        message: the failure with its place, for people; empty on success.
        values: those of the steps that ran; a step that is not the last may be complex, infinite or NaN.
        ignored: what the text says beside its steps, one remark each.
        arguments: the values that each of the steps that ran took.
    """

    value: int | float | None
    failure: Failure | None = None
    message: str = ""
    values: tuple[Value, ...] = field(default=(), repr=False)
    ignored: tuple[str, ...] = ()
    arguments: tuple[tuple[Value, ...], ...] = field(default=(), repr=False)


def execute_text(text: str, numbers: Sequence[float]) -> Result:
    """Parse and run a program; a text that is none is a failure like any other."""
    try:
        program = parse(text)
    except ProgramError as error:
        failure = Failure.EMPTY if isinstance(error, EmptyProgram) else Failure.MALFORMED
        return Result(None, failure, str(error))
    return execute(program, numbers)


def execute(program: Program, numbers: Sequence[float]) -> Result:
    """Run a program on the numbers of a problem."""
    values: list[Value] = []
    taken: list[tuple[Value, ...]] = []
    n_words = 0
    try:
        for index, step in enumerate(program.steps):  # noqa: B007 - both are told on failure
            operation, arguments = _bind(step.operation, step.arguments, numbers, values)
            value = _apply(operation, arguments)
            n_words += sum(map(_count_words, arguments)) + _count_words(value)
            if n_words > MAX_WORDS:
                raise _Failed(Failure.TOO_LARGE, "too much to compute")
            values.append(value)
            taken.append(tuple(arguments))
        if (failure := check_answer(value)) is not None:
            raise _Failed(failure)
    except _Failed as failed:
        message = f"step {index}, {_cut(str(step))}: {failed}"
        return Result(None, failed.failure, message, tuple(values), program.ignored, tuple(taken))
    assert not isinstance(value, complex)
    return Result(value, None, "", tuple(values), program.ignored, tuple(taken))


def _cut(text: str, longest: int = 80) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."


def run_step(
    operation: str, arguments: Sequence[str], numbers: Sequence[float], values: Sequence[Value]
) -> Value | Failure:
    """Run one step, given the values of the steps before it.

    Args:
        operation: its name.
        arguments: as programs write them, such as n0, #1, const_100.
        numbers: those of the problem.
        values: those of the earlier steps.

    Returns:
        The step's value, which may be complex, infinite or NaN (see `check_answer`); or why it has none.
    """
    try:
        return _apply(*_bind(operation, arguments, numbers, values))
    except _Failed as failed:
        return failed.failure


def check_answer(value: Value) -> Failure | None:
    """Return why a value cannot be a program's; None if it can."""
    if isinstance(value, complex):
        return Failure.COMPLEX
    if isinstance(value, int):
        return Failure.TOO_LARGE if abs(value) >= _MAX_INTEGER else None
    if math.isnan(value):
        return Failure.NOT_A_NUMBER
    return Failure.TOO_LARGE if math.isinf(value) else None


def _bind(
    name: str, arguments: Sequence[str], numbers: Sequence[float], values: Sequence[Value]
) -> tuple[Operation, list[Value]]:
    """Look up a step's operation and the values of the arguments that it uses.

    Raises:
        _Failed: one of them is not there; the checker reads surplus arguments too, so these count.
    """
    operation = OPERATIONS.get(name)
    if operation is None:
        raise _Failed(Failure.UNKNOWN_OPERATION, repr(name))
    bound = [_look_up(argument, numbers, values) for argument in arguments]
    if len(bound) < operation.n_args:
        raise _Failed(Failure.MISSING_ARGUMENT, f"{name} takes {operation.n_args}, not {len(bound)}")
    return operation, bound[: operation.n_args]


def _look_up(argument: str, numbers: Sequence[float], values: Sequence[Value]) -> Value:
    """Return the value of an argument.

    Raises:
        _Failed: it has none.
    """
    kind, number = _read_argument(argument)
    if kind == "constant":
        return number
    # A negative index counts from the end, as it does in the checker.
    try:
        return values[int(number)] if kind == "step" else numbers[int(number)]
    except IndexError:
        if kind == "step":
            raise _Failed(Failure.NO_SUCH_STEP, argument) from None
        raise _Failed(Failure.NO_SUCH_NUMBER, f"{argument} of {len(numbers)}") from None


@lru_cache(maxsize=4096)
def _read_argument(text: str) -> tuple[str, int | float]:
    """Return an argument's kind (step, constant or number), and its index or the constant.

    Takes the text apart as the checker does: whatever holds a `#` is a step, and a number may be written in
    every way that Python reads it (`#-1`, `n 3`, `const_1e3`).

    Raises:
        _Failed: it is none of the three.
    """
    if not text:
        raise _Failed(Failure.MISSING_ARGUMENT)
    failure = Failure.UNKNOWN_ARGUMENT
    try:
        if "#" in text:
            return "step", int(text.split("#")[1])
        if "const_" in text:
            failure = Failure.UNKNOWN_CONSTANT
            name = text[len("const_") :]
            return "constant", math.pi if name == "pi" else float(name.replace("_", "."))
        if "n" in text:
            return "number", int(text[1:])
    except ValueError:
        pass
    raise _Failed(failure, repr(text))


def _apply(operation: Operation, arguments: Sequence[Value]) -> Value:
    """Compute an operation.

    Raises:
        _Failed: Python cannot, or the result is too large.
    """
    try:
        value: Value = operation.function(*arguments)
    except ZeroDivisionError:
        raise _Failed(Failure.DIVISION_BY_ZERO) from None
    except OverflowError:
        raise _Failed(Failure.TOO_LARGE) from None
    except ValueError:  # the logarithm of 0, the area of a triangle that cannot be, the whole part of a NaN
        raise _Failed(Failure.NOT_A_NUMBER) from None
    except TypeError:  # a complex number where only a real one will do
        raise _Failed(Failure.COMPLEX) from None
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise _Failed(Failure.TOO_LARGE)
    return value


def _count_words(value: Value) -> int:
    """Return how many machine words a value takes, roughly."""
    return 1 + value.bit_length() // 64 if isinstance(value, int) else 1
