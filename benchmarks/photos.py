"""What the store of decoded photos saves: decode, crop and flip with it and without it, beside Pillow alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from harness import Effort, Row, Speeds, Variant
from PIL import Image

from myna.birds.cache import Pixels, prepare
from myna.birds.photos import read_photo, resize_shorter
from myna.birds.splits import load_splits
from myna.birds.views import TrainView

N_PHOTOS = 32
SIZES = (64, 128, 256)


def measure(effort: Effort) -> list[Row]:
    """Compare the ways to a view of each of some photos, at three sizes."""
    files = load_splits().train
    paths = [photo.path for photo in files[:: max(1, len(files) // N_PHOTOS)][:N_PHOTOS]]
    variants = {}
    for size in SIZES:
        for way, run in _ways(paths, size).items():
            variants[f"{size} pixels, {way}"] = Variant(run, len(paths), "photos")
    speeds = Speeds("photos", variants, effort)
    rows = [
        speeds.row(f"{size} pixels, {way}", f"{size} pixels, by Pillow alone")
        for size in SIZES
        for way in ("from the store", "decoded by Myna")
    ]
    growth = [speeds.row(f"{size} pixels, from the store", f"{size // 2} pixels, from the store") for size in SIZES[1:]]
    return rows + growth


def _ways(paths: Sequence[Path], size: int) -> dict[str, Callable[[], object]]:
    """Return what makes a view of each photo, one after the other, in three ways."""
    view = TrainView(size, min_area=0.35, max_stretch=1.33, flip=True, jitter=0)
    side = round(1.25 * size)
    stored = prepare(paths, side)

    def of_all(pictures: Callable[[], list[Pixels]]) -> Callable[[], object]:
        return lambda: [view(picture, np.random.default_rng(i)) for i, picture in enumerate(pictures())]

    return {
        "from the store": of_all(lambda: [stored[i] for i in range(len(stored))]),
        "decoded by Myna": of_all(lambda: [np.asarray(resize_shorter(read_photo(path), side)) for path in paths]),
        "by Pillow alone": lambda: [_crop_and_flip(path, size, i) for i, path in enumerate(paths)],
    }


def _crop_and_flip(path: Path, size: int, seed: int) -> Pixels:
    """Do what `TrainView` does in as few calls of Pillow, straight from the file."""
    rng = np.random.default_rng(seed)
    with Image.open(path) as file:
        picture = file.convert("RGB")
    side = min(picture.size) * rng.uniform(0.35, 1) ** 0.5
    left, top = (rng.uniform(0, length - side) for length in picture.size)
    view = picture.resize((size, size), Image.Resampling.BILINEAR, (left, top, left + side, top + side))
    return np.asarray(view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else view)
