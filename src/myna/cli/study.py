"""Verbs of studies: run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from myna.cli.options import Data, Overrides

app = typer.Typer(help="Many runs, one report.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Keep `run` a verb of its own while it is the only one."""


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
    """Train and measure all runs of a study that are not there yet, and write the report.

    Example: myna study run configs/studies/quick-math.toml
    """
    from myna.engine.tracking import console
    from myna.files import read_json
    from myna.report.evidence import add_evidence
    from myna.report.render import render
    from myna.studies.run import run_study

    folder = run_study(study, data, workers, overrides or [], only_finished=only_finished)
    report = render([add_evidence(read_json(folder / "results.json"), data)], folder)
    console.print(f"report: {report}", markup=False)
