"""Verbs of studies: run, grid."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from myna.cli.options import Data, Overrides

app = typer.Typer(
    help="Many runs, one report.",
    epilog="Example: myna study run configs/studies/quick-math.toml",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="A study's TOML file, such as configs/studies/quick-math.toml.")],
    data: Data = None,
    workers: Annotated[int, typer.Option(min=1, help="Trainings at a time.")] = os.cpu_count() or 1,
    overrides: Overrides = None,
    only_finished: Annotated[
        bool, typer.Option("--only-finished", help="Train nothing; report on the runs that are finished.")
    ] = False,
) -> None:
    """Train and measure all runs of a study, and write the report.

    Stopped, it goes on when it is started again: what is there is not done twice.

    Example: myna study run configs/studies/quick-math.toml
    """
    from myna import runs
    from myna.engine.tracking import console
    from myna.files import read_json
    from myna.report.evidence import add_evidence
    from myna.report.render import render
    from myna.studies.run import run_study

    folder = run_study(study, data, workers, overrides or [], only_finished=only_finished)
    report = render([add_evidence(read_json(folder / runs.RESULTS), data)], folder)
    console.print(f"report: {report}", markup=False)


@app.command()
def grid(
    config: Annotated[Path, typer.Argument(help="A search's TOML file, such as configs/studies/grid.toml.")],
    data: Data = None,
    workers: Annotated[int, typer.Option(min=1, help="Trainings at a time.")] = os.cpu_count() or 1,
    overrides: Overrides = None,
    only_finished: Annotated[
        bool, typer.Option("--only-finished", help="Train nothing; report on the trials that there are.")
    ] = False,
) -> None:
    """Try values of settings, and write which of them matter.

    Trials that lag behind on dev are stopped.

    Stopped, it goes on when it is started again: the same settings are never trained twice.

    Example: myna study grid configs/studies/grid.toml --workers 2
    """
    from myna import runs
    from myna.engine.tracking import console
    from myna.files import read_json
    from myna.report.render import render
    from myna.studies.search import run_search

    folder = run_search(config, data, workers, overrides or [], only_finished=only_finished)
    report = render([read_json(folder / runs.GRID)], folder, "grid")
    console.print(f"report: {report}", markup=False)
