"""Verbs of the math study, from the facts of the data to solving problems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from myna.cli.math_score import score
from myna.cli.math_solve import calibrate, solve
from myna.cli.options import Data, Json, Model, Name, Overrides, Resume, Run

app = typer.Typer(
    help="Word problems to programs.",
    epilog="Example: myna math train configs/math/quick/lstm_lstm_attn.toml",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command()(solve)
app.command()(calibrate)
app.command()(score)


@app.command()
def data(data: Data = None, as_json: Json = False) -> None:
    """Print the facts of the data: counts, lengths, overlaps.

    Example: myna math data --json
    """
    from myna.cli.tables import print_facts
    from myna.mathqa.splits import describe, load_splits

    facts = describe(load_splits(data))
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        print_facts(facts)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="A TOML file, such as configs/math/quick/lstm_lstm.toml.")],
    data: Data = None,
    overrides: Overrides = None,
    name: Name = None,
    resume: Resume = False,
) -> None:
    """Train a model, in the run folder runs/NAME.

    Example: myna math train configs/math/quick/lstm_lstm_attn.toml --name attn-1
    """
    from myna.cli.training import train_run
    from myna.config import MathConfig, load
    from myna.mathqa.splits import load_splits
    from myna.mathqa.task import MathTask

    settings = load(MathConfig, config, [*(overrides or []), *([f"name={name}"] if name is not None else [])])
    splits = load_splits(data)
    train_run(settings, splits.source, lambda settings: MathTask(settings, splits.train, splits.dev), resume=resume)


@app.command(name="eval")
def evaluate(
    model: Model,
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "test",
    beam: Annotated[int, typer.Option(help="Beam size; 1 is greedy.", min=1)] = 10,
    search: Annotated[
        Literal["plain", "grammar", "execution", "verified"],
        typer.Option(help="What may follow; verified: ranked by the model's verifier."),
    ] = "plain",
    length_penalty: Annotated[
        float | None, typer.Option(min=0, max=10, help="Exponent of the length; else the model's.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
    output: Annotated[Path | None, typer.Option(help="Where to write the predictions, in the course's format.")] = None,
) -> None:
    """Decode a split and score it.

    Scores are of all problems, of the seen, novel and far ones, and of two baselines that learn nothing.

    Example: myna math eval models/math/lstm_lstm_attn --split dev --beam 1
    """
    from myna import runs
    from myna.cli.tables import print_scores
    from myna.mathqa.assessment import assess
    from myna.mathqa.baselines import NeighbourIndex
    from myna.mathqa.evaluation import score_baselines
    from myna.mathqa.splits import load_splits
    from myna.mathqa.task import MathModel

    folder = runs.find(model)
    trained = MathModel.load(folder, data)
    splits = load_splits(data)
    problems, index = splits.named(split), NeighbourIndex(splits.train)
    scores = assess(
        trained,
        problems,
        index,
        title=f"{folder.name}, {split}, beam {beam}, {search}",
        beam_size=beam,
        search=search,
        output=output or runs.predictions_folder() / f"{folder.name}-{split}-{beam}-{search}.json",
        length_penalty=length_penalty,
    )
    if split != "train":  # where everything is found
        scores["baselines"] = score_baselines(problems, index)
    if as_json:
        typer.echo(json.dumps(scores, indent=2))
    else:
        print_scores(f"{folder} on {split} of {splits.source}; beam {beam}, {search}", scores)
        if (split, search) == ("dev", "verified"):
            typer.echo("The verifier was fitted on dev; its score by cross-validation stands on the model's card.")


@app.command()
def ship(
    run: Run,
    destination: Annotated[Path, typer.Argument(help="The model folder to write, such as models/math/lstm_lstm.")],
    data: Data = None,
) -> None:
    """Write a run's best model, with a card of what it scores.

    Its weights are written in half precision.

    Example: myna math ship lstm_lstm models/math/lstm_lstm
    """
    from myna import runs
    from myna.mathqa.shipping import ship as write
    from myna.mathqa.splits import load_splits

    write(runs.find(run), destination, load_splits(data), data)


@app.command()
def explain(
    model: Model,
    problems: Annotated[int, typer.Option(min=1, help="Problems of dev that are looked at.")] = 200,
    data: Data = None,
    output: Annotated[Path | None, typer.Option(help="Where to write; else attention.json in the run folder.")] = None,
) -> None:
    """Write what a model attends to, and whether it needs that.

    It measures how much worse the model gets when the words attended to are hidden.

    Example: myna math explain models/math/lstm_lstm_attn --problems 50
    """
    from myna import runs
    from myna.engine.tracking import console
    from myna.files import check_writable, write_json
    from myna.mathqa.attention_maps import explain as look
    from myna.mathqa.splits import load_splits
    from myna.mathqa.task import MathModel

    folder = runs.find(model)
    path = output or folder / runs.ATTENTION
    check_writable(path)
    found = look(MathModel.load(folder, data), load_splits(data).dev[:problems])
    write_json(path, found, indent=None)
    for order, area in found["deletion"]["areas"].items():
        console.print(f"words hidden by {order}: {area:.3f} nats a token on average", markup=False)
    console.print(f"{path}: {len(found['maps'])} maps", markup=False)
