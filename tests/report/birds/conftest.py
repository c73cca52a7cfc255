"""Generated studies of birds, as a study writes them: real in shape, drawn from curves with a seed."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest

from myna.report.birds.measures import find_best

Results = dict[str, Any]

CLASSES = (
    "Asian-Green-Bee-Eater", "Brown-Headed-Barbet", "Cattle-Egret", "Common-Kingfisher", "Common-Myna",
    "Common-Rosefinch", "Common-Tailorbird", "Coppersmith-Barbet", "Forest-Wagtail", "Gray-Wagtail", "Hoopoe",
    "House-Crow", "Indian-Grey-Hornbill", "Indian-Peacock", "Indian-Pitta", "Indian-Roller", "Jungle-Babbler",
    "Northern-Lapwing", "Red-Wattled-Lapwing", "Ruddy-Shelduck", "Rufous-Treepie", "Sarus-Crane", "White-Wagtail",
    "White-Breasted-Kingfisher", "White-Breasted-Waterhen",
)  # fmt: skip
REACHED = {"bn": 0.56, "in": 0.60, "bin": 0.62, "ln": 0.55, "gn": 0.58, "nn": 0.44, "inbuilt": 0.555}


def _score(draw: random.Random, accuracy: float, n: int, classes: tuple[str, ...]) -> dict[str, Any]:
    """A score whose confusion matrix has about this accuracy; what follows from the matrix does."""
    k, each = len(classes), n // len(classes)
    confusion = [[0] * k for _ in range(k)]
    for truth in range(k):
        right = min(0.98, max(0.05, accuracy + 0.2 * math.sin(3.7 * truth)))
        for _ in range(each):
            near = (truth + draw.choice([1, 1, 1, -1, 2, 5, 7, 11])) % k
            confusion[truth][truth if draw.random() < right else near] += 1
    n = k * each
    found = sum(confusion[i][i] for i in range(k)) / n
    per_class = []
    for i, name in enumerate(classes):
        said = sum(row[i] for row in confusion) or 1
        precision, recall = confusion[i][i] / said, confusion[i][i] / each
        f1 = 2 * precision * recall / ((precision + recall) or 1)
        per_class.append({"name": name, "n": each, "precision": precision, "recall": recall, "f1": f1})
    macro = sum(c["f1"] for c in per_class) / k
    half = 1.96 * math.sqrt(found * (1 - found) / n)
    return {
        "n": n, "loss": 2.6 * (1 - found), "accuracy": found, "micro_f1": found, "macro_f1": macro,
        "top5": min(1.0, found + 0.3), "calibration_error": 0.05 + draw.random() / 20,
        "intervals": {"accuracy": [found - half, found + half], "macro_f1": [macro - half, macro + half]},
        "per_class": per_class, "confusion": confusion, "seconds": 4.0, "photos_per_second": n / 4,
    }  # fmt: skip


def _curves(draw: random.Random, reached: float, n_epochs: int) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for epoch in range(1, n_epochs + 1):
        part = 1 - math.exp(-4 * epoch / n_epochs)
        at = {"epoch": epoch, "step": 80 * epoch, "minutes": 0.5 * epoch}
        val, train = (goal * part + draw.gauss(0, 0.008) for goal in (reached, reached + 0.14))
        rate = 0.05 * (1 + math.cos(math.pi * epoch / n_epochs))
        lines.append({"split": "train", **at, "loss": 3.2 - 2 * part + draw.gauss(0, 0.01), "learning_rate": rate})
        scores = {"loss": 3 * (1 - val), "accuracy": val, "micro_f1": val, "macro_f1": val - 0.01}
        scores |= {"train_loss": 3 * (1 - train), "train_accuracy": train, "train_micro_f1": train}
        lines.append({"split": "val", **at, **scores, "train_macro_f1": train - 0.005})
    return lines


def _run(
    norm: str,
    seed: int,
    n_epochs: int,
    classes: tuple[str, ...],
    label: str = "",
    batch_size: int = 32,
    reached: float | None = None,
) -> dict[str, Any]:
    draw = random.Random(f"{norm}-{seed}-{batch_size}")
    goal = (reached or REACHED[norm]) + draw.gauss(0, 0.012)
    name = f"{label or norm}-seed{seed}"
    n = 40 * len(classes)
    return {
        "name": name, "label": label or norm, "seed": seed,
        "command": f"myna birds train configs/birds/cpu/{norm}.toml --set training.seed={seed}",
        "config": {
            "study": "birds", "name": name, "data.size": 64, "data.flip": True, "model.n": 2, "model.norm": norm,
            "model.groups": 8, "label_smoothing": 0.1, "training.batch_size": batch_size,
            "training.epochs": 50, "training.optimizer.learning_rate": 0.1, "training.seed": seed,
        },
        "n_parameters": 175_000 if norm != "bin" else 175_688, "n_layers": 14, "multiply_adds": 30_100_000,
        "map_sizes": [[64, 64], [32, 32], [16, 16]], "minutes": 0.5 * n_epochs + seed,
        "curves": _curves(draw, goal, n_epochs),
        "scores": {
            split: _score(draw, goal + more, n, classes)
            for split, more in {"train": 0.14, "val": 0.01, "test": 0.0}.items()
        },
    }  # fmt: skip


def _facts(classes: tuple[str, ...]) -> dict[str, Any]:
    n = len(classes)
    sizes = {
        "distinct": 300, "commonest": [[512, 512, 40], [640, 480, 12]], "median_shorter_side": 480.0,
        "aspect_ratio": {"min": 0.5, "median": 1.333, "max": 2.0}, "portrait_share": 0.21,
    }  # fmt: skip
    pair = {
        "photos": ["train/Hoopoe/1.jpg", "test/Hoopoe/7.jpg"], "classes": ["Hoopoe", "Hoopoe"],
        "kind": "near", "correlation": 0.9712,
    }  # fmt: skip
    return {
        "source": "the real photos",
        "classes": list(classes),
        "splits": {
            split: {
                "photos": count * n, "unreadable": 0, "class_counts": dict.fromkeys(classes, count),
                "formats": {"JPEG": count * n - 3, "PNG": 3}, "sizes": sizes,
            }
            for split, count in {"train": 189, "val": 43, "test": 43}.items()
        },
        "unreadable": [],
        "copies": {
            "max_hamming": 10,
            "min_correlation": 0.9,
            "within": {split: {"exact": 0, "near": 4} for split in ("train", "val", "test")},
            "between": {pair: {"exact": 0, "near": 1} for pair in ("train-val", "train-test", "val-test")},
            "leaked": {split: {"photos": 1, "share": 1 / 1076} for split in ("val", "test")},
            "pairs_between": [pair],
        },
        "label_conflicts": [],
        "source_bias": {
            "chance": 0.052,
            "accuracy": {"all": 0.231, "shape": 0.15, "compression": 0.18, "file_size": 0.09},
            "recall": {name: 0.01 * i for i, name in enumerate(classes)},
        },
    }  # fmt: skip


def _study(name: str, title: str, runs: list[dict[str, Any]], classes: tuple[str, ...]) -> Results:
    draw, n = random.Random(0), 40 * len(classes)
    floors = {"linear on pixels": 0.14, "colour histogram k-nearest neighbour": 0.19, "most frequent class": 0.0}
    labels = dict.fromkeys(run["label"] for run in runs)
    comparisons = []
    for a, b in combinations(labels, 2):
        means = [
            sum(r["scores"]["test"]["accuracy"] for r in runs if r["label"] == label)
            / sum(r["label"] == label for r in runs)
            for label in (a, b)
        ]
        difference = means[0] - means[1]
        p = math.erfc(abs(difference) / 0.02)
        comparisons.append(
            {"split": "test", "a": a, "b": b, "n_seeds": 3, "difference": difference,
             "low": difference - 0.02, "high": difference + 0.02, "p": p, "p_holm": min(1.0, 10 * p)}
        )  # fmt: skip
    return {
        "study": "birds", "name": name, "title": title, "source": "the real photos", "is_generated": False,
        "command": f"myna study run configs/studies/{name}.toml", "minutes": 412.5, "n_planned": len(runs),
        "environment": {"myna": "0.1.0", "commit": "abc", "packages": {"torch": "2.13.0"}},
        "facts": _facts(classes), "runs": runs,
        "baselines": [
            {"name": floor, "label": floor,
             "scores": {split: _score(draw, reached, n, classes) for split in ("val", "test")}}
            for floor, reached in floors.items()
        ],
        "comparisons": comparisons,
    }  # fmt: skip


def make_norm_study(n_seeds: int = 3, n_epochs: int = 50, classes: tuple[str, ...] = CLASSES) -> Results:
    """All seven norms."""
    runs = [_run(norm, seed, n_epochs, classes) for norm in REACHED for seed in range(n_seeds)]
    return _study("norms", "Seven norms on 25 birds", runs, classes)


def make_batch_study(n_seeds: int = 2, n_epochs: int = 50, classes: tuple[str, ...] = CLASSES) -> Results:
    """bn and gn at two batch sizes, some stopped early."""
    reached = {("bn", 8): 0.50, ("bn", 128): 0.55, ("gn", 8): 0.57, ("gn", 128): 0.575}
    runs = [
        _run(norm, seed, n_epochs - (5 if size == 8 else 0), classes, f"{norm}, batch {size}", size, goal)
        for (norm, size), goal in reached.items()
        for seed in range(n_seeds)
    ]
    return _study("batch-size", "Batch size", runs, classes)


JPEG = "data:image/jpeg;base64,/9j/4AAQSkZJRg=="
"""Not a whole picture, which nothing here needs."""


def add_pictures(results: Results) -> Results:
    """Give the run that is most accurate on val what it has to show."""
    best = find_best(results)
    assert best is not None
    run = next(run for run in results["runs"] if run["name"] == best.best_run["name"])
    photo = {"name": "Cattle-Egret/1.jpg", "probability": 0.71, "data_uri": JPEG}
    run["confused_photos"] = [
        {
            "truth": "Cattle-Egret",
            "predicted": "House-Crow",
            "n": 9,
            "n_truth": 40,
            "photos": [photo, photo],
            "typical": [photo],
        }
    ]
    shown = [
        {"is_right": is_right, "predicted": "Cattle-Egret" if is_right else "House-Crow", "predicted_probability": 0.9,
         "class_probability": 0.9 if is_right else 0.05, "tile": JPEG}
        for is_right in (True, True, False)
    ]  # fmt: skip
    classes = [{"name": "Cattle-Egret", "asked": "Cattle Egret", "n_right": 12, "n_wrong": 1, "photos": shown}]
    run["explanation"] = {
        "model": run["name"], "n_layers": 4, "map_size": 16, "classes": classes,
        "findings": ["Maps lie in the middle."], "notes": ["Cattle-Egret: 1 photo of val named wrongly."],
    }  # fmt: skip
    return results


_NORMS = add_pictures(make_norm_study(n_seeds=2, n_epochs=6, classes=CLASSES[:7]))
_BATCHES = add_pictures(make_batch_study(n_epochs=6, classes=CLASSES[:7]))


@pytest.fixture(scope="session")
def norm_study() -> Callable[[], Results]:
    """Makes a small study of all norms anew at each call."""
    return lambda: copy.deepcopy(_NORMS)


@pytest.fixture
def results() -> Results:
    """A small study of all norms, for a test to change as it likes."""
    return copy.deepcopy(_NORMS)


@pytest.fixture
def batches() -> Results:
    """A small study of batch sizes, for a test to change as it likes."""
    return copy.deepcopy(_BATCHES)
