"""Verbs of reports: make, compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from myna.cli.options import Data, Json, complete_results

app = typer.Typer(
    help="One report of studies and runs.",
    epilog="Example: myna report make norms batch-size",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def make(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY_OR_RUN...",
            help="Studies, searches and finished runs, or folders.",
            autocompletion=complete_results,
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Folder to write; else that of the one thing named, or runs/report.")
    ] = None,
    data: Data = None,
) -> None:
    """Write one report of studies, searches and runs.

    It is report.html, which needs nothing else, and report.md. Both halves may be in it. What is not there yet is
    named with the command that makes it.

    Example: myna report make norms batch-size architectures grid
    """
    from myna import runs
    from myna.engine.tracking import console, progress
    from myna.report.evidence import add_evidence
    from myna.report.render import render
    from myna.studies.collection import collect, find

    folder = output or (find(names[0]) if len(set(names)) == 1 else runs.runs_folder() / "report")
    collected, shown = collect(names), []
    with progress("making the report", len(collected) + 1) as tick:
        for results in collected:
            shown.append(add_evidence(results, data))
            tick()
        path = render(shown, folder)
    console.print(f"report: {path}", markup=False)


@app.command()
def compare(
    a: Annotated[
        str, typer.Argument(metavar="A", help="A finished run's name or folder.", autocompletion=complete_results)
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="Another, of the same half.", autocompletion=complete_results)],
    as_json: Json = False,
) -> None:
    """Show what differs between two runs.

    Settings, curves and scores are compared, and whether they differ by more than noise.

    Example: myna report compare birds-norm-bn-seed0 birds-norm-gn-seed0
    """
    from myna.cli.comparison import print_comparison
    from myna.report.comparison import compare_runs

    found = compare_runs(a, b)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        print_comparison(found)
