"""The verb `myna math score`."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import shorten
from typing import Annotated

import typer

from myna.cli.options import Data, Json

_N_SHOWN = 5


def score(
    file: Annotated[Path, typer.Argument(help="JSON list of objects: Problem, linear_formula, answer, predicted.")],
    as_json: Json = False,
    write_back: Annotated[
        bool, typer.Option("--write-back", help="Add predicted_answer to each object of FILE: null where wrong.")
    ] = False,
    data: Data = None,
) -> None:
    """Score a file of predicted programs.

    Scores are of all problems, of the seen, novel and far ones, and of two baselines that learn nothing.

    Example: myna math score predictions.json --write-back
    """
    from myna.cli.tables import print_scores
    from myna.config import find_data
    from myna.mathqa import evaluation
    from myna.mathqa.baselines import NeighbourIndex
    from myna.mathqa.problems import read_problems, split_path

    items = evaluation.read_predictions(file)
    verdicts = evaluation.judge_items(items)
    folder = find_data(data)
    train = split_path(folder, "train") if folder else None
    index = NeighbourIndex(read_problems(train)) if train and train.is_file() else None
    scores = evaluation.score(verdicts, [item["Problem"] for item in items], index)
    if index is not None:
        scores["baselines"] = evaluation.score_baselines(evaluation.as_problems(items), index)
    if write_back:
        evaluation.write_back(file, items, verdicts)
    if as_json:
        typer.echo(json.dumps(scores, indent=2))
    else:
        print_scores(str(file), scores)
    if index is None:
        _remark(f"no split into seen, novel and far: {train or 'the training problems'} not found (--data)")
    remarks = [f"item {i}: {remark}" for i, verdict in enumerate(verdicts) for remark in verdict.ignored]
    for remark in remarks[:_N_SHOWN]:
        _remark(shorten(f"ignored in {remark}", 120))
    if len(remarks) > _N_SHOWN:
        _remark(f"and {len(remarks) - _N_SHOWN} more were ignored")


def _remark(text: str) -> None:
    """Print a line beside the scores, out of the way of --json."""
    typer.echo(text, err=True)
