"""Whether a photo shows anything that a net knows, and how far its probabilities can be believed.

<model>/familiarity.json           temperature, measure, threshold, and what they were found to be worth
<model>/familiarity.safetensors    mean and precision of what the net makes of training photos
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from myna.birds.resnet import ResNet
from myna.engine.checkpoint import save_weights
from myna.errors import UserError
from myna.files import read_json, write_json

FAMILIARITY, GAUSSIAN = "familiarity.json", "familiarity.safetensors"
KNOWN_SHARE = 0.95
"""Of the photos of val, which the threshold lets pass as known."""
_SHRINKAGE = 0.05


@dataclass(frozen=True)
class Answer:
    """What a net makes of photos.

    Attributes:
        logits: (N, n_classes).
        features: (N, F), the mean of each map of each group.
    """

    logits: Tensor
    features: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, net: ResNet, photos: Tensor) -> Answer:
        """Ask a net, in evaluation mode, about normalised photos, (N, 3, H, W)."""
        maps, means = net.relu(net.layer(photos)), []
        for group in net.groups:
            maps = group(maps)
            means.append(maps.mean((2, 3)))  # (N, 16), (N, 32), (N, 64)
        return cls(net.output(means[-1]).float().cpu(), torch.cat(means, 1).float().cpu())


@dataclass(frozen=True)
class Gaussian:
    """How the features of training photos are spread.

    Attributes:
        mean: (F).
        precision: (F, F), the inverse of their covariance.
    """

    mean: Tensor
    precision: Tensor

    @classmethod
    def fit(cls, features: Tensor) -> Gaussian:
        """Fit it to features, (N, F); the covariance is drawn a little towards its diagonal."""
        covariance = features.double().T.cov()  # (F, F)
        variances = covariance.diagonal().clamp(min=1e-12)
        covariance = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * variances.diag()
        return cls(features.double().mean(0), covariance.inverse().contiguous())

    def distances(self, features: Tensor) -> Tensor:
        """Return the Mahalanobis distances of features, (N, F), from the mean: (N)."""
        apart = features.double() - self.mean
        return ((apart @ self.precision) * apart).sum(1).clamp(min=0).sqrt()


Measure = Callable[[Answer, Gaussian], Tensor]
MEASURES: dict[str, Measure] = {
    # Hendrycks and Gimpel 2017, arXiv 1610.02136
    "probability": lambda answer, gaussian: answer.logits.softmax(1).amax(1),
    # Hendrycks et al. 2022, arXiv 1911.11132
    "logit": lambda answer, gaussian: answer.logits.amax(1),
    # Liu et al. 2020, arXiv 2010.03759, equation 4, its sign turned
    "energy": lambda answer, gaussian: answer.logits.logsumexp(1),
    # Lee et al. 2018, arXiv 1807.03888, features of all stages as in section 2.2; one Gaussian for all classes
    "distance": lambda answer, gaussian: -gaussian.distances(answer.features),
}
"""By name: how familiar photos are, (N); higher is more familiar."""


@dataclass(frozen=True)
class Familiarity:
    """What a net's answers are read by.

    Attributes:
        temperature: that logits are divided by before they become probabilities.
        measure: one of `MEASURES`.
        threshold: from which on a photo counts as known.
        gaussian: of training photos.
        worth: what these were found to be worth, as JSON values.
    """

    temperature: float
    measure: str
    threshold: float
    gaussian: Gaussian
    worth: Mapping[str, Any]

    def probabilities(self, answer: Answer) -> Tensor:
        """Return how likely the classes are, (N, n_classes)."""
        return (answer.logits / self.temperature).softmax(1)

    def scores(self, answer: Answer) -> Tensor:
        """Return how familiar photos are, (N)."""
        return MEASURES[self.measure](answer, self.gaussian)

    def save(self, folder: Path) -> None:
        """Write it beside a net's weights."""
        save_weights(folder / GAUSSIAN, {"mean": self.gaussian.mean, "precision": self.gaussian.precision})
        values = {"temperature": self.temperature, "measure": self.measure, "threshold": self.threshold}
        write_json(folder / FAMILIARITY, {**values, "worth": self.worth})

    @classmethod
    def load(cls, folder: Path) -> Familiarity | None:
        """Read it from a net's folder; None where it was not fitted.

        Raises:
            UserError: a file does not say what it should.
        """
        path = folder / FAMILIARITY
        if not path.exists():
            return None
        values = read_json(path)
        try:
            parts = load_file(folder / GAUSSIAN)
            gaussian = Gaussian(parts["mean"], parts["precision"])
            numbers = float(values["temperature"]), float(values["threshold"])
            found = cls(numbers[0], values["measure"], numbers[1], gaussian, values["worth"])
        except (KeyError, TypeError, ValueError, SafetensorError, OSError):
            expected = f"temperature, measure, threshold and worth, and mean and precision in {GAUSSIAN}"
            raise UserError(f"{path}: expected {expected}") from None
        if not (found.temperature > 0 and np.isfinite(found.threshold) and found.measure in MEASURES):
            expected = f"a temperature above 0, a measure of {', '.join(MEASURES)}, a finite threshold"
            raise UserError(f"{path}: expected {expected}, not {json.dumps(values)[:80]}")
        return found


def fit_temperature(logits: Tensor, label_ids: Tensor) -> float:
    """Return the temperature at which probabilities have the least cross-entropy.

    Source: Guo et al. 2017 (arXiv 1706.04599), section 4.2. It is one number, so that a fine grid finds it.

    Shape:
        logits: (N, n_classes). label_ids: (N).
    """
    temperatures = torch.logspace(-1, 1, 401)
    losses = [float(functional.cross_entropy(logits / temperature, label_ids)) for temperature in temperatures]
    return round(float(temperatures[int(np.argmin(losses))]), 4)


def measure_area(known: Tensor, strange: Tensor) -> float:
    """Return the chance that a known photo scores higher than a strange picture: the area under the ROC curve.

    Checked against: scikit-learn's roc_auc_score (tests/birds/test_familiarity.py).
    """
    higher = (known.unsqueeze(1) > strange).double() + 0.5 * (known.unsqueeze(1) == strange).double()
    return round(float(higher.mean()), 4)


def choose_threshold(known: Tensor) -> float:
    """Return the score that `KNOWN_SHARE` of known photos reach."""
    return float(known.double().quantile(1 - KNOWN_SHARE))
