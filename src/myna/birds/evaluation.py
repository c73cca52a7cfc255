"""How good predicted species are: accuracy and F1, class by class, how sure the figures are, and how sure the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

N_BINS = 15
"""Bins of confidence in the calibration error, as in Guo et al. 2017, table 1."""
_TOP = 5


def summarise(logits: Tensor, label_ids: Sequence[int]) -> dict[str, float]:
    """Return loss, accuracy, micro F1 and macro F1 of logits, (N, n_classes).

    With one label a photo, micro F1 is accuracy; it is reported because the assignment asks for it. Macro F1 is the
    mean over the classes that occur among labels or predictions.
    """
    # Takes a second to import, and naming a photo needs none of it.
    from sklearn.metrics import f1_score

    truth = torch.tensor(label_ids)
    predicted = logits.argmax(1)
    return {
        "loss": float(functional.cross_entropy(logits, truth)),
        "accuracy": float((predicted == truth).double().mean()),
        "micro_f1": float(f1_score(truth, predicted, average="micro")),
        "macro_f1": float(f1_score(truth, predicted, average="macro")),
    }


def evaluate(logits: Tensor, label_ids: Sequence[int], classes: Sequence[str]) -> dict[str, Any]:
    """Return all that is measured on the predictions for a split, as plain JSON values.

    Checked against: scikit-learn (tests/birds/test_evaluation.py).

    Args:
        logits: (N, n_classes) of a net, or log-probabilities, as the baselines give.
        label_ids: the true class of each photo.
        classes: the name of each class.

    Returns:
        n, what `summarise` gives, and
        `top5`: share of photos whose class is among the five likeliest;
        `calibration_error`: see `measure_calibration`;
        `intervals`: of accuracy and macro_f1, see `bootstrap_intervals`;
        `per_class`: name, n (photos of the class), precision, recall and f1, 0 where there is nothing to divide by;
        `confusion`: counts, a row for each true class and a column for each predicted one.

    Raises:
        ValueError: there are no photos, the arguments do not fit each other, or a logit is not a finite number.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    _check(logits, label_ids, classes)
    truth, class_ids = torch.tensor(label_ids), range(len(classes))
    ranked = logits.topk(min(_TOP, len(classes)), dim=1).indices  # (N, 5)
    confidence, predicted = logits.double().softmax(1).max(1)  # (N), (N)
    confusion = confusion_matrix(truth, predicted, labels=class_ids)  # (n_classes, n_classes)
    measures = precision_recall_fscore_support(truth, predicted, labels=class_ids, zero_division=0)
    return {
        "n": len(truth),
        **summarise(logits, label_ids),
        "top5": float((ranked == truth[:, None]).any(1).double().mean()),
        "calibration_error": measure_calibration(confidence.numpy(), (predicted == truth).numpy()),
        "intervals": bootstrap_intervals(confusion),
        "per_class": [
            {"name": name, "n": int(n), "precision": float(precision), "recall": float(recall), "f1": float(f1)}
            for name, precision, recall, f1, n in zip(classes, *measures, strict=True)
        ],
        "confusion": confusion.tolist(),
    }


def measure_calibration(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> float:
    """Return the expected calibration error: by how much confidence misses accuracy, on average over photos.

    Photos are sorted by confidence into 15 bins of equal width, (0, 1/15] to (14/15, 1]; in each, mean confidence is
    compared with accuracy. Source: Guo et al. 2017 (arXiv 1706.04599), equation 3.

    Shape:
        confidence, correct: (N); the probability of the predicted class, and whether it is the true one.
    """
    # The gaps of a bin add up before the absolute value is taken: n * |accuracy - mean confidence|.
    bins = np.ceil(confidence * N_BINS).astype(int) - 1
    gaps = np.bincount(bins.clip(0, N_BINS - 1), weights=correct - confidence)
    return float(np.abs(gaps).sum() / len(confidence))


def bootstrap_intervals(
    confusion: NDArray[np.int64], n_resamples: int = 2_000, seed: int = 0
) -> dict[str, list[float]]:
    """Return the 95 % percentile bootstrap intervals of accuracy and macro F1, over photos.

    Neither measure knows more of a photo than its true and its predicted class, so that drawing n photos with
    replacement is drawing counts of the cells of the confusion matrix from a multinomial distribution.
    Source: Efron 1979, The Annals of Statistics 7(1), section 2.

    Args:
        confusion: (n_classes, n_classes), counts of photos by true and predicted class.
        n_resamples: how often n photos are drawn.
        seed: of the draws.
    """
    n, identity = int(confusion.sum()), np.eye(len(confusion))
    truth, predicted = np.nonzero(confusion)  # (n_cells) each
    shares = confusion[truth, predicted] / n
    counts = (
        np.random.default_rng(seed).multinomial(n, shares, size=n_resamples).astype(float)
    )  # (n_resamples, n_cells)
    hits = counts[:, truth == predicted] @ identity[truth[truth == predicted]]  # (n_resamples, n_classes)
    sizes = counts @ (identity[truth] + identity[predicted])  # (n_resamples, n_classes), 2 TP + FP + FN
    f1 = np.divide(2 * hits, sizes, out=np.zeros_like(hits), where=sizes > 0)
    resampled = {"accuracy": hits.sum(1) / n, "macro_f1": f1.sum(1) / (sizes > 0).sum(1)}
    return {name: np.quantile(values, [0.025, 0.975]).tolist() for name, values in resampled.items()}


def _check(logits: Tensor, label_ids: Sequence[int], classes: Sequence[str]) -> None:
    """Refuse arguments that do not fit each other."""
    if not len(label_ids):
        raise ValueError("evaluate: expected at least one photo, not an empty split")
    expected = (len(label_ids), len(classes))
    if logits.shape != expected:
        raise ValueError(f"evaluate: expected logits {expected} of photos and classes, not {tuple(logits.shape)}")
    if min(label_ids) < 0 or max(label_ids) >= len(classes):
        wrong = min(label_ids) if min(label_ids) < 0 else max(label_ids)
        raise ValueError(f"evaluate: expected label ids from 0 to {len(classes) - 1}, not {wrong}")
    if not logits.isfinite().all():
        photo = int(logits.isfinite().all(1).int().argmin())
        raise ValueError(f"evaluate: expected finite logits, not {logits[photo].tolist()} of photo {photo}")
