"""The verb `myna export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from myna.cli.options import Data, Model


class Format(StrEnum):
    """What a model can be written as."""

    ONNX = "onnx"


def export(
    model: Model,
    to: Annotated[Format, typer.Option(help="What to write.")] = Format.ONNX,
    output: Annotated[Path | None, typer.Option(help="Folder to write; else runs/exports/NAME.")] = None,
    data: Data = None,
) -> None:
    """Write a model as ONNX, which runs without torch and Myna.

    Of birds the net is written, of math the encoder and a step of the decoder. Both are held to what torch computes.

    Example: myna export models/birds/bin --to onnx
    """
    from myna import runs
    from myna.engine.onnx import TOLERANCE
    from myna.studies.collection import read_kind

    folder = runs.find(model)
    target = output or runs.runs_folder() / "exports" / folder.name
    if read_kind(runs.find_model(folder)) == "birds":
        from myna.birds.export import export as export_net
        from myna.birds.task import BirdModel

        difference = export_net(BirdModel.load(folder), target)
    else:
        from myna.mathqa.export import export as export_translator
        from myna.mathqa.task import MathModel

        difference = export_translator(MathModel.load(folder, data), target)
    for path in sorted(target.iterdir()):
        typer.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    typer.echo(f"largest difference between onnxruntime and torch: {difference:.1e} (at most {TOLERANCE:.0e})")
