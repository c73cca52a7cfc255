"""Verbs of the birds study: prepare, train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from myna.cli.options import Data, Name, Overrides, Resume

app = typer.Typer(help="Photos to species.", no_args_is_help=True, rich_markup_mode=None)

Config = Annotated[Path, typer.Argument(help="A TOML file, such as configs/birds/quick/bn.toml.")]


@app.command()
def prepare(config: Config, data: Data = None, overrides: Overrides = None) -> None:
    """Decode all photos once, at the size that a config asks for; trainings do so too if it was not done.

    Example: myna birds prepare configs/birds/quick/bn.toml
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

    Example: myna birds train configs/birds/quick/bn.toml --set model.norm=gn --name gn-1
    """
    from myna.birds.splits import load_splits
    from myna.birds.task import BirdTask
    from myna.cli.training import train_run
    from myna.config import BirdsConfig, load

    settings = load(BirdsConfig, config, [*(overrides or []), *([f"name={name}"] if name else [])])
    splits = load_splits(data)
    train_run(settings, splits.source, lambda settings: BirdTask(settings, splits), resume=resume)
