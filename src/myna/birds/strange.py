"""Pictures without a bird, to find out whether a net notices: some drawn, some cut out of photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from myna.birds.cache import PhotoCache
from myna.birds.views import Pixels

_GRID = 4  # pieces along a side, of a shuffled photo
_CORNER = 0.3  # of a photo's width and height
_LETTERS = list("abcdefghijklmnopqrstuvwxyz      ")


def draw_noise(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """Return pixels of random colours."""
    return rng.integers(0, 256, photo.shape, dtype=np.uint8)


def draw_plain(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """Return one colour that fades into another, as a wall or a clear sky does."""
    height, width = photo.shape[:2]
    first, last = rng.uniform(0, 256, (2, 3))
    share = np.linspace(0, 1, height)[:, None, None]
    return np.broadcast_to(first * (1 - share) + last * share, (height, width, 3)).astype(np.uint8)


def draw_text(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a page of dark letters on light paper."""
    height, width = photo.shape[:2]
    paper, ink = rng.integers(215, 256, 3), rng.integers(0, 70, 3)
    page = Image.new("RGB", (width, height), tuple(paper.tolist()))
    pen, font, size = ImageDraw.Draw(page), ImageFont.load_default(), 12
    for top in range(4, height, size):
        pen.text((4, top), "".join(rng.choice(_LETTERS, width // 5)), tuple(ink.tolist()), font)
    return np.asarray(page)


def shuffle(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a photo cut into pieces that are laid anew: its colours and textures without its shapes."""
    height, width = (side // _GRID for side in photo.shape[:2])
    places = [(row * height, column * width) for row in range(_GRID) for column in range(_GRID)]
    shuffled = np.empty((_GRID * height, _GRID * width, 3), dtype=np.uint8)
    for (top, left), place in zip(places, rng.permutation(len(places)), strict=True):
        from_top, from_left = places[place]
        piece = photo[from_top : from_top + height, from_left : from_left + width]
        shuffled[top : top + height, left : left + width] = piece
    return shuffled


def cut_corner(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a corner of a photo, enlarged: mostly leaves, water or sky, now and then a part of the bird."""
    height, width = (max(1, round(_CORNER * side)) for side in photo.shape[:2])
    top, left = (int(rng.integers(2)) * (side - part) for side, part in zip(photo.shape, (height, width), strict=False))
    corner = Image.fromarray(photo[top : top + height, left : left + width])
    return np.asarray(corner.resize(photo.shape[1::-1], Image.Resampling.BICUBIC))


STRANGE: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "noise": draw_noise,
    "plain colours": draw_plain,
    "text": draw_text,
    "shuffled photos": shuffle,
    "corners of photos": cut_corner,
}
"""By kind: how a photo, (height, width, 3), becomes a picture that shows no bird."""


def draw_strange(photos: Sequence[Pixels] | PhotoCache, n: int, seed: int = 0) -> dict[str, list[Pixels]]:
    """Return n pictures of each kind, made with photos that are drawn at random."""
    rng = np.random.default_rng(seed)
    chosen = [photos[int(i)] for i in rng.permutation(len(photos))[:n]]
    return {kind: [draw(photo, rng) for photo in chosen] for kind, draw in STRANGE.items()}
