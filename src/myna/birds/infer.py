"""The assignment's own command for part 1: writes the class id of each photo of a list, one a line."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from pathlib import Path

from PIL import Image

from myna.birds.norms import NORMS
from myna.birds.prediction import predict
from myna.birds.splits import list_photos
from myna.birds.task import BirdModel
from myna.engine.checkpoint import find_folder
from myna.errors import UserError
from myna.files import check_writable, is_there, read_text, write_text


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, or 2 with one line on standard error if something in the call is wrong."""
    parser = argparse.ArgumentParser(prog="infer.py", description="Write the class id of each photo, one a line.")
    parser.add_argument("--model_file", type=Path, required=True, help="a model's folder, or its model.safetensors")
    parser.add_argument("--normalization", choices=tuple(NORMS), required=True)
    parser.add_argument("--n", type=int, required=True, help="the net has 6n + 2 layers")
    parser.add_argument(
        "--test_data_file",
        type=Path,
        required=True,
        help="a CSV with a photo's path on each line, seen from the CSV's folder or from here; or a folder of photos, "
        "taken by name",
    )
    parser.add_argument("--output_file", type=Path, required=True, help="line i is the class id of photo i")
    options = parser.parse_args(arguments)
    try:
        infer(options.model_file, options.normalization, options.n, options.test_data_file, options.output_file)
    except (UserError, OSError) as error:
        print(f"infer.py: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def infer(model_file: Path, normalization: str, n: int, test_data_file: Path, output_file: Path) -> None:
    """Write the class id of each photo of a list into a file, which is replaced as a whole once all are named.

    A class id is a position in the sorted class names, which stand in classes.json beside the weights.

    Raises:
        UserError: the model is of another norm or n, a photo is missing (its line is named) or broken (it is named), or
            the output cannot be written.
    """
    model = BirdModel.load(find_folder(model_file))
    section = model.config.model
    if section.norm != normalization:
        raise UserError(f"{model_file}: has the norm {section.norm}, not the {normalization} of --normalization")
    if section.n != n:
        raise UserError(f"{model_file}: has n = {section.n}, not the {n} of --n")
    paths = list_photos(test_data_file) if test_data_file.is_dir() else _read_list(test_data_file)
    if not paths:
        raise UserError(f"{test_data_file}: no photos; expected a path on each line, or a folder with photos in it")
    check_writable(output_file)
    class_ids = predict(model, paths).argmax(1).tolist()
    write_text(output_file, "".join(f"{class_id}\n" for class_id in class_ids))


def _read_list(path: Path) -> list[Path]:
    """Return the photos that a CSV names, one on each line, in whichever column; a first line may be its header.

    Raises:
        UserError: it is no CSV, or a line is empty, or names a file that is not there.
    """
    photos = []
    for number, row in enumerate(_read_rows(path), start=1):
        places = [place / cell for cell in row if cell for place in (path.parent, Path())]
        photo = next((each for each in places if is_there(each) and each.is_file()), None)
        if photo:
            photos.append(photo)
        elif number > 1 or not _is_header(row):
            fault = f"{','.join(row)[:200]}: no such file, neither beside the CSV nor here"
            raise UserError(f"{path}: line {number}: {fault if any(row) else 'empty; expected the path of a photo'}")
    return photos


def _read_rows(path: Path) -> list[list[str]]:
    """Return the cells of each line, without empty lines at the end."""
    reader = csv.reader(read_text(path).rstrip().splitlines())
    try:
        return [[cell.strip() for cell in row] for row in reader]
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num}: not CSV: {error}") from None


def _is_header(row: list[str]) -> bool:
    """Return whether a line says something, and nothing that looks like the path of an image."""
    known = Image.registered_extensions()
    looks_like_path = [set(cell) & {"/", os.sep} or Path(cell).suffix.lower() in known for cell in row]
    return any(row) and not any(looks_like_path)
