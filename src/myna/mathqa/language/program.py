"""Programs as text and as tokens.

A program is a list of steps closed by `|`, a step is `operation(argument,...)`. Reading is as lenient as the
course's checker: what it passes over is passed over here too, kept in the text, and told by `ignored`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from myna.mathqa.language.operations import OPERATIONS

ARGUMENT = re.compile(r"n(?P<number>\d+)|#(?P<step>\d+)|const_\w+(\.\w+)?")
_SEPARATORS = re.compile(r"[|(),\s]+")


class ProgramError(ValueError):
    """A text or token list is no program.

    Attributes:
        step: index of the step that is at fault.
    """

    def __init__(self, reason: str, step: int = 0) -> None:
        super().__init__(f"step {step}: {reason}")
        self.step = step


class EmptyProgram(ProgramError):
    """A text or token list has no step at all."""

    def __init__(self) -> None:
        super().__init__("no step")


@dataclass(frozen=True, slots=True)
class Step:
    """One step: an operation and its arguments, all that were written."""

    operation: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.operation}({','.join(self.arguments)})"


@dataclass(frozen=True, slots=True)
class Program:
    """A program that can be run.

    Attributes:
        steps: what is run, in order; never empty.
        text: the program as it was written; `str(program)` gives it back.
        ignored: what the text says beside its steps, one remark each.
    """

    steps: tuple[Step, ...]
    text: str
    ignored: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text

    @property
    def tokens(self) -> list[str]:
        """Operations and arguments in order; each operation's number of arguments separates the steps."""
        return [token for step in self.steps for token in (step.operation, *step.arguments) if token]


def parse(text: str) -> Program:
    """Read a program.

    Whether its operations and arguments exist is for the executor to say.

    Raises:
        ProgramError: a step has no `(`; or there is no step at all (EmptyProgram).
    """
    pieces = [piece for piece in text.split("|") if piece]
    if not pieces:
        raise EmptyProgram
    steps: list[Step] = []
    ignored: list[str] = []
    for index, piece in enumerate(pieces):
        operation, opened, rest = piece.partition("(")
        if not opened:
            raise ProgramError(f"{piece!r} has no '('", index)
        # The checker reads up to the first ')' or the next '(', whichever comes first.
        inside = re.split(r"[()]", rest, maxsplit=1)[0]
        step = Step(operation, tuple(argument.strip() for argument in inside.split(",")))
        steps.append(step)
        ignored += [f"step {index}: {remark}" for remark in _remarks(step, rest[len(inside) :])]
    return Program(tuple(steps), text, tuple(ignored))


def _remarks(step: Step, tail: str) -> list[str]:
    """Say what the checker passes over in a step; `tail` is what follows its arguments."""
    remarks = []
    operation = OPERATIONS.get(step.operation)
    if operation and len(step.arguments) > operation.n_args:
        extra = ",".join(step.arguments[operation.n_args :])
        remarks.append(f"argument {extra!r} beyond the {operation.n_args} of {operation.name}")
    if not tail:
        remarks.append("')' is missing")
    elif tail != ")":
        remarks.append(f"text {tail.removeprefix(')')!r} after the arguments")
    return remarks


def split_tokens(text: str) -> list[str]:
    """Return the operations and arguments of any text, program or not."""
    return [token for token in _SEPARATORS.split(text) if token]


def join_tokens(tokens: Iterable[str]) -> str:
    """Write any tokens as text: each one that is no argument begins a step. Never fails."""
    steps: list[list[str]] = []
    for token in tokens:
        if not steps or not ARGUMENT.fullmatch(token):
            steps.append([token])
        else:
            steps[-1].append(token)
    return "".join(f"{first}({','.join(rest)})|" for first, *rest in steps)


def from_tokens(tokens: Iterable[str]) -> Program:
    """Make the program of a token list, each step closed by `|`.

    Raises:
        ProgramError: an operation is unknown or has not its number of arguments.
        EmptyProgram: there is no token.
    """
    program = parse(join_tokens(tokens))
    for index, step in enumerate(program.steps):
        operation = OPERATIONS.get(step.operation)
        if operation is None:
            raise ProgramError(f"unknown operation {step.operation!r}", index)
        n_given = len([argument for argument in step.arguments if argument])
        if n_given != operation.n_args:
            raise ProgramError(f"{operation.name} takes {operation.n_args} arguments, not {n_given}", index)
    return program
