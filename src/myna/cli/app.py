"""The command line's tree of verbs, and how its mistakes are told."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

import typer

from myna import __version__
from myna.cli import birds, math, report, study
from myna.cli.doctor import doctor
from myna.cli.export import export
from myna.cli.serve import serve
from myna.errors import UserError

# click's UsageError, or that of the copy of click inside newer versions of typer.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]

INTERRUPTED = 130
"""Exit status after Ctrl-C."""

app = typer.Typer(
    name="myna",
    help="Birds named by a from-scratch ResNet, and word problems turned into programs that run.",
    epilog="Example: myna doctor",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(birds.app, name="birds")
app.add_typer(math.app, name="math")
app.add_typer(study.app, name="study")
app.add_typer(report.app, name="report")
app.command()(export)
app.command()(serve)
app.command()(doctor)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        typer.echo(f"myna {__version__}")
        raise typer.Exit


def run() -> int:
    """Run the command line on sys.argv and return the exit status."""
    try:
        result = app(prog_name="myna", standalone_mode=False)
    except UserError as error:
        print(f"myna: {error}", file=sys.stderr)  # noqa: T201
        return error.status
    except _UsageError as error:
        context = getattr(error, "ctx", None)
        place = f" ({context.command_path} --help)" if context else ""
        print(f"myna: {error.format_message()}{place}", file=sys.stderr)  # type: ignore[attr-defined]  # noqa: T201
        return 2
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has seen enough (`myna ... | head`).
        sys.stderr.close()
        return 0
    except OSError as error:
        # Of the machine, not of ours: a full disk, no permission, a name too long for a file.
        place = f"{error.filename}: " if error.filename else ""
        print(f"myna: {place}{error.strerror or error}", file=sys.stderr)  # noqa: T201
        return 2
    # Newer versions of typer turn Ctrl-C into this status themselves.
    if result == INTERRUPTED:
        _say_how_to_go_on(sys.argv[1:])
    return result if isinstance(result, int) else 0


def _say_how_to_go_on(arguments: Sequence[str]) -> None:
    """Print what was stopped by Ctrl-C, and the command that goes on with it."""
    from myna.engine.tracking import console

    if "train" in arguments[:2]:
        arguments = [*(part for part in arguments if part != "--resume"), "--resume"]
    is_saved = {"train", "study"}.intersection(arguments[:2])
    said = "saved up to the last checkpoint. Go on with" if is_saved else "nothing is left half done. Begin again with"
    console.print(f"myna: stopped; {said}: {shlex.join(['myna', *arguments])}", markup=False)
