"""What can be scored without a deep net: floors that any use of a photo's shapes has to beat."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from myna.birds.cache import PhotoCache
from myna.birds.views import EvalView, Pixels

LINEAR_SIZE = 32
"""Side in pixels of what the linear model sees: 3,072 numbers a photo."""
STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3)
"""Inverse strengths of L2 regularisation to choose from, scikit-learn's C."""
HISTOGRAM_LEVELS = 8
"""Levels of hue, saturation and value each in a histogram."""
NEIGHBOURS = (1, 3, 10, 30, 60, 100)
"""Numbers of neighbours to choose from."""

Photos = Sequence[Pixels] | PhotoCache
Predict = Callable[[Photos], Tensor]
"""Gives the log-probabilities of photos, (N, n_classes)."""


@dataclass(frozen=True)
class LabelledPhotos:
    """Decoded photos with their class ids, one for each."""

    photos: Photos
    label_ids: Sequence[int]


def fit_linear(train: LabelledPhotos, val: LabelledPhotos, n_classes: int) -> Predict:
    """Fit multinomial logistic regression on the pixels of small photos, each pixel standardised over training.

    The strength of its L2 regularisation is the one of `STRENGTHS` that is most accurate on val.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if len(set(train.label_ids)) < 2:
        # There is nothing to tell apart.
        return fit_prior(train, val, n_classes)
    pixels = _shrink(train.photos)
    mean, deviation = pixels.mean(0), pixels.std(0) + 1e-3

    def standardise(photos: Photos) -> NDArray[np.float32]:
        return (_shrink(photos) - mean) / deviation  # type: ignore[no-any-return]

    inputs, val_inputs = (pixels - mean) / deviation, standardise(val.photos)
    with warnings.catch_warnings():
        # Where regularisation is weak, 100 steps of L-BFGS do not converge; val judges what they reach.
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = [LogisticRegression(C=strength, max_iter=100).fit(inputs, train.label_ids) for strength in STRENGTHS]
    best = _most_accurate(models, val_inputs, val.label_ids)
    return lambda photos: _log_probabilities(best, standardise(photos), n_classes)


def fit_neighbours(train: LabelledPhotos, val: LabelledPhotos, n_classes: int) -> Predict:
    """Fit a k-nearest-neighbour vote over colours of the middle; k is the one of `NEIGHBOURS` most accurate on val.

    The distance is Hellinger's, that is the Euclidean one between square roots of histograms, and a neighbour's vote
    is weighed by its inverse. Source of the histogram: Swain and Ballard 1991, International Journal of Computer
    Vision 7(1).
    """
    from sklearn.neighbors import KNeighborsClassifier

    inputs, val_inputs = _count_colours(train.photos), _count_colours(val.photos)
    models = [
        KNeighborsClassifier(k, weights="distance", algorithm="brute").fit(inputs, train.label_ids)
        for k in NEIGHBOURS
        if k <= len(inputs)
    ]
    best = _most_accurate(models, val_inputs, val.label_ids)
    # As if one vote more were spread evenly over all classes: none has probability 0.
    smoothing = 1 / (best.n_neighbors + 1)
    return lambda photos: _log_probabilities(best, _count_colours(photos), n_classes, smoothing)


def fit_prior(train: LabelledPhotos, val: LabelledPhotos, n_classes: int) -> Predict:
    """Give every photo the shares of the classes in training; each is counted once more, so that none is 0."""
    counts = np.bincount(train.label_ids, minlength=n_classes) + 1
    shares = torch.from_numpy(np.log(counts / counts.sum())).float()
    return lambda photos: shares.repeat(len(photos), 1)  # (N, n_classes)


BASELINES: dict[str, Callable[[LabelledPhotos, LabelledPhotos, int], Predict]] = {
    "linear on pixels": fit_linear,
    "colour histogram k-nearest neighbour": fit_neighbours,
    "most frequent class": fit_prior,
}
"""By name: how to fit a baseline to training photos, with val to choose its one setting, for so many classes."""


def _shrink(photos: Photos) -> NDArray[np.float32]:
    """Return the pixels of small views, (N, 3072), from 0 to 1."""
    view = EvalView(LINEAR_SIZE)
    return np.stack([view(photos[i]).ravel() for i in range(len(photos))]).astype(np.float32) / np.float32(255)


def _count_colours(photos: Photos) -> NDArray[np.float32]:
    """Return the square roots of the shares of 8 x 8 x 8 colours in the middle of photos, (N, 512).

    The middle has half of the height and of the width; it is mostly bird, where the whole is mostly background.
    """
    middles = (photos[i][_middle(photos[i].shape[0]), _middle(photos[i].shape[1])] for i in range(len(photos)))
    return np.stack([np.sqrt(_histogram(middle)) for middle in middles])


def _middle(length: int) -> slice:
    return slice(length // 4, length - length // 4)


def _histogram(photo: Pixels) -> NDArray[np.float32]:
    """Return the share of each colour (hue, saturation, value) in a photo, (512)."""
    colours = np.asarray(Image.fromarray(photo).convert("HSV")).reshape(-1, 3) // (
        256 // HISTOGRAM_LEVELS
    )  # (H * W, 3)
    cells = colours @ np.array([HISTOGRAM_LEVELS**2, HISTOGRAM_LEVELS, 1])  # (H * W)
    counts: NDArray[np.float32] = np.bincount(cells, minlength=HISTOGRAM_LEVELS**3).astype(np.float32)
    return counts / np.float32(len(cells))


def _most_accurate(models: Sequence[Any], inputs: NDArray[np.float32], label_ids: Sequence[int]) -> Any:
    """Return the fitted classifier that is right most often; of equal ones the first."""
    return max(models, key=lambda model: model.score(inputs, label_ids))


def _log_probabilities(model: Any, inputs: NDArray[np.float32], n_classes: int, smoothing: float = 1e-6) -> Tensor:
    """Return a classifier's log-probabilities, (N, n_classes), mixed with so much of the even distribution."""
    probabilities = np.full((len(inputs), n_classes), smoothing / n_classes)
    # A class without training photos is unknown to the classifier.
    probabilities[:, model.classes_] += (1 - smoothing) * model.predict_proba(inputs)
    return torch.from_numpy(np.log(probabilities)).float()  # (N, n_classes)
