"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None, typer.Option("--data", help="Data folder; else $MYNA_DATA, then ./data, then a generated sample.")
]
Json = Annotated[bool, typer.Option("--json", help="Print numbers as JSON, for programs.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting: training.epochs=3.")
]
Name = Annotated[str | None, typer.Option(help="Name of the run folder; else the config's.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run where it was stopped.")]
