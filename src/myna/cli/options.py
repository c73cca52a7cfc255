"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def complete_models(incomplete: str) -> list[str]:
    """Return the runs and the shipped models whose names begin like this, for the shell; paths it completes itself."""
    from myna import runs

    names = [path.parent.name for path in runs.runs_folder().glob(f"*/{runs.CONFIG}")]
    names += [str(path.parent) for path in Path("models").glob(f"*/*/{runs.CONFIG}")]
    return sorted(name for name in names if name.startswith(incomplete))


def complete_results(incomplete: str) -> list[str]:
    """Return the studies and the runs whose names begin like this, for the shell; paths it completes itself."""
    from myna import runs

    folder = runs.runs_folder()
    names = {path.parent.name for path in (*folder.glob(f"*/{runs.CONFIG}"), *folder.glob("studies/*/*.json"))}
    return sorted(name for name in names if name.startswith(incomplete))


Model = Annotated[
    str, typer.Argument(help="A run's name, or the folder of a run or model.", autocompletion=complete_models)
]
Run = Annotated[str, typer.Argument(help="A finished run's name or folder.", autocompletion=complete_models)]
Data = Annotated[
    Path | None, typer.Option("--data", help="Data folder; else $MYNA_DATA, then ./data, then a generated sample.")
]
Json = Annotated[bool, typer.Option("--json", help="Print numbers as JSON, for programs.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting: training.epochs=3.")
]
Name = Annotated[str | None, typer.Option(help="Name of the run folder; else the config's.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run where it was stopped.")]
