"""Fitting what a net's answers are read by, and finding out on test what that is worth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from myna.birds.assessment import check_classes
from myna.birds.cache import PhotoCache
from myna.birds.evaluation import measure_calibration
from myna.birds.familiarity import (
    MEASURES,
    Answer,
    Familiarity,
    Gaussian,
    choose_threshold,
    fit_temperature,
    measure_area,
)
from myna.birds.splits import BirdSplits
from myna.birds.strange import STRANGE, draw_strange
from myna.birds.task import BirdModel, open_labelled
from myna.birds.views import EvalView, Pixels
from myna.engine.tracking import progress

_N_TRAINING, _N_STRANGE = 1_500, 200
"""Photos of training that the features are learned from; pictures without a bird of each kind."""
_AT_A_TIME = 64


def calibrate(folder: Path, splits: BirdSplits) -> Familiarity:
    """Fit what a net's answers are read by, write it beside the net's weights, and return it.

    The spread of the features is learned from training photos; temperature and threshold are fitted on val, and of the
    measures the one is taken that tells val best from pictures without a bird, by the mean over their kinds. What all
    that is worth is measured on test, and on other such pictures, made of photos of test.

    Args:
        folder: of the net.
        splits: with the classes of the net.

    Raises:
        UserError: there is no such net, or the data has other classes.
    """
    model = BirdModel.load(folder)
    check_classes(model.labels.classes, splits.classes)
    caches, label_ids = {}, {}
    for split in ("train", "val", "test"):
        caches[split], ids = open_labelled(splits.named(split), model.config.data)
        label_ids[split] = torch.tensor(ids)
    train = caches["train"]
    chosen = np.random.default_rng(0).permutation(len(train))[:_N_TRAINING]
    gaussian = Gaussian.fit(ask(model, [train[int(i)] for i in chosen], "training").features)
    known = {split: ask(model, caches[split], split) for split in ("val", "test")}
    strange = {split: _ask_strange(model, caches[split], split) for split in ("val", "test")}
    temperature = fit_temperature(known["val"].logits, label_ids["val"])
    areas = {name: _measure_areas(name, gaussian, known["val"], strange["val"]) for name in MEASURES}
    measure = max(areas, key=lambda name: np.mean(list(areas[name].values())))
    scores = {split: MEASURES[measure](answer, gaussian) for split, answer in known.items()}
    threshold = choose_threshold(scores["val"])
    taken = {kind: _share(MEASURES[measure](answer, gaussian) >= threshold) for kind, answer in strange["test"].items()}
    worth = {
        "calibration_error": {
            split: {
                "before": _calibration_error(known[split].logits, label_ids[split]),
                "after": _calibration_error(known[split].logits / temperature, label_ids[split]),
            }
            for split in known
        },
        "areas_on_val": areas,
        "areas_on_test": _measure_areas(measure, gaussian, known["test"], strange["test"]),
        "test_known_share": _share(scores["test"] >= threshold),
        "strange_known_share": taken,
        "n": {
            "val": len(caches["val"]),
            "test": len(caches["test"]),
            "of each kind": min(_N_STRANGE, len(caches["test"])),
        },
    }
    found = Familiarity(temperature, measure, threshold, gaussian, worth)
    found.save(folder)
    return found


def ask(model: BirdModel, photos: Sequence[Pixels] | PhotoCache, title: str) -> Answer:
    """Return what a net makes of decoded photos."""
    view = EvalView(model.config.data.size)
    answers = []
    with progress(f"looking at {title}", len(photos)) as tick:
        for start in range(0, len(photos), _AT_A_TIME):
            group = [view(photos[i]) for i in range(start, min(start + _AT_A_TIME, len(photos)))]
            answers.append(Answer.of(model.net, model.normalise(group)))
            tick(len(group))
    return Answer(torch.cat([a.logits for a in answers]), torch.cat([a.features for a in answers]))


def _ask_strange(model: BirdModel, cache: PhotoCache, split: str) -> dict[str, Answer]:
    """Return what a net makes of pictures without a bird, by kind."""
    pictures = draw_strange(cache, _N_STRANGE)
    return {kind: ask(model, pictures[kind], f"{kind} ({split})") for kind in STRANGE}


def _measure_areas(name: str, gaussian: Gaussian, known: Answer, strange: dict[str, Answer]) -> dict[str, float]:
    """Return how well a measure tells known photos from each kind of picture without a bird."""
    score = MEASURES[name]
    return {kind: measure_area(score(known, gaussian), score(answer, gaussian)) for kind, answer in strange.items()}


def _calibration_error(logits: Tensor, label_ids: Tensor) -> float:
    confidence, predicted = logits.double().softmax(1).max(1)
    return round(measure_calibration(confidence.numpy(), (predicted == label_ids).numpy()), 4)


def _share(passed: Tensor) -> float:
    return round(float(passed.double().mean()), 4)


def describe(found: Familiarity) -> list[str]:
    """Say in sentences what was fitted, and what it is worth."""
    worth: Any = found.worth
    errors, known = worth["calibration_error"]["test"], worth["test_known_share"]
    lines = [
        f"Temperature {found.temperature}: the calibration error on test goes from {errors['before']:.3f} to"
        f" {errors['after']:.3f}.",
        f"Known from {found.measure} {found.threshold:.3f} on: {known:.1%} of the photos of test.",
    ]
    for kind, area in worth["areas_on_test"].items():
        share = worth["strange_known_share"][kind]
        lines.append(f"  {kind}: area under the ROC curve {area:.3f}; {share:.1%} are taken for known birds")
    return lines
