"""Drawing maps over photos, and many such pictures on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from myna.birds.gradcam import Maps

COLOURS = "inferno"
"""Colour scale of maps, perceptually uniform: equal steps of a map look equal."""
SIDE = 240
"""Of a picture on a sheet, in pixels."""
_MARGIN, _GAP, _LINE = 28, 14, 19
_INK, _FADED, _PAPER = (28, 28, 30), (110, 110, 116), (255, 255, 255)
_RIGHT, _WRONG = (0, 110, 84), (178, 58, 12)
"""Of what is right and wrong; they differ in brightness too, for eyes that see no green or red."""

Picture = Image.Image


@dataclass(frozen=True)
class Tile:
    """A photo with its map.

    Attributes:
        photo, overlay: pictures of `SIDE` pixels.
        lines: the caption.
        is_right: its colour.
    """

    photo: Picture
    overlay: Picture
    lines: Sequence[str]
    is_right: bool


@dataclass(frozen=True)
class Band:
    """Tiles that belong together.

    Attributes:
        title: above them.
        tiles: may be none.
    """

    title: str
    tiles: Sequence[Tile]


def draw_overlay(photo: Picture, values: Maps) -> Picture:
    """Lay a map over a photo: the photo in grey shows through, the colour says how high the map is.

    Args:
        photo: of any size.
        values: the map, from 0 to 1, (H, W) of the whole photo.
    """
    enlarged = np.asarray(Image.fromarray(values).resize(photo.size, Image.Resampling.BICUBIC)).clip(0, 1)
    colours = mpl.colormaps[COLOURS](enlarged)[:, :, :3]  # (height, width, 3)
    grey = np.asarray(photo.convert("L"), dtype=np.float32)[:, :, None] / 255  # (height, width, 1)
    # Where the map is low, the photo; where it is high, the colour, through which the photo's edges still show.
    share = 0.35 + 0.35 * enlarged[:, :, None]
    return _as_picture((1 - share) * grey + share * colours)


def draw_sheet(title: str, subtitle: str, bands: Sequence[Band], n_columns: int) -> Picture:
    """Draw bands of tiles below each other: the photo, its map below it, and the caption.

    Args:
        title: at the head.
        subtitle: below it.
        bands: from top to bottom.
        n_columns: tiles beside each other.
    """
    width = max(2 * _MARGIN + n_columns * (SIDE + _GAP) - _GAP, 760)
    heights = [_band_height(band, n_columns) for band in bands]
    sheet = Image.new("RGB", (width, 2 * _MARGIN + 62 + sum(heights) + 40), _PAPER)
    pen = ImageDraw.Draw(sheet)
    inner = width - 2 * _MARGIN
    pen.text((_MARGIN, _MARGIN - 4), _fit(title, 26, inner, bold=True), _INK, _font(26, bold=True))
    pen.text((_MARGIN, _MARGIN + 32), _fit(subtitle, 15, inner), _FADED, _font(15))
    top = _MARGIN + 62
    for band, height in zip(bands, heights, strict=True):
        _draw_band(sheet, pen, band, top, n_columns)
        top += height
    _draw_scale(sheet, pen, top + 4)
    return sheet


def _draw_band(sheet: Picture, pen: ImageDraw.ImageDraw, band: Band, top: int, n_columns: int) -> None:
    """Draw the title of a band, and its tiles in rows."""
    pen.text((_MARGIN, top + 8), _fit(band.title, 18, sheet.width - 2 * _MARGIN, bold=True), _INK, _font(18, bold=True))
    for i, tile in enumerate(band.tiles):
        row, column = divmod(i, n_columns)
        left, y = _MARGIN + column * (SIDE + _GAP), top + 40 + row * _tile_height(band)
        sheet.paste(tile.photo, (left, y))
        sheet.paste(tile.overlay, (left, y + SIDE + 4))
        for j, line in enumerate(tile.lines):
            colour = _INK if j else _RIGHT if tile.is_right else _WRONG
            place = (left, y + 2 * SIDE + 10 + j * _LINE)
            pen.text(place, _fit(line, 13, SIDE), colour, _font(13))


def _draw_scale(sheet: Picture, pen: ImageDraw.ImageDraw, top: int) -> None:
    """Draw what the colours mean."""
    low, high = "low", "high: speaks most for the correct class (each map has its own scale)"
    left = _MARGIN + round(pen.textlength(low, _font(15))) + 10
    steps = np.tile(np.linspace(0, 1, 200), (14, 1))  # (14, 200)
    sheet.paste(_as_picture(mpl.colormaps[COLOURS](steps)[:, :, :3]), (left, top + 3))
    pen.text((_MARGIN, top), low, _FADED, _font(15))
    pen.text((left + 210, top), _fit(high, 15, sheet.width - left - 210 - _MARGIN), _FADED, _font(15))


def _band_height(band: Band, n_columns: int) -> int:
    return 40 + -(-len(band.tiles) // n_columns) * _tile_height(band)


def _tile_height(band: Band) -> int:
    return 2 * SIDE + 10 + max((len(tile.lines) for tile in band.tiles), default=0) * _LINE + 16


def _fit(text: str, size: int, width: int, *, bold: bool = False) -> str:
    """Cut the end off a text that is too long for its place."""
    font = _font(size, bold=bold)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


@cache
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which matplotlib brings along, so that sheets look alike on every machine."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / name, size)


def _as_picture(colours: NDArray[np.floating]) -> Picture:
    """Return an image from red, green and blue, (height, width, 3), from 0 to 1."""
    return Image.fromarray(np.rint(colours.clip(0, 1) * 255).astype(np.uint8))
