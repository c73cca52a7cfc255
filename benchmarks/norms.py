"""What a norm costs: a training step of the n=2 ResNet with each of our norms, with torch's own, and with none.

    OMP_NUM_THREADS=1 python benchmarks/norms.py
    OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=17179869184 \
        MALLOC_TOP_PAD_=268435456 python benchmarks/norms.py

The second keeps glibc from handing large tensors back to the system after each use, which costs all variants alike.

All variants are measured in one run. In each repetition every one takes a step, ours and torch's next to each other
and in random order, and a ratio is the median over repetitions of the ratio within a repetition, so that other work
on the machine strikes both sides. With one thread, times are CPU time of the process; with more, they are wall time.
Memory is the most that a process of its own had beyond what it had before its steps (Linux only). There glibc hands
every large tensor back at once: otherwise the holes of its heap are counted too, and no two runs agree.
"""

import argparse
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from myna.birds.resnet import Layer, ResNet

N_CLASSES = 25
COUNTERPARTS: dict[str, Callable[[int], nn.Module]] = {
    "bn": nn.BatchNorm2d,
    "in": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "ln": lambda channels: nn.GroupNorm(1, channels),
    "gn": lambda channels: nn.GroupNorm(8, channels),
}
NAMES = ("bn", "in", "bin", "ln", "gn")


class Trainee:
    """A net with its optimiser and one batch, which it takes step after step on.

    Args:
        variant: Name of one of our norms, `nn`, or `torch bn` and so on for torch's.
        n_photos: Photos in the batch.
        size: Height and width of the photos.
    """

    def __init__(self, variant: str, n_photos: int, size: int) -> None:
        torch.manual_seed(0)
        name = variant.removeprefix("torch ")
        self.model = ResNet(2, N_CLASSES, norm=name)
        if variant.startswith("torch "):
            for layer in self.model.modules():
                if isinstance(layer, Layer):
                    layer.norm = COUNTERPARTS[name](layer.norm.weight.numel())
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9)
        self.photos = torch.randn(n_photos, 3, size, size)
        self.class_ids = torch.randint(N_CLASSES, (n_photos,))

    def step(self, clock: Callable[[], float]) -> tuple[float, float]:
        """Seconds of the forward pass, and of the whole step."""
        self.optimizer.zero_grad()
        start = clock()
        loss: Tensor = functional.cross_entropy(self.model(self.photos), self.class_ids)
        forward = clock()
        loss.backward()
        self.optimizer.step()
        return forward - start, clock() - start


def measure_times(n_photos: int, size: int, n_repeats: int, n_threads: int) -> dict[str, list[tuple[float, float]]]:
    """Times of forward pass and step of each variant, a pair for each repetition."""
    torch.set_num_threads(n_threads)
    clock = time.process_time if n_threads == 1 else time.perf_counter
    neighbours = [["nn"], *([name, f"torch {name}"] if name in COUNTERPARTS else [name] for name in NAMES)]
    trainees = {variant: Trainee(variant, n_photos, size) for group in neighbours for variant in group}
    for trainee in trainees.values():
        trainee.step(clock)  # what is first is slow
    times: dict[str, list[tuple[float, float]]] = {variant: [] for variant in trainees}
    order = random.Random(0)
    for _ in range(n_repeats):
        order.shuffle(neighbours)
        for group in neighbours:
            order.shuffle(group)
            for variant in group:
                times[variant].append(trainees[variant].step(clock))
    return times


def measure_memory(arguments: tuple[str, int, int, int]) -> float | None:
    """MB that two steps of a variant take at the most, beyond what the process had before."""
    variant, n_photos, size, n_threads = arguments
    if not Path("/proc/self/clear_refs").exists():
        return None
    torch.set_num_threads(n_threads)
    Trainee(variant, 2, 32).step(time.perf_counter)  # loads what is loaded once
    trainee = Trainee(variant, n_photos, size)
    before = read_status("VmRSS")
    for _ in range(2):
        trainee.step(time.perf_counter)
    return (read_status("VmHWM") - before) / 1024


def read_status(field: str) -> int:
    """A field of this process in Linux's /proc, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def ratio(ours: list[float], theirs: list[float]) -> str:
    """Median over repetitions of ours / theirs, with the quartiles."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return f"{middle:.3f} ({low:.2f}-{high:.2f})"


def print_table(times: dict[str, list[tuple[float, float]]], memory: dict[str, float | None]) -> None:
    """One line for each variant."""
    head = ("norm", "forward ms", "step ms", "forward / torch", "step / torch", "step / none", "MB", "MB / torch")
    rows = [head]
    forwards, steps = ({variant: [pair[i] for pair in pairs] for variant, pairs in times.items()} for i in (0, 1))
    for variant in times:
        peak, torchs = memory[variant], f"torch {variant}"
        megabytes, their_megabytes = (f"{peak:.0f}" if peak else "-"), memory.get(torchs)
        rows.append(
            (
                variant,
                f"{1000 * statistics.median(forwards[variant]):.0f}",
                f"{1000 * statistics.median(steps[variant]):.0f}",
                ratio(forwards[variant], forwards[torchs]) if torchs in times else "-",
                ratio(steps[variant], steps[torchs]) if torchs in times else "-",
                ratio(steps[variant], steps["nn"]),
                megabytes,
                f"{peak / their_megabytes:.3f}" if peak and their_megabytes else "-",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=16, help="photos in a batch")
    parser.add_argument("--size", type=int, default=128, help="height and width of a photo")
    parser.add_argument("--repeats", type=int, default=15, help="steps of each variant")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    arguments = parser.parse_args()
    shape = (arguments.photos, arguments.size)
    print(f"{shape[0]} photos of {shape[1]} x {shape[1]}, {arguments.threads} threads, {arguments.repeats} repetitions")
    settings = {key: os.environ.pop(key) for key in sorted(os.environ) if key.startswith("MALLOC_")}
    print("malloc:", ", ".join(f"{key}={value}" for key, value in settings.items()) or "as it comes")
    times = measure_times(*shape, arguments.repeats, arguments.threads)
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        tasks = [(variant, *shape, arguments.threads) for variant in times]
        memory = dict(zip(times, pool.map(measure_memory, tasks, chunksize=1), strict=True))
    print_table(times, memory)


if __name__ == "__main__":
    main()
