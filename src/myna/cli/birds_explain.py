"""The verb `myna birds explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from myna.cli.options import Data, Json, complete_models


def explain(
    model: Annotated[
        str,
        typer.Argument(
            help="A run's or study's name, or the folder of a run or model.", autocompletion=complete_models
        ),
    ],
    data: Data = None,
    classes: Annotated[
        str | None, typer.Option(help="Names with commas between them; else the seven of the assignment.")
    ] = None,
    per_class: Annotated[int, typer.Option(min=1, help="Photos named rightly, and as many named wrongly.")] = 5,
    stand_ins: Annotated[
        bool, typer.Option("--stand-ins", help="Show other classes in the place of those that the data lacks.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Folder to write; else runs/explanations/NAME.")] = None,
    analyse: Annotated[
        bool, typer.Option("--analyse", help="Measure the maps too, and write analysis.json; takes minutes.")
    ] = False,
    against: Annotated[
        list[str] | None, typer.Option(help="With --analyse: compare maps with this run's; of a study, all are.")
    ] = None,
    photos: Annotated[int, typer.Option(min=2, help="With --analyse: how many photos of val.")] = 200,
    as_json: Json = False,
) -> None:
    """Show where in photos a net looks (Grad-CAM).

    It writes a sheet of photos of val for each class, and an index. Of a study, the run with the highest accuracy on
    val is taken.

    Example: myna birds explain models/birds/bin --classes "Hoopoe,Indian Roller"
    """
    from myna import runs
    from myna.birds.explanation import (
        ASSIGNED_CLASSES,
        Answers,
        check_folder,
        choose_classes,
        find_models,
        save_explanation,
    )
    from myna.birds.map_analysis import analyse_maps
    from myna.birds.map_findings import describe_maps
    from myna.birds.splits import load_splits
    from myna.birds.task import BirdModel
    from myna.engine.tracking import console

    folder, *others = find_models(model)
    target = output or runs.explanation_folder(folder.name)
    check_folder(target)
    asked = [name.strip() for name in classes.split(",") if name.strip()] if classes else ASSIGNED_CLASSES
    splits = load_splits(data)
    chosen = choose_classes(asked, splits, stand_ins=stand_ins)
    trained = BirdModel.load(folder)
    if others:
        console.print(f"{model}: {folder.name} is the best of its runs on val", markup=False)
    answers = Answers.compute(trained, splits)
    analysis = None
    if analyse:
        others += [runs.find(name) for name in against or []]
        compared = {other.name: BirdModel.load(other) for other in others}
        analysis = analyse_maps(trained, splits, compared, n_photos=photos)
    weights = runs.read_checksum(folder)
    about = {"model": folder.name, "asked": model, "source": splits.source, "weights_sha256": weights}
    index = save_explanation(target, answers, chosen, per_class, about=about, analysis=analysis)
    if as_json:
        typer.echo(json.dumps({**index, **({"analysis": analysis} if analysis else {})}, indent=2))
        return
    for explained in index["classes"]:
        typer.echo(f"{target / explained['sheet']}: {explained['n_right']} of {explained['n_photos']} named rightly")
    for line in [*index["notes"], *(describe_maps(analysis) if analysis else [])]:
        typer.echo(line)
