"""The command line's tree of verbs, and how its mistakes are told."""

from __future__ import annotations

import sys

import typer

from myna import __version__
from myna.cli import birds, math, report, study
from myna.errors import UserError

# click's UsageError, or that of the copy of click inside newer versions of typer.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="myna",
    help="Birds named by a from-scratch ResNet, and word problems turned into programs that run.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(birds.app, name="birds")
app.add_typer(math.app, name="math")
app.add_typer(study.app, name="study")
app.add_typer(report.app, name="report")


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        typer.echo(f"myna {__version__}")
        raise typer.Exit


def run() -> int:
    """Run the command line on sys.argv and return the exit status."""
    try:
        result = app(standalone_mode=False)
    except UserError as error:
        print(f"myna: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except _UsageError as error:
        context = getattr(error, "ctx", None)
        place = f" ({context.command_path} --help)" if context else ""
        print(f"myna: {error.format_message()}{place}", file=sys.stderr)  # type: ignore[attr-defined]  # noqa: T201
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # The reader of our output has seen enough (`myna ... | head`).
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0
