"""The verb `myna birds predict`, and the one that fits what it tells."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from myna.cli.options import Data, Json, complete_models
from myna.cli.options import Model as ModelArgument
from myna.errors import UserError

if TYPE_CHECKING:
    from PIL import Image
    from rich.console import Console

    from myna.birds.naming import Naming

_PREVIEW_WIDTH = 36  # characters
_BAR_WIDTH = 20


def predict(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...|FOLDER", help="Photos, or folders of photos.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="A run's name, or the folder of a run or model; else the best shipped.", autocompletion=complete_models
        ),
    ] = None,
    overlay: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Save where the net looked (Grad-CAM), a picture a photo.")
    ] = None,
    preview: Annotated[bool, typer.Option(help="Show the photo on a terminal with colours.")] = True,
    as_json: Json = False,
) -> None:
    """Name the birds in photos, or none.

    The five likeliest species are printed, or that it is none that the net knows.
    With --json it prints an object for each photo.

    Example: myna birds predict photo.jpg --overlay maps
    """
    paths = list(_find_photos(photos))
    from rich.console import Console

    from myna import runs
    from myna.birds.naming import Namer
    from myna.birds.photos import BrokenPhotoError, read_photo
    from myna.files import replacing

    namer = Namer.load(runs.find(model) if model else None)
    console = Console(highlight=False)
    n_broken, taken = 0, set[str]()
    for path in paths:
        try:
            photo = read_photo(path)
        except BrokenPhotoError as error:
            typer.echo(f"myna: {error}", err=True)
            n_broken += 1
            continue
        naming = namer.name(photo, os.fsencode(path).decode("utf-8", "replace"))
        if as_json:
            typer.echo(naming.model_dump_json())
        else:
            if preview and console.is_terminal and console.color_system:
                _print_preview(console, photo)
            _print_naming(console, naming)
        if overlay is not None:
            target = overlay / f"{_find_free(path.stem, taken)}-map.png"
            with replacing(target) as temporary:
                namer.overlay(photo).save(temporary, "PNG")
            typer.echo(f"  {target}", err=as_json)
    if n_broken:
        raise typer.Exit(2)


def calibrate(model: ModelArgument, data: Data = None, as_json: Json = False) -> None:
    """Find out how sure one may be of a net's answers.

    Fits on val how far its probabilities go, and from when on it knows a bird, and writes that beside it.

    Example: myna birds calibrate models/birds/bin-128
    """
    from myna import runs
    from myna.birds.calibration import calibrate as fit
    from myna.birds.calibration import describe
    from myna.birds.splits import load_splits

    folder = runs.find_model(runs.find(model))
    splits = load_splits(data)
    found = fit(folder, splits)
    if as_json:
        typer.echo(json.dumps(found.worth, indent=2))
        return
    typer.echo(f"{folder}: fitted on val of {splits.source}")
    for line in describe(found):
        typer.echo(line)


def _find_photos(places: list[Path]) -> Iterator[Path]:
    """Return the photos that a call names, those of a folder by name.

    Raises:
        UserError: there is no such file or folder, or a folder has no photos.
    """
    from myna.birds.splits import list_photos

    for place in places:
        if not place.is_dir():
            if not place.exists():
                raise UserError(f"{place}: no such file or folder")
            yield place
            continue
        if not (found := list_photos(place)):
            raise UserError(f"{place}: no photos in this folder")
        yield from found


def _find_free(name: str, taken: set[str]) -> str:
    """Return a name that no photo before has taken, and take it: photos of one name may come from several folders."""
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    free = next(each for each in itertools.chain([name], numbered) if each not in taken)
    taken.add(free)
    return free


def _print_naming(console: Console, naming: Naming) -> None:
    """Print a verdict, and the likeliest species below it."""
    console.print(naming.photo, style="bold", markup=False, soft_wrap=True)
    console.print(naming.verdict, style="green" if naming.is_known else "yellow", markup=False, soft_wrap=True)
    for each in naming.top:
        bar = "█" * round(_BAR_WIDTH * each.probability)
        console.print(f"  {each.probability:6.1%}  {each.name:<28} {bar}", markup=False, soft_wrap=True)


def _print_preview(console: Console, photo: Image.Image) -> None:
    """Print a photo small, two pixels a character, the upper one as the colour of ▀ and the lower one behind it."""
    from rich.style import Style
    from rich.text import Text

    width = min(_PREVIEW_WIDTH, console.width)
    height = max(2, min(width, round(width * photo.height / photo.width)))
    small = photo.resize((width, height - height % 2)).convert("RGB")
    for y in range(0, small.height, 2):
        row = Text()
        for x in range(width):
            upper, lower = ("#{:02x}{:02x}{:02x}".format(*small.getpixel((x, y + i))) for i in (0, 1))  # type: ignore[misc]
            row.append("▀", Style(color=upper, bgcolor=lower))
        console.print(row)
