"""What is shown of a photo: the naming, and the photo beside where the net looked, small enough for a page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from myna.birds.photos import read_photo
from myna.errors import UserError

if TYPE_CHECKING:
    from myna.birds.naming import Namer, Naming

SHOWN_SIDE = 480
"""The longer side of a shown photo, pixels."""
THUMBNAIL_SIDE = 160
"""The shorter side of a photo to try, pixels."""


@dataclass(frozen=True)
class Sight:
    """A photo, named and explained.

    Attributes:
        naming: what the net says.
        species: whose evidence the overlay shows.
        photo: as a data URI.
        overlay: as a data URI; empty where none can be made.
        reason: why there is no overlay; empty where there is one.
    """

    naming: Naming
    species: str
    photo: str
    overlay: str = ""
    reason: str = ""


def examine(namer: Namer, photo: Image.Image, title: str, species: str | None) -> Sight:
    """Name a photo, and show the evidence for a species; None is the likeliest.

    Raises:
        UserError: the net knows no such species.
    """
    naming, shown = namer.name(photo, title), _as_data_uri(photo)
    likeliest = naming.top[0].name
    try:
        return Sight(naming, species or likeliest, shown, overlay=_as_data_uri(namer.overlay(photo, species)))
    except UserError as error:
        if species:
            raise
        # Grad-CAM is not installed everywhere, and the name is worth telling without it.
        return Sight(naming, likeliest, shown, reason=str(error))


def encode_jpeg(picture: Image.Image, side: int) -> bytes:
    """Return a picture as a JPEG whose longer side has at most `side` pixels."""
    picture = picture.copy()
    picture.thumbnail((side, side))
    encoded = BytesIO()
    picture.save(encoded, "JPEG", quality=88)
    return encoded.getvalue()


def make_thumbnail(path: Path) -> bytes:
    """Return a photo file as a small JPEG.

    Raises:
        BrokenPhotoError: the file is no photo.
    """
    return encode_jpeg(read_photo(path, least_side=THUMBNAIL_SIDE), 2 * THUMBNAIL_SIDE)


def _as_data_uri(picture: Image.Image) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(encode_jpeg(picture, SHOWN_SIDE)).decode()}"
