"""What a net sees of a stored photo: two plain descriptions, one for training and one for all else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""


@dataclass(frozen=True)
class TrainView:
    """A random part of a photo, as in Szegedy et al. (arXiv 1409.4842, section 6), mirrored or not, of changed colours.

    Attributes:
        size: side of the view in pixels.
        min_area: smallest share of the photo's pixels that is shown.
        max_stretch: largest change of the aspect ratio, from 1 to this or to its inverse.
        flip: whether half of the views are mirrored.
        jitter: brightness, contrast and saturation are each multiplied by 1 - jitter to 1 + jitter.
    """

    size: int
    min_area: float
    max_stretch: float
    flip: bool
    jitter: float

    def __call__(self, photo: Pixels, rng: np.random.Generator) -> Pixels:
        """Return a view, (size, size, 3), of a photo, (height, width, 3)."""
        height, width = photo.shape[:2]
        box_width, box_height = self._draw_sides(width, height, rng)
        left, top = rng.uniform(0, width - box_width), rng.uniform(0, height - box_height)
        view = _resize(photo, self.size, (left, top, left + box_width, top + box_height))
        if self.flip and rng.random() < 0.5:
            view = view[:, ::-1]
        return _jitter(view, rng.uniform(1 - self.jitter, 1 + self.jitter, 3)) if self.jitter else view

    def _draw_sides(self, width: int, height: int, rng: np.random.Generator) -> tuple[float, float]:
        """Return width and height of the part that is shown."""
        area = rng.uniform(self.min_area, 1) * width * height
        stretch = np.exp(rng.uniform(-1, 1) * np.log(self.max_stretch))
        side = np.sqrt(area)
        box_width, box_height = side * np.sqrt(stretch), side / np.sqrt(stretch)
        return min(width, max(1.0, box_width)), min(height, max(1.0, box_height))


@dataclass(frozen=True)
class EvalView:
    """The largest square in the middle of a photo.

    Attributes:
        size: side of the view in pixels.
    """

    size: int

    def __call__(self, photo: Pixels) -> Pixels:
        """Return the view, (size, size, 3), of a photo, (height, width, 3)."""
        height, width = photo.shape[:2]
        side = min(height, width)
        left, top = (width - side) / 2, (height - side) / 2
        return _resize(photo, self.size, (left, top, left + side, top + side))


def _resize(photo: Pixels, size: int, box: tuple[float, float, float, float]) -> Pixels:
    """Scale a part of a photo, (left, top, right, bottom), to a square."""
    return np.asarray(Image.fromarray(photo).resize((size, size), Image.Resampling.BILINEAR, box=box))


def _jitter(view: Pixels, factors: NDArray[np.float64]) -> Pixels:
    """Multiply brightness, contrast (about the mean) and saturation (about grey)."""
    brightness, contrast, saturation = factors.astype(np.float32)
    colours = view.astype(np.float32) * brightness  # (H, W, 3)
    grey = (colours @ _GREY)[:, :, None]  # (H, W, 1)
    mean = grey.mean()
    # Both moves are linear, so one pass serves: towards grey, then towards the mean.
    colours = contrast * (grey + saturation * (colours - grey) - mean) + mean
    jittered: Pixels = colours.clip(0, 255).astype(np.uint8)
    return jittered
