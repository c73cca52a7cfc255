"""The assignment's own command for part 2: adds `predicted` to every problem of a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

from myna.config import MathModelSection
from myna.engine.checkpoint import find_folder
from myna.errors import UserError
from myna.files import check_writable, write_json
from myna.mathqa.prediction import SEARCHES, VERIFIED
from myna.mathqa.problems import read_items
from myna.mathqa.task import MathModel

MODEL_TYPES = get_args(MathModelSection.model_fields["type"].annotation)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, or 2 with one line on standard error if something in the call is wrong."""
    parser = argparse.ArgumentParser(
        prog="infer.py", description="Add the predicted program to each problem of a file, in place."
    )
    parser.add_argument("--model_file", type=Path, required=True, help="a model's folder, or its model.safetensors")
    parser.add_argument("--beam_size", type=int, choices=(1, 10, 20), default=10)
    parser.add_argument("--model_type", choices=MODEL_TYPES, required=True)
    parser.add_argument("--test_data_file", type=Path, required=True, help="a JSON list of objects with a Problem")
    parser.add_argument("--data", type=Path, help="where mathqa/train.json is, for a model that looks problems up")
    parser.add_argument("--search", choices=(*SEARCHES, VERIFIED), default="plain", help="what may follow in the beam")
    options = parser.parse_args(arguments)
    try:
        infer(
            options.model_file,
            options.model_type,
            options.beam_size,
            options.test_data_file,
            options.search,
            options.data,
        )
    except (UserError, OSError) as error:
        print(f"infer.py: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def infer(
    model_file: Path,
    model_type: str,
    beam_size: int,
    test_data_file: Path,
    search: str = "plain",
    data: Path | None = None,
) -> None:
    """Write the model's best program for each problem of a file into the file, under `predicted`.

    Other fields and their order stay; the file is replaced as a whole once all problems are done.

    Raises:
        UserError: the file is not in the course's format, it cannot be written, or the model is of another type.
    """
    items = read_items(test_data_file)
    model = MathModel.load(find_folder(model_file), data)
    if model.config.model.type != model_type:
        raise UserError(f"{model_file}: holds a {model.config.model.type}, not the {model_type} of --model_type")
    check_writable(test_data_file)
    found = model.predict([item["Problem"] for item in items], beam_size=beam_size, search=search)
    for item, programs in zip(items, found, strict=True):
        item["predicted"] = programs[0].text if programs else ""
    write_json(test_data_file, items)
