"""The verb `myna math solve`, and the one that finds out how sure it may be."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from myna.cli.options import Data, Json, complete_models
from myna.cli.options import Model as ModelArgument
from myna.errors import UserError
from myna.files import is_there, read_text

_WORDS_TO_LEAVE = ("q", "quit", "exit")


def solve(
    text: Annotated[str | None, typer.Argument(help="A word problem; or - for standard input, one a line.")] = None,
    file: Annotated[Path | None, typer.Option(help="A file with one problem a line.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A run's name, or the folder of a run or model; else the best shipped.", autocompletion=complete_models
        ),
    ] = None,
    beam: Annotated[int, typer.Option(help="Programs that the search keeps.", min=1, max=100)] = 10,
    n_best: Annotated[int, typer.Option(help="Programs that are shown.", min=1)] = 5,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Solve word problems, step by step.

    The answer comes first, then how sure the model is and what speaks for it. Without a problem it asks for one after
    another. With --json it prints an object for each problem.

    Example: myna math solve "A car covers 240 km in 4 hours. What is its speed?"
    """
    problems = _find_problems(text, file)
    from rich.console import Console

    from myna import runs
    from myna.cli.solutions import print_solution
    from myna.mathqa.solver import Solver

    solver = Solver.load(runs.find(model) if model else None, data)
    console = Console(highlight=False)
    is_one, is_many = text not in (None, "-"), isinstance(problems, list)  # else they are being typed
    for problem in problems:
        solution = solver.solve(problem, beam_size=beam, n_best=n_best)
        if as_json:
            typer.echo(solution.model_dump_json(indent=2 if is_one else None))
            continue
        if is_many and not is_one:
            console.print(problem.strip(), style="bold", markup=False)
        print_solution(console, solution)
        if not is_one:
            console.print()


def calibrate(model: ModelArgument, data: Data = None, as_json: Json = False) -> None:
    """Find out how sure one may be of a model's answers.

    Fits on dev how often they are right by what speaks for them, and writes certainty.json beside the model. For
    a model that looks up neighbours it first fits what ranks their programs beside the model's own: verifier.json.

    Example: myna math calibrate models/math/lstm_lstm
    """
    from myna import runs
    from myna.cli.tables import print_checks
    from myna.mathqa.calibration import add_verifier
    from myna.mathqa.calibration import calibrate as find_out
    from myna.mathqa.splits import load_splits
    from myna.mathqa.task import MathModel

    folder, splits = runs.find_model(runs.find(model)), load_splits(data)
    trained, _ = add_verifier(MathModel.load(folder, data), splits.dev, f"{model}, verifier")
    certainty = find_out(trained, splits, model)
    if trained.verifier is not None:
        trained.verifier.save(folder)
    certainty.save(folder)
    if as_json:
        typer.echo(certainty.model_dump_json(indent=2))
    else:
        print_checks(
            f"{folder}: fitted on {certainty.n:,} problems of dev of {splits.source}", certainty.model_dump()["checks"]
        )


def _find_problems(text: str | None, file: Path | None) -> Iterable[str]:
    """Return the problems that a call is about.

    Raises:
        UserError: it names two sources, or a file without a problem.
    """
    if text is not None and file is not None:
        raise UserError("give a problem or a --file, not both")
    if file is not None:
        return _split(read_text(file), str(file))
    if sys.stdin is None and text in (None, "-"):
        raise UserError("no problem: standard input is closed; give one as an argument, or a --file")
    if text is None and sys.stdin.isatty():
        return _ask()
    if text is None or text == "-":
        return _split(_read_input(), "standard input")
    if text.split() == [text] and is_there(Path(text)):
        raise UserError(f"{text}: this is a file; to solve the problems in it: --file {text}")
    return [text]


def _read_input() -> str:
    """Return all of standard input.

    Raises:
        UserError: it is not text.
    """
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise UserError(f"standard input: byte {error.start}: not UTF-8 text") from None


def _split(content: str, place: str) -> list[str]:
    """Return the lines that are not empty.

    Raises:
        UserError: there are none.
    """
    if lines := [line for line in content.splitlines() if line.strip()]:
        return lines
    raise UserError(f"{place}: no problem in it; expected one a line")


def _ask() -> Iterator[str]:
    """Return the problems that are typed one after another, with the arrow keys for earlier ones."""
    import readline  # noqa: F401 - gives input() its history

    typer.echo("Type a word problem, its numbers in digits. q leaves.")
    return iter(_read_line, "")


def _read_line() -> str:
    """Ask for a problem; return it, or nothing once the user wants to leave."""
    line = ""
    while not line:
        try:
            line = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            typer.echo()
            return ""
    return "" if line.lower() in _WORDS_TO_LEAVE else line
