"""How likely an answer is right, given what speaks for it: a logistic curve, fitted on dev. No torch in here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from myna.mathqa.fitted import Fitted

FILE = "certainty.json"
N_BINS = 10
_SMALLEST = 1e-4  # a probability, of which odds are taken
_RIDGE = 1.0
_N_STEPS = 50


@dataclass(frozen=True)
class Evidence:
    """What speaks for an answer.

    Attributes:
        probability: of all the programs that the beam kept which give this answer.
        likeness: of the nearest training problem, 0 to 1; None where the training problems are not at hand.
        is_seen: whether that one reads the same but for the numbers.
        agrees: whether its program gives this answer, too.
    """

    probability: float
    likeness: float | None = None
    is_seen: bool = False
    agrees: bool = False

    def features(self) -> list[float]:
        """Return what the curve is taken over: 1, the log-odds of the probability, and the rest if it is known."""
        probability = min(max(self.probability, _SMALLEST), 1 - _SMALLEST)
        odds = math.log(probability / (1 - probability))
        if self.likeness is None:
            return [1.0, odds]
        return [1.0, odds, self.likeness, float(self.is_seen), float(self.agrees)]


class Check(BaseModel):
    """How far a curve's certainties are from what came true, on problems that it was not fitted on."""

    model_config = ConfigDict(extra="forbid")

    n: int
    mean_certainty: float
    accuracy: float = Field(description="share of the answers that were right")
    calibration_error: float = Field(description="mean distance of the two over ten bins of equally many problems")


class Certainty(Fitted):
    """How sure one may be of a model's answers."""

    file = FILE

    training_sha256: str = Field(description="hash of the training problems that likeness is meant to")
    n: int = Field(description="dev problems that the curves were fitted on")
    beside_training: list[float] = Field(
        min_length=5,
        max_length=5,
        description="weights of 1, log-odds of the probability, likeness, whether seen, whether the neighbour agrees",
    )
    alone: list[float] = Field(
        min_length=2,
        max_length=2,
        description="weights of 1 and the log-odds; of novel problems, since whether one is seen is not known",
    )
    checks: dict[str, Check] = Field(description="on test: all, novel and far problems; novel ones by the curve alone")

    def of(self, evidence: Evidence) -> float:
        """Return how likely an answer is right."""
        weights = self.alone if evidence.likeness is None else self.beside_training
        return float(_probabilities(np.array([evidence.features()]), np.array(weights))[0])


def fit(evidence: Sequence[Evidence], right: Sequence[bool]) -> list[float]:
    """Fit the weights of a logistic curve by Newton's method, with a little weight decay so that there always are some.

    Source: Platt 1999, Advances in Large Margin Classifiers, over several features.
    Checked against: scikit-learn's `LogisticRegression` (tests/mathqa/test_certainty.py).

    Args:
        evidence: for each answer, all with likeness or all without.
        right: whether each answer was right.
    """
    features = np.array([each.features() for each in evidence])  # (N, F)
    outcomes = np.array(right, dtype=np.float64)  # (N,)
    decay = _RIDGE * np.eye(features.shape[1])
    weights = np.zeros(features.shape[1])  # (F,)
    for _ in range(_N_STEPS):
        expected = _probabilities(features, weights)
        gradient = features.T @ (expected - outcomes) + decay @ weights
        curvature = features.T @ (features * (expected * (1 - expected))[:, np.newaxis]) + decay  # (F, F)
        weights = weights - np.linalg.solve(curvature, gradient)
    return [float(weight) for weight in weights]


def check(certainties: Sequence[float], right: Sequence[bool]) -> Check:
    """Compare certainties with what came true.

    The calibration error is the expected one over bins of equally many problems (Nguyen and O'Connor 2015,
    arXiv 1508.05154).
    """
    order = np.argsort(certainties, kind="stable")
    ordered, outcomes = np.array(certainties)[order], np.array(right, dtype=np.float64)[order]
    bins = zip(np.array_split(ordered, N_BINS), np.array_split(outcomes, N_BINS), strict=True)
    distances = [abs(float(expected.sum() - came.sum())) for expected, came in bins]
    n = max(1, len(ordered))
    return Check(
        n=len(ordered),
        mean_certainty=float(ordered.sum()) / n,
        accuracy=float(outcomes.sum()) / n,
        calibration_error=sum(distances) / n,
    )


def _probabilities(features: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logistic curve's heights (N,) over features (N, F)."""
    heights: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))
    return heights
