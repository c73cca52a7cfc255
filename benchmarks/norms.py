"""What a norm costs: a training step of the n=2 ResNet with each of ours, with torch's own, and with none.

Memory is the most that the process had in a step beyond what it had before (Linux alone). There glibc hands every
large tensor back at once: otherwise the holes of its heap are counted too, and no two runs agree.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from harness import Effort, Row, Speeds, Variant
from torch import nn
from torch.nn import functional

from myna.birds.resnet import Layer, ResNet

N_CLASSES, N_PHOTOS, SIZE = 25, 16, 64
COUNTERPARTS: dict[str, Callable[[int], nn.Module]] = {
    "bn": nn.BatchNorm2d,
    "in": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "ln": lambda channels: nn.GroupNorm(1, channels),
    "gn": lambda channels: nn.GroupNorm(8, channels),
}
NAMES = ("bn", "in", "bin", "ln", "gn")
_CLEAR_PEAK = Path("/proc/self/clear_refs")


class Trainee:
    """A net with its optimiser and one batch, which it takes step after step on.

    Args:
        name: of one of our norms; "nn" is none.
        torchs: put torch's own in its place.
        n_photos: photos in the batch.
        size: height and width of the photos.
    """

    def __init__(self, name: str, torchs: bool = False, n_photos: int = N_PHOTOS, size: int = SIZE) -> None:
        torch.manual_seed(0)
        self.net = ResNet(2, N_CLASSES, norm=name)
        if torchs:
            for layer in self.net.modules():
                if isinstance(layer, Layer):
                    layer.norm = COUNTERPARTS[name](layer.norm.weight.numel())
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=1e-3, momentum=0.9)
        self.photos = torch.randn(n_photos, 3, size, size)
        self.class_ids = torch.randint(N_CLASSES, (n_photos,))

    def step(self) -> None:
        """Take a step."""
        self.optimizer.zero_grad()
        functional.cross_entropy(self.net(self.photos), self.class_ids).backward()
        self.optimizer.step()


def measure(effort: Effort) -> list[Row]:
    """Compare the steps, and their memory."""
    torch.set_num_threads(1)
    rows = []
    for name in NAMES:
        # A norm is measured with its counterpart and no other, so that the three are as near in time as can be.
        trainees = {f"step with {name}": Trainee(name), "step with nn": Trainee("nn")}
        if name in COUNTERPARTS:
            trainees[f"step with torch's {name}"] = Trainee(name, torchs=True)
        variants = {what: Variant(trainee.step, N_PHOTOS, "photos") for what, trainee in trainees.items()}
        speeds = Speeds("norms", variants, effort)
        ours, *others = variants
        rows += [speeds.row(ours, other) for other in others]
    return rows + _compare_memory()


def _compare_memory() -> list[Row]:
    if not _CLEAR_PEAK.exists():
        return []
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        del os.environ[name]
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        peaks = pool.submit(_measure_memory).result()
    return [
        Row(
            "norms",
            f"memory of a step with {name}",
            f"memory of a step with torch's {name}",
            ratio=peaks[name] / peaks[f"torch's {name}"],
            value=peaks[name],
            unit="MB",
        )
        for name in COUNTERPARTS
    ]


def _measure_memory() -> dict[str, float]:
    """Return the MB that a step takes with each of our norms that has a counterpart, and with that."""
    torch.set_num_threads(1)
    peaks = {}
    for name in COUNTERPARTS:
        for torchs in (False, True):
            trainee = Trainee(name, torchs)
            trainee.step()  # what is allocated once
            _CLEAR_PEAK.write_text("5")
            before = _read_status("VmRSS")
            trainee.step()
            peaks[f"torch's {name}" if torchs else name] = (_read_status("VmHWM") - before) / 1024
    return peaks


def _read_status(field: str) -> int:
    """Return a field of this process in Linux's /proc, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
