"""A trained net on a split: its predictions, photo by photo, and its scores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from myna.birds.evaluation import evaluate
from myna.birds.predictions import name_photo
from myna.birds.splits import BirdSplits
from myna.birds.task import BirdModel, first_of_each_class, open_labelled
from myna.engine.tracking import progress
from myna.errors import UserError
from myna.files import check_writable, write_json


def assess(model: BirdModel, splits: BirdSplits, split: str, output: Path) -> dict[str, Any]:
    """Classify the photos of a split, write the predictions, and return the scores.

    Photos of training are those that the net learned from, seen as the others are: the square in their middle, without
    augmentation.

    Args:
        model: a trained net.
        splits: of the same classes.
        split: train, val or test.
        output: a JSON file: of each photo its file, class, predicted class and the probability of that.

    Returns:
        the scores as `evaluate` gives them, with seconds and photos_per_second.

    Raises:
        UserError: the net knows other classes than the data has, the split has no photos, or the output cannot be
            written.
    """
    check_classes(model.labels.classes, splits.classes)
    photos = splits.named(split)
    if split == "train":
        photos = first_of_each_class(photos, model.config.data.limit)
    if not photos:
        raise UserError(f"split: {split} has no photos")
    check_writable(output)
    cache, label_ids = open_labelled(photos, model.config.data)
    started = time.monotonic()
    with progress(f"naming the birds of {split}", len(cache)) as tick:
        logits = model.logits(cache, tick)  # (N, n_classes)
    seconds = time.monotonic() - started
    if n_broken := int((~logits.isfinite()).any(1).sum()):
        raise UserError(f"split: {split}: for {n_broken} photos the net gives no numbers; its weights are spoiled")
    probabilities, predicted = logits.softmax(1).max(1)
    names = model.labels.classes
    write_json(
        output,
        [
            {
                "photo": name_photo(path),
                "class": names[label_id],
                "predicted": names[predicted_id],
                "probability": round(probability, 4),
            }
            for path, label_id, predicted_id, probability in zip(
                cache.paths, label_ids, predicted.tolist(), probabilities.tolist(), strict=True
            )
        ],
    )
    scores = evaluate(logits, label_ids, names)
    return {**scores, "seconds": seconds, "photos_per_second": len(label_ids) / seconds}


def check_classes(known: Sequence[str], found: Sequence[str]) -> None:
    """Refuse data whose classes are not those of the net, in its order.

    Raises:
        UserError: one line that names the first class that differs.
    """
    if list(known) == list(found):
        return
    strange = [name for name in found if name not in known] or [name for name in known if name not in found]
    differs = f"{strange[0]!r} is not among both" if strange else "they stand in another order"
    raise UserError(f"the net knows {len(known)} classes, the data has {len(found)}: {differs}")
