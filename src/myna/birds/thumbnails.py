"""Small pictures that a page carries inside it."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from myna.birds.photos import read_photo

SIDE = 160
"""In pixels: a little more than a page shows, for screens with fine pixels."""
_QUALITY = 82


def make_thumbnail(path: Path, side: int = SIDE) -> str:
    """Return the square in the middle of a photo, which is what a net sees of it, as a data URI of a JPEG.

    Raises:
        BrokenPhotoError: the photo cannot be read.
    """
    photo = ImageOps.fit(read_photo(path, least_side=side), (side, side), Image.Resampling.BICUBIC)
    written = BytesIO()
    photo.save(written, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(written.getvalue()).decode("ascii")
