"""Which species are taken for which, with the photos that show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from myna.birds.photos import BrokenPhotoError
from myna.birds.predictions import name_photo
from myna.birds.splits import PhotoFile
from myna.birds.thumbnails import make_thumbnail

Prediction = Mapping[str, Any]
"""Of one photo, as `myna.birds.assessment` writes it: photo, class, predicted, probability."""


def show_confused(
    predictions: Sequence[Prediction], photos: Sequence[PhotoFile], n_pairs: int = 6, n_photos: int = 3
) -> list[dict[str, Any]]:
    """Return the pairs of species that are confused most, with photos of both side by side.

    Args:
        predictions: of a split.
        photos: of the same split; a photo that is not among them, or is broken, is not shown.
        n_pairs: at most so many; of equally frequent ones, in order of their names.
        n_photos: of a pair, at most so many.

    Returns:
        for each pair its classes `truth` and `predicted`, `n` photos of `n_truth` that were so misread, and
        `photos`, those of them that the net was surest of; and beside them `typical`, the photo of the predicted
        class that it named rightly and was surest of. A photo has `name`, `probability` (of the predicted class) and
        `data_uri`.
    """
    paths = {name_photo(photo.path): photo.path for photo in photos}
    surest = sorted(predictions, key=lambda each: (-each["probability"], each["photo"]))
    sizes = Counter(each["class"] for each in predictions)
    pairs = Counter((each["class"], each["predicted"]) for each in predictions if each["class"] != each["predicted"])
    shown = []
    for (truth, said), n in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:n_pairs]:
        misread = [each for each in surest if (each["class"], each["predicted"]) == (truth, said)]
        typical = [each for each in surest if each["class"] == each["predicted"] == said]
        shown.append(
            {
                "truth": truth,
                "predicted": said,
                "n": n,
                "n_truth": sizes[truth],
                "photos": _show(misread, paths, n_photos),
                "typical": _show(typical, paths, 1),
            }
        )
    return shown


def _show(predictions: Sequence[Prediction], paths: Mapping[str, Path], n: int) -> list[dict[str, Any]]:
    """Return the first photos that can be shown."""
    shown: list[dict[str, Any]] = []
    for each in predictions:
        if len(shown) == n:
            break
        if each["photo"] in paths:
            try:
                picture = make_thumbnail(paths[each["photo"]])
            except BrokenPhotoError:
                continue
            shown.append({"name": each["photo"], "probability": each["probability"], "data_uri": picture})
    return shown
