"""How near a training step of the n=2 ResNet comes to its convolutions alone, and how it grows."""

from __future__ import annotations

import torch
from harness import Effort, Row, Speeds, Variant, compare_cores
from norms import N_PHOTOS, SIZE, Trainee
from products import PRODUCT, convolutions, product


def measure(effort: Effort) -> list[Row]:
    """Compare a step with its limit, and with steps of other sizes."""
    torch.set_num_threads(1)
    on_cores = compare_cores("resnet", "step with bn", Trainee("bn").step, N_PHOTOS, "photos", effort)
    return [*_compare_limits(effort), *_compare_growth(effort), on_cores]


def _compare_limits(effort: Effort) -> list[Row]:
    step, bare = Trainee("bn"), Trainee("nn")
    # A multiply-add is two operations; the backward pass takes twice as many as the forward pass.
    n_operations = 6 * step.net.multiply_adds(SIZE, SIZE) * N_PHOTOS / 1e9
    speeds = Speeds(
        "resnet",
        {
            "step with bn": Variant(step.step, n_operations, "GFLOP"),
            "step with no norm": Variant(bare.step, n_operations, "GFLOP"),
            "its convolutions alone": Variant(convolutions(bare.net, bare.photos), n_operations, "GFLOP"),
            PRODUCT: product(),
        },
        effort,
    )
    pairs = (
        ("step with bn", "its convolutions alone"),
        ("step with no norm", "its convolutions alone"),
        ("its convolutions alone", PRODUCT),
        ("step with bn", PRODUCT),
    )
    return [speeds.row(*pair) for pair in pairs]


def _compare_growth(effort: Effort) -> list[Row]:
    shapes = {
        "4 photos of 64 x 64": (4, 64),
        "16 photos of 64 x 64": (16, 64),
        "16 photos of 32 x 32": (16, 32),
        "4 photos of 128 x 128": (4, 128),
    }
    trainees = {name: Trainee("bn", n_photos=n, size=size) for name, (n, size) in shapes.items()}
    speeds = Speeds(
        "resnet", {name: Variant(trainees[name].step, n, "photos") for name, (n, _) in shapes.items()}, effort
    )
    return [
        speeds.row("16 photos of 64 x 64", "16 photos of 32 x 32"),
        speeds.row("4 photos of 128 x 128", "4 photos of 64 x 64"),
        speeds.row("16 photos of 64 x 64", "4 photos of 64 x 64"),
    ]
