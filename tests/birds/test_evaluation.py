"""Measures of predicted species against scikit-learn, and what they refuse."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics
from sklearn.calibration import calibration_curve
from torch import Tensor

from myna.birds.evaluation import N_BINS, bootstrap_intervals, evaluate, measure_calibration, summarise


def make_predictions(n: int, n_classes: int, seed: int = 0) -> tuple[Tensor, list[int]]:
    """Logits that are right about half of the time."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(n_classes, (n,), generator=generator)
    logits = torch.randn(n, n_classes, generator=generator)
    logits[range(n), truth] += 1.5
    return logits, truth.tolist()


def name_classes(n: int) -> list[str]:
    return [f"class-{i}" for i in range(n)]


@pytest.mark.parametrize("n_classes", [2, 4, 5, 6, 25])
def test_measures_are_those_of_scikit_learn(n_classes: int) -> None:
    logits, truth = make_predictions(300, n_classes)
    result = evaluate(logits, truth, name_classes(n_classes))
    predicted, probabilities, labels = logits.argmax(1), logits.double().softmax(1).numpy(), list(range(n_classes))
    assert result["n"] == 300
    assert result["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert result["loss"] == pytest.approx(metrics.log_loss(truth, probabilities, labels=labels), rel=1e-5)
    for average in ("micro", "macro"):
        assert result[f"{average}_f1"] == pytest.approx(metrics.f1_score(truth, predicted, average=average))
    assert result["confusion"] == metrics.confusion_matrix(truth, predicted).tolist()
    report = metrics.classification_report(truth, predicted, output_dict=True)
    for class_id, row in enumerate(result["per_class"]):
        expected = report[str(class_id)]
        assert (row["name"], row["n"]) == (f"class-{class_id}", expected["support"])
        assert [row[name] for name in ("precision", "recall", "f1")] == pytest.approx(
            [expected[name] for name in ("precision", "recall", "f1-score")]
        )
    if n_classes > 5:
        assert result["top5"] == pytest.approx(metrics.top_k_accuracy_score(truth, probabilities, k=5, labels=labels))
    else:
        assert result["top5"] == 1


def test_what_the_training_loop_reports_is_the_same() -> None:
    logits, truth = make_predictions(100, 7)
    result = evaluate(logits, truth, name_classes(7))
    assert {name: result[name] for name in ("loss", "accuracy", "micro_f1", "macro_f1")} == summarise(logits, truth)


def test_all_values_are_plain_json() -> None:
    result = evaluate(*make_predictions(40, 3), name_classes(3))
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_calibration_error_is_that_of_scikit_learns_curve() -> None:
    logits, truth = make_predictions(2_000, 10)
    probabilities = logits.double().softmax(1)
    confidence, correct = probabilities.max(1).values.numpy(), (logits.argmax(1) == torch.tensor(truth)).numpy()
    accuracy, mean_confidence = calibration_curve(correct, confidence, n_bins=N_BINS)
    counts = np.histogram(confidence, np.linspace(0, 1, N_BINS + 1))[0]
    expected = float((counts[counts > 0] * np.abs(accuracy - mean_confidence)).sum() / 2_000)
    assert evaluate(logits, truth, name_classes(10))["calibration_error"] == pytest.approx(expected)
    assert expected > 0.01


def test_calibration_error_by_hand() -> None:
    """Two photos share a bin and cancel in part; a bin holds its upper end; 1 is in the last bin."""
    confidence = np.array([0.50, 0.52, 0.8, 0.85, 1.0])
    correct = np.array([True, False, True, True, True])
    # (7/15, 8/15]: |1 - 1.02|; (11/15, 12/15]: 0.2; (12/15, 13/15]: 0.15; (14/15, 1]: 0.
    assert measure_calibration(confidence, correct) == pytest.approx((0.02 + 0.2 + 0.15) / 5)


def test_a_model_that_knows_how_sure_it_may_be_is_calibrated() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.2, 1, 100_000)
    correct = rng.random(100_000) < confidence
    assert measure_calibration(confidence, correct) < 0.01
    assert measure_calibration(confidence, ~correct) > 0.2


def test_intervals_are_those_of_photos_drawn_one_by_one() -> None:
    logits, truth = make_predictions(400, 4)
    drawn = np.random.default_rng(1).integers(400, size=(4_000, 400))
    labels, guesses = np.array(truth)[drawn], logits.argmax(1).numpy()[drawn]
    f1 = [
        2 * ((labels == i) & (guesses == i)).sum(1) / ((labels == i).sum(1) + (guesses == i).sum(1)) for i in range(4)
    ]
    scores = {"accuracy": (labels == guesses).mean(1), "macro_f1": np.mean(f1, axis=0)}
    assert scores["macro_f1"][0] == pytest.approx(metrics.f1_score(labels[0], guesses[0], average="macro"))
    intervals = evaluate(logits, truth, name_classes(4))["intervals"]
    for name, values in scores.items():
        assert intervals[name] == pytest.approx(np.quantile(values, [0.025, 0.975]).tolist(), abs=0.005)


def test_intervals_are_repeatable_and_hold_the_score() -> None:
    logits, truth = make_predictions(500, 25)
    first, second = (evaluate(logits, truth, name_classes(25)) for _ in range(2))
    assert first["intervals"] == second["intervals"]
    for name, (low, high) in first["intervals"].items():
        assert 0 < low < first[name] < high < 1


def test_intervals_hold_the_true_accuracy_as_often_as_they_say() -> None:
    rng, n_held = np.random.default_rng(0), 0
    for _ in range(200):
        n_right = rng.binomial(300, 0.7)
        confusion = np.array([[n_right // 2, 300 - n_right], [0, n_right - n_right // 2]])
        low, high = bootstrap_intervals(confusion, n_resamples=400)["accuracy"]
        n_held += low <= 0.7 <= high
    assert 180 <= n_held <= 198


def test_a_perfect_model_has_no_spread() -> None:
    result = evaluate(torch.eye(3).repeat(4, 1) * 50, [0, 1, 2] * 4, name_classes(3))
    assert result["intervals"] == {"accuracy": [1, 1], "macro_f1": [1, 1]}
    assert result["calibration_error"] == pytest.approx(0, abs=1e-12)


def test_a_class_without_photos_counts_where_it_is_predicted() -> None:
    """Of four classes, 2 is predicted without being there, and 3 neither; macro F1 is over the other three."""
    logits = torch.eye(4)[[0, 1, 2, 1]]
    result = evaluate(logits, [0, 1, 1, 0], name_classes(4))
    assert [row["n"] for row in result["per_class"]] == [2, 2, 0, 0]
    assert [row["recall"] for row in result["per_class"]] == [0.5, 0.5, 0, 0]
    assert [row["precision"] for row in result["per_class"]] == [1, 0.5, 0, 0]
    assert result["macro_f1"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert np.array(result["confusion"]).shape == (4, 4)
    low, high = result["intervals"]["macro_f1"]
    assert low < result["macro_f1"] < high


def test_a_single_photo_is_a_split() -> None:
    result = evaluate(torch.tensor([[0.0, math.log(3)]]), [1], ["a", "b"])
    assert (result["n"], result["accuracy"], result["macro_f1"], result["top5"]) == (1, 1, 1, 1)
    assert result["calibration_error"] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("logits", "label_ids", "message"),
    [
        (torch.empty(0, 3), [], "at least one photo, not an empty split"),
        (torch.zeros(2, 4), [0, 1], r"logits \(2, 3\) of photos and classes, not \(2, 4\)"),
        (torch.zeros(1, 3), [0, 1], r"logits \(2, 3\) of photos and classes, not \(1, 3\)"),
        (torch.zeros(2, 3), [0, 3], "label ids from 0 to 2, not 3"),
        (torch.zeros(2, 3), [0, -1], "label ids from 0 to 2, not -1"),
        (torch.tensor([[0.0, 1, 2], [0, math.nan, 1]]), [0, 1], r"finite logits, not \[0.0, nan, 1.0\] of photo 1"),
        (torch.tensor([[0.0, -math.inf, 2], [0, 0, 1]]), [0, 1], r"finite logits, not \[0.0, -inf, 2.0\] of photo 0"),
    ],
)
def test_what_cannot_be_measured_is_refused(logits: Tensor, label_ids: list[int], message: str) -> None:
    classes: Any = ("a", "b", "c")
    with pytest.raises(ValueError, match=message):
        evaluate(logits, label_ids, classes)
