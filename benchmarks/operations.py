"""What the trainings of some configs cost: operations counted, and how fast one core here does them.

An operation is a multiplication or an addition; those of matrix products and convolutions are counted (by torch's
formulas), forward and backward, padding included. The speed is of processor time, so that other work hardly counts.

    python benchmarks/operations.py configs/birds/full/assigned.toml configs/math/full/lstm_lstm.toml
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from myna.birds.splits import load_splits as load_birds
from myna.birds.task import build_resnet
from myna.config import BirdsConfig, MathConfig, load
from myna.mathqa.splits import load_splits as load_problems
from myna.mathqa.task import MathTask

CPU = torch.device("cpu")
N_BATCHES, N_PHOTOS = 8, 8


class Counter(TorchDispatchMode):
    """Counts operations; torch's own mode also tracks modules, and fails on one that is called without gradients."""

    n = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Call and count."""
        output = function(*args, **(kwargs or {}))
        if function.overloadpacket in flop_registry:
            self.n += flop_registry[function.overloadpacket](*args, **(kwargs or {}), out_val=output)
        return output


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", type=Path, nargs="+")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    a = torch.randn(1024, 1024)
    peak = 2 * 1024**3 / 1e9 / min(_seconds(lambda: a @ a) for _ in range(10))
    print(f"torch {torch.__version__}, one core: {peak:.0f} GFLOP/s on a 1024 x 1024 product")
    print("config                       examples  epochs  GFLOP/example  PFLOP/training  GFLOP/s here  core hours")
    for path in options.configs:
        measure = measure_math if "math" in path.parts else measure_birds
        n_examples, epochs, operations, seconds = measure(path, options.overrides, options.data)
        total = n_examples * epochs
        print(
            f"{path.parent.name + '/' + path.stem:27}  {n_examples:8,}  {epochs:6}  {operations / 1e9:13.2f}"
            f"  {total * operations / 1e15:14.2f}  {operations / 1e9 / seconds:12.1f}  {total * seconds / 3600:10.1f}"
        )


def measure_birds(path: Path, overrides: list[str], data: Path | None) -> tuple[int, int, float, float]:
    """Return examples, epochs, operations an example, and seconds."""
    config = load(BirdsConfig, path, overrides)
    size = config.data.size
    net = build_resnet(config.model, 25)
    photos = torch.randn(N_PHOTOS, 3, size, size)

    def step() -> None:
        net(photos).sum().backward()

    with Counter() as counter:
        step()
    seconds = min(_seconds(step) for _ in range(3))
    n_photos = len(load_birds(data).train)
    return n_photos, config.training.epochs, counter.n / N_PHOTOS, seconds / N_PHOTOS


def measure_math(path: Path, overrides: list[str], data: Path | None) -> tuple[int, int, float, float]:
    """Return distinct examples, epochs, operations an example, and seconds, over some batches drawn at random."""
    config = load(MathConfig, path, overrides)
    splits = load_problems(data)
    task = MathTask(config, splits.train, splits.dev[:1])
    groups = random.Random(0).sample(task.batches(0), N_BATCHES)
    n_examples = sum(map(len, groups))

    def step() -> None:
        for group in groups:
            loss, weight = task.loss(task.model, group, CPU)
            (loss / weight).backward()

    # Fused, an LSTM is one call that the counter does not know.
    with Counter() as counter, torch.backends.mkldnn.flags(enabled=False):
        step()
    seconds = _seconds(step)
    return len(task.examples), config.training.epochs, counter.n / n_examples, seconds / n_examples


def _seconds(step: Callable[[], object]) -> float:
    started = time.process_time()
    step()
    return time.process_time() - started


if __name__ == "__main__":
    main()
