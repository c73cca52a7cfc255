"""What every request finds: the two models behind their threads, the runs, and photos to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from myna.birds.class_names import readable
from myna.birds.splits import FOLDER, load_splits
from myna.config import find_data
from myna.web.worker import Worker

if TYPE_CHECKING:
    from myna.birds.naming import Namer
    from myna.mathqa.solver import Solver

N_EXAMPLES = 6


@dataclass(frozen=True)
class ExamplePhoto:
    """A photo to try.

    Attributes:
        path: of the file.
        species: that it shows, as the data says.
    """

    path: Path
    species: str


@dataclass(frozen=True)
class Site:
    """What every request finds.

    Attributes:
        solver: answers word problems.
        namer: names photos.
        runs: the folder of all runs.
        examples: photos to try.
    """

    solver: Worker[Solver]
    namer: Worker[Namer]
    runs: Path
    examples: Sequence[ExamplePhoto]


def _site_of(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


AtSite = Annotated[Site, Depends(_site_of)]


def find_examples(data: Path | None = None) -> list[ExamplePhoto]:
    """Return photos of the test split, each of another species; none where there are no real photos.

    Args:
        data: the data folder asked for; else $MYNA_DATA, then ./data.

    Raises:
        UserError: the data folder's birds/ is not laid out as it should be.
    """
    folder = find_data(data)
    if folder is None or not (folder / FOLDER).is_dir():
        return []
    splits = load_splits(data)
    first = {photo.class_id: photo for photo in reversed(splits.test)}
    step = max(1, len(first) // N_EXAMPLES)
    chosen = sorted(first)[step // 2 :: step][:N_EXAMPLES]
    return [ExamplePhoto(first[i].path, readable(splits.classes[i])) for i in chosen]
