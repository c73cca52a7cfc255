"""How good predicted species are: accuracy, F1, loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from sklearn.metrics import f1_score
from torch import Tensor
from torch.nn import functional


def summarise(logits: Tensor, label_ids: Sequence[int]) -> dict[str, float]:
    """Return loss, accuracy, micro F1 and macro F1 of logits, (N, n_classes).

    With one label a photo, micro F1 is accuracy; it is reported because the assignment asks for it. Macro F1 is the
    mean over the classes that occur among labels or predictions.
    """
    truth = torch.tensor(label_ids)
    predicted = logits.argmax(1)
    return {
        "loss": float(functional.cross_entropy(logits, truth)),
        "accuracy": float((predicted == truth).double().mean()),
        "micro_f1": float(f1_score(truth, predicted, average="micro")),
        "macro_f1": float(f1_score(truth, predicted, average="macro")),
    }
