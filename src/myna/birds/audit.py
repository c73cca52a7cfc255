"""What the photos hold besides birds: broken files, copies within and between splits, and traces of their sources.

A copy of a training photo in val or test is remembered, not recognised; a class that came from one source only can be
told by that source's file sizes. Both flatter a net, so they are counted before anything is trained.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn
from sklearn.metrics import recall_score
from sklearn.tree import DecisionTreeClassifier

from myna.birds.cache import hash_file
from myna.birds.photos import BrokenPhotoError, photo_formats, read_photo
from myna.birds.splits import SPLITS, BirdSplits, PhotoFile
from myna.engine.tracking import progress

MAX_HAMMING = 12
"""Bits of 64 in which the hashes of two copies may differ.

Measured on 350 of the real photos: all copies made anew by JPEG, scaling, squeezing or brightness differ in at most 8
bits, 99 % of those cut by 3 % in at most 12, 90 % of those cut by 5 % too; of 61,075 pairs of different photos none in
fewer than 14. Copies that were cut by more, or turned, are mostly not found.
"""
MIN_CORRELATION = 0.9
"""Of the grey 16 x 16 thumbnails of two copies: 95 % of those cut by 3 % lie above it, and all that were not cut.

Two photos of a plain sky may share a hash, but do not correlate. Of the real pairs between 0.8 and 0.9, some are copies
that were zoomed, others only alike: a white egret on grass, a dark shape before the sun.
"""
TRACES = {
    "shape": ("width", "height", "aspect_ratio"),
    "compression": ("format", "luma_step", "bytes_per_pixel"),
    "file_size": ("n_bytes",),
}
"""What a file tells that is not in the bird, in groups; `all` is all of them."""
_SIDE = 32  # of the thumbnail that is hashed
_ROWS = 1024  # compared at a time
_LEAF = 10  # fewest training photos that a rule about sources may rest on

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class _Photo:
    """What is known of a file.

    Attributes:
        name: split folder, class and file.
        split: which it is used in.
        thumbnail: (32, 32), brightness.
        luma_step: mean step of a JPEG's quantisation of brightness; 0 for other formats.
    """

    name: str
    split: str
    class_id: int
    sha256: str
    thumbnail: Floats
    format: str
    width: int
    height: int
    n_bytes: int
    luma_step: float

    @property
    def aspect_ratio(self) -> float:
        return self.width / self.height

    @property
    def bytes_per_pixel(self) -> float:
        return self.n_bytes / (self.width * self.height)


@dataclass(frozen=True)
class _Pair:
    """Two photos that show the same picture."""

    first: _Photo
    second: _Photo
    kind: str
    correlation: float

    @property
    def splits(self) -> str:
        """Return the splits of the two, in the order of `SPLITS`."""
        return "-".join(sorted((self.first.split, self.second.split), key=SPLITS.index))


def audit_splits(splits: BirdSplits) -> dict[str, Any]:
    """Return what can be said about the photos without looking at a bird, as values that JSON holds.

    Photos are named by split folder, class and file. Keys: `source`, `classes`, `splits` (by split: `photos`,
    `unreadable`, `class_counts`, `sizes`, `formats`), `unreadable` (`photo`, `reason`), `copies` (`within` and
    `between` splits: pairs that are `exact` and `near`; `pairs_between`; `leaked`: how many and which share of the
    photos of val and test have a copy in train), `label_conflicts` (pairs of copies with two labels), and
    `source_bias` (see `measure_source_bias`).
    """
    files = [(split, photo) for split in SPLITS for photo in splits.named(split)]
    with progress(f"auditing {len(files):,} photos", len(files)) as tick, ThreadPoolExecutor(os.cpu_count()) as pool:
        looked_at = []
        for photo in pool.map(lambda file: _look_at(*file), files):
            looked_at.append(photo)
            tick()
    photos = [photo for photo in looked_at if isinstance(photo, _Photo)]
    broken = [photo for photo in looked_at if isinstance(photo, _Broken)]
    pairs = _find_pairs(photos)
    return {
        "source": splits.source,
        "classes": list(splits.classes),
        "splits": {split: _describe_split(split, photos, broken, splits.classes) for split in SPLITS},
        "unreadable": [{"photo": photo.name, "reason": photo.reason} for photo in broken],
        "copies": _describe_copies(pairs, photos, splits.classes),
        "label_conflicts": [
            _describe_pair(pair, splits.classes) for pair in pairs if pair.first.class_id != pair.second.class_id
        ],
        "source_bias": _describe_bias(photos, splits.classes),
    }


def hash_thumbnails(thumbnails: Floats) -> NDArray[np.bool_]:
    """Return the perceptual hash of grey thumbnails: which of the lowest 8 x 8 frequencies lie above their median.

    Source: Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions (2010), section 3.1. Here the
    thumbnail is the mean of each cell instead of a blurred picture, and the frequencies include the constant one.

    Shape:
        thumbnails (N, S, S) with S >= 8; output (N, 64).
    """
    frequencies = dctn(thumbnails, axes=(1, 2), norm="ortho")[:, :8, :8].reshape(len(thumbnails), 64)  # (N, 64)
    bits: NDArray[np.bool_] = frequencies > np.median(frequencies, axis=1, keepdims=True)
    return bits


@dataclass(frozen=True)
class _Broken:
    """A file that is no photo."""

    name: str
    split: str
    reason: str


def _look_at(split: str, file: PhotoFile) -> _Photo | _Broken:
    """Read what an audit needs of a file."""
    path, name = file.path, "/".join(file.path.parts[-3:])
    try:
        grey = read_photo(path, least_side=2 * _SIDE).convert("L")
    except BrokenPhotoError as error:
        return _Broken(name, split, str(error).removeprefix(f"{path}: "))
    thumbnail = np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float32)
    header = _read_header(path)
    return _Photo(name, split, file.class_id, hash_file(path), thumbnail, **header)


def _read_header(path: Path) -> dict[str, Any]:
    """Return what an image file says before its pixels."""
    content = path.read_bytes()
    with Image.open(BytesIO(content), formats=photo_formats()) as image:
        tables: dict[int, list[int]] = getattr(image, "quantization", {})
        return {
            "format": image.format or "",
            "width": image.width,
            "height": image.height,
            "n_bytes": len(content),
            "luma_step": float(np.mean(tables[0])) if tables.get(0) else 0.0,
        }


def _find_pairs(photos: Sequence[_Photo]) -> list[_Pair]:
    """Return all pairs of photos that show the same picture, mirrored or upside down included."""
    if not photos:
        return []
    thumbnails = np.stack([photo.thumbnail for photo in photos])  # (N, 32, 32)
    views = (thumbnails, thumbnails[:, :, ::-1], thumbnails[:, ::-1], thumbnails[:, ::-1, ::-1])
    plain, small = _signs(thumbnails), _standardise(thumbnails)
    found: dict[tuple[int, int], float] = {}
    for view in views:
        signs, others = _signs(view), _standardise(view)
        for start in range(0, len(photos), _ROWS):
            # Of signs, the product is the bits that agree less those that differ.
            hamming = (64 - plain[start : start + _ROWS] @ signs[start:].T) / 2  # (rows, N - start)
            first, second = np.nonzero(np.triu(hamming <= MAX_HAMMING, k=1))
            first, second = first + start, second + start
            correlations = np.einsum("np,np->n", small[first], others[second])
            for i, j, correlation in zip(first.tolist(), second.tolist(), correlations.tolist(), strict=True):
                found[i, j] = max(correlation, found.get((i, j), -1.0))
    return _exact_pairs(photos) + [
        _Pair(photos[i], photos[j], "near", correlation)
        for (i, j), correlation in sorted(found.items())
        if correlation >= MIN_CORRELATION and photos[i].sha256 != photos[j].sha256
    ]


def _exact_pairs(photos: Sequence[_Photo]) -> list[_Pair]:
    """Return all pairs of files with the same bytes."""
    by_hash: dict[str, list[_Photo]] = {}
    pairs = []
    for photo in photos:
        same = by_hash.setdefault(photo.sha256, [])
        pairs += [_Pair(other, photo, "exact", 1.0) for other in same]
        same.append(photo)
    return pairs


def _signs(thumbnails: Floats) -> Floats:
    """Return hashes as numbers, 1 and -1: (N, 64)."""
    return np.where(hash_thumbnails(thumbnails), np.float32(1), np.float32(-1))


def _standardise(thumbnails: Floats) -> Floats:
    """Return 16 x 16 thumbnails, (N, 256), whose product is their correlation; plain ones correlate with nothing."""
    n, half = len(thumbnails), _SIDE // 2
    small = thumbnails.reshape(n, half, 2, half, 2).mean((2, 4)).reshape(n, half * half)  # (N, 256)
    small = small - small.mean(1, keepdims=True)
    length = np.linalg.norm(small, axis=1, keepdims=True)
    standardised: Floats = np.where(length > half, small / np.maximum(length, half), 0).astype(np.float32)
    return standardised


def _describe_split(
    split: str, photos: Sequence[_Photo], broken: Sequence[_Broken], classes: Sequence[str]
) -> dict[str, Any]:
    """Return counts and sizes of one split."""
    own = [photo for photo in photos if photo.split == split]
    counts = Counter(photo.class_id for photo in own)
    return {
        "photos": len(own),
        "unreadable": sum(photo.split == split for photo in broken),
        "class_counts": {name: counts[class_id] for class_id, name in enumerate(classes)},
        "formats": dict(Counter(photo.format for photo in own).most_common()),
        "sizes": _describe_sizes(own) if own else None,
    }


def _describe_sizes(photos: Sequence[_Photo]) -> dict[str, Any]:
    """Return how large photos are; `aspect_ratio` is width over height."""
    sizes = Counter((photo.width, photo.height) for photo in photos)
    ratios = [photo.aspect_ratio for photo in photos]
    return {
        "distinct": len(sizes),
        "commonest": [[width, height, n] for (width, height), n in sizes.most_common(5)],
        "median_shorter_side": float(np.median([min(photo.width, photo.height) for photo in photos])),
        "aspect_ratio": {
            name: round(float(np.quantile(ratios, q)), 3)
            for name, q in (("min", 0), ("p5", 0.05), ("median", 0.5), ("p95", 0.95), ("max", 1))
        },
        "portrait_share": float(np.mean([ratio < 1 for ratio in ratios])),
    }


def _describe_copies(pairs: Sequence[_Pair], photos: Sequence[_Photo], classes: Sequence[str]) -> dict[str, Any]:
    """Return how many copies there are, and which of them lie in two splits."""
    counts = Counter((pair.splits, pair.kind) for pair in pairs)
    between = [pair for pair in pairs if pair.first.split != pair.second.split]

    def count(first: str, second: str) -> dict[str, int]:
        return {kind: counts[f"{first}-{second}", kind] for kind in ("exact", "near")}

    return {
        "max_hamming": MAX_HAMMING,
        "min_correlation": MIN_CORRELATION,
        "within": {split: count(split, split) for split in SPLITS},
        "between": {
            f"{first}-{second}": count(first, second) for i, first in enumerate(SPLITS) for second in SPLITS[i + 1 :]
        },
        "leaked": {split: _count_leaked(split, between, photos) for split in SPLITS[1:]},
        "pairs_between": [_describe_pair(pair, classes) for pair in between],
    }


def _count_leaked(split: str, pairs: Sequence[_Pair], photos: Sequence[_Photo]) -> dict[str, float]:
    """Return how many photos of a split have a copy in train."""
    leaked = {
        photo.name
        for pair in pairs
        for photo, other in ((pair.first, pair.second), (pair.second, pair.first))
        if (photo.split, other.split) == (split, "train")
    }
    n = sum(photo.split == split for photo in photos)
    return {"photos": len(leaked), "share": len(leaked) / max(1, n)}


def _describe_pair(pair: _Pair, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "photos": [pair.first.name, pair.second.name],
        "classes": [classes[pair.first.class_id], classes[pair.second.class_id]],
        "kind": pair.kind,
        "correlation": round(pair.correlation, 4),
    }


def _describe_bias(photos: Sequence[_Photo], classes: Sequence[str]) -> dict[str, Any] | None:
    """Measure how well the class can be told without a look at the picture; None where train or val is empty.

    A decision tree learns on train from the traces that `TRACES` lists, and is asked about val. `chance` is always
    naming the commonest class of train. `recall` is by class, from all traces together.
    """
    train, val = ([photo for photo in photos if photo.split == split] for split in ("train", "val"))
    if not train or not val:
        return None
    learned, truth = ([photo.class_id for photo in part] for part in (train, val))
    every = tuple(trace for group in TRACES.values() for trace in group)
    predicted = {
        name: _fit_tree(_traces(train, names), learned).predict(_traces(val, names))
        for name, names in {"all": every, **TRACES}.items()
    }
    recalls = recall_score(truth, predicted["all"], labels=range(len(classes)), average=None, zero_division=0)
    commonest = Counter(learned).most_common(1)[0][0]
    return {
        "chance": float(np.mean(np.array(truth) == commonest)),
        "accuracy": {name: float(np.mean(np.array(truth) == ids)) for name, ids in predicted.items()},
        "recall": {name: round(float(recall), 4) for name, recall in zip(classes, recalls, strict=True)},
    }


def _fit_tree(traces: NDArray[np.float64], class_ids: Sequence[int]) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(min_samples_leaf=_LEAF, random_state=0).fit(traces, class_ids)


def _traces(photos: Sequence[_Photo], names: Sequence[str]) -> NDArray[np.float64]:
    """Return numbers about files, (N, n_names); formats by position among those that can be read."""
    formats = photo_formats()
    values = [
        [formats.index(photo.format) if name == "format" else getattr(photo, name) for name in names]
        for photo in photos
    ]
    return np.array(values, dtype=np.float64)
