"""A solved word problem on the terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rich.markup import escape

from myna.mathqa.display import show_number

if TYPE_CHECKING:
    from rich.console import Console

    from myna.mathqa.solution import Solution


def print_solution(console: Console, solution: Solution) -> None:
    """Print the answer first, then what it rests on."""
    if solution.answer_text:
        console.print(f"[bold green]{escape(solution.answer_text)}[/]")
        _print_wrapped(console, solution.certainty_text)
    else:
        console.print("[bold yellow]No answer[/]")
        _print_wrapped(console, solution.message)
    for note in solution.notes:
        _print_wrapped(console, f"Note: {note}", indent=6)
    if solution.steps:
        _print_title(console, "Program")
        _print_program(console, "  ", solution.program)
        numbers = (f"{number.name} = {show_number(number.value)}" for number in solution.numbers)
        _print_wrapped(console, f"  {', '.join(numbers)}", indent=2)
        _print_title(console, "Steps")
        for step in solution.steps:
            _print_wrapped(console, f"  {step.name:<3} {step.sentence}: {step.result_text}", indent=6)
        _print_title(console, "Programs, best first, and what they give")
        for each in solution.candidates:
            probability = f"{each.probability:.1%}" if each.probability >= 0.001 else "<0.1%"
            _print_program(console, f"  {probability:>6}  {each.answer_text:<10}  ", each.program)
    if nearest := solution.nearest:
        how = "reads the same" if nearest.likeness == 1 else f"likeness {nearest.likeness:.2f} of 1"
        _print_title(console, f"Nearest training problem ({how})")
        _print_wrapped(console, f"  {nearest.text}", indent=2)
        _print_program(console, "  ", nearest.program)
        gives = "this answer, too" if nearest.agrees else _tell_value(nearest.answer)
        console.print(f"  which gives {gives}")
    console.print(f"\n[dim]model {escape(solution.model)}[/]")


def _print_title(console: Console, title: str) -> None:
    console.print(f"\n[bold]{title}[/]")


def _tell_value(value: float | None) -> str:
    return "no number" if value is None else show_number(value)


def _print_program(console: Console, start: str, program: str) -> None:
    """Print a program behind something else, over several lines if need be, each of whole steps."""
    line = f"{start}{program.replace('|', '| ')}"
    lines = textwrap.wrap(line, _width(console), subsequent_indent=" " * len(start), break_on_hyphens=False)
    console.print("\n".join(lines).replace("| ", "|"), markup=False, soft_wrap=True)


def _print_wrapped(console: Console, line: str, indent: int = 0) -> None:
    """Print a line, what is too long going on below, further to the right."""
    wrapped = textwrap.wrap(line, _width(console), subsequent_indent=" " * indent, break_on_hyphens=False)
    console.print("\n".join(wrapped), markup=False, soft_wrap=True)


def _width(console: Console) -> int:
    return min(console.width, 100)
