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
_GAP = 2
"""Between two squares, in pixels."""


def make_thumbnail(*paths: Path, side: int = SIDE) -> str:
    """Return a JPEG as a data URI: the square in the middle of a photo, which is what a net sees of it.

    Args:
        paths: of the photo; of several, the squares stand below each other.
        side: of a square.

    Raises:
        BrokenPhotoError: a photo cannot be read.
    """
    sheet = Image.new("RGB", (side, len(paths) * (side + _GAP) - _GAP), "white")
    for i, path in enumerate(paths):
        photo = read_photo(path, least_side=side)
        sheet.paste(ImageOps.fit(photo, (side, side), Image.Resampling.BICUBIC), (0, i * (side + _GAP)))
    written = BytesIO()
    sheet.save(written, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(written.getvalue()).decode("ascii")
