"""Verbs of the birds study: data, prepare, train, eval, ship; explain and predict have files of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from myna.cli.birds_explain import explain
from myna.cli.birds_predict import calibrate, predict
from myna.cli.options import Data, Json, Model, Name, Overrides, Resume, Run

app = typer.Typer(
    help="Photos to species.",
    epilog="Example: myna birds train configs/birds/quick/norm.toml",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command()(explain)
app.command()(predict)
app.command()(calibrate)

Config = Annotated[Path, typer.Argument(help="A TOML file, such as configs/birds/quick/norm.toml.")]


@app.command()
def data(data: Data = None, as_json: Json = False) -> None:
    """Print the facts of the photos: counts, sizes, copies, bias.

    Copies are looked for within and between the splits; bias is what a photo's file alone says of its class.

    Example: myna birds data --json
    """
    from myna.birds.audit import audit_splits
    from myna.birds.splits import load_splits
    from myna.cli.tables import print_photo_facts

    facts = audit_splits(load_splits(data))
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        print_photo_facts(facts)


@app.command()
def prepare(config: Config, data: Data = None, overrides: Overrides = None) -> None:
    """Decode all photos once, at the size that a config asks for.

    A training does so too if it was not done.

    Example: myna birds prepare configs/birds/quick/norm.toml
    """
    from myna.birds.splits import SPLITS, load_splits
    from myna.birds.task import open_cache
    from myna.config import BirdsConfig, load

    settings = load(BirdsConfig, config, overrides or [])
    splits = load_splits(data)
    for split in SPLITS:
        cache = open_cache(splits.named(split), settings.data)
        typer.echo(f"{split}: {len(cache):,} of {len(splits.named(split)):,} photos ready")


@app.command()
def train(
    config: Config, data: Data = None, overrides: Overrides = None, name: Name = None, resume: Resume = False
) -> None:
    """Train a net, in the run folder runs/NAME.

    Example: myna birds train configs/birds/quick/norm.toml --set model.norm=gn
    """
    from myna.birds.splits import load_splits
    from myna.birds.task import BirdTask
    from myna.cli.training import train_run
    from myna.config import BirdsConfig, load
    from myna.engine.tracking import console

    settings = load(BirdsConfig, config, [*(overrides or []), *([f"name={name}"] if name is not None else [])])
    splits = load_splits(data)

    def build_task(settings: BirdsConfig) -> BirdTask:
        task = BirdTask(settings, splits)
        console.print(task.net.describe(settings.data.size), markup=False)
        return task

    train_run(settings, splits.source, build_task, resume=resume)


@app.command(name="eval")
def evaluate(
    model: Model,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    data: Data = None,
    as_json: Json = False,
    output: Annotated[Path | None, typer.Option(help="Where to write the prediction for each photo, as JSON.")] = None,
) -> None:
    """Classify a split and score it.

    Scores are accuracy, F1, loss, top 5 and calibration, and those of each class.

    Example: myna birds eval models/birds/gn --split test --json
    """
    from myna import runs
    from myna.birds.assessment import assess
    from myna.birds.splits import load_splits
    from myna.birds.task import BirdModel
    from myna.cli.tables import print_bird_scores

    folder = runs.find(model)
    trained = BirdModel.load(folder)
    splits = load_splits(data)
    path = output or runs.predictions_folder() / f"{folder.name}-{split}.json"
    scores = assess(trained, splits, split, path)
    if as_json:
        typer.echo(json.dumps(scores, indent=2))
    else:
        print_bird_scores(f"{folder} on {split} of {splits.source}", scores)


@app.command()
def ship(
    run: Run,
    destination: Annotated[Path, typer.Argument(help="The model folder to write, such as models/birds/gn.")],
    data: Data = None,
) -> None:
    """Write a run's best net, with a card of what it scores.

    Example: myna birds ship birds-norm-gn-seed0 models/birds/gn
    """
    from myna import runs
    from myna.birds.shipping import ship as write
    from myna.birds.splits import load_splits

    write(runs.find(run), destination, load_splits(data))
