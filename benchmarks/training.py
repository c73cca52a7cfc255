"""How many problems a second the training takes, and its share of the machine's matrix-multiply speed.

BiLSTM 2 x 256, decoder 512, embeddings 128, batch 64, one core; every problem counts, none is folded away.

    python benchmarks/training.py
"""

import argparse
import random
import time
from pathlib import Path

import torch

from myna.config import MathConfig, check
from myna.mathqa.batches import padding_ratio
from myna.mathqa.splits import load_splits
from myna.mathqa.task import MathTask

CPU = torch.device("cpu")
# Joey NMT 2.3 at these sizes on one core of a like machine, on a file sorted by length; not measured in this run.
JOEY = 41.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--batches", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    splits = load_splits(options.data)
    peak = _multiply_speed()
    print(f"{splits.source}; torch {torch.__version__}, one core: {peak / 1e9:.0f} GFLOP/s on a 1024 x 1024 product")
    print("precision  form      ratio  problems/s  to Joey NMT's 41  share of the product's speed  padding")
    for precision, form, ratio in (
        ("float32", "parallel", 0.6),
        ("float32", "parallel", 1.0),
        ("float32", "stepwise", 0.6),
        ("bfloat16", "parallel", 0.6),
    ):
        speed, flops, padding = _measure(splits, getattr(torch, precision), form, ratio, options.batches)
        share = f"{speed * flops / peak:6.0%}" if precision == "float32" else "     -"
        print(f"{precision:9}  {form:8}  {ratio:5}  {speed:10.1f}  {speed / JOEY:16.1f}  {share:>28}  {padding:7.1%}")


def _measure(splits, dtype, form, ratio, n_batches):
    """Return problems a CPU second, floating-point operations a problem, and the share of padding."""
    settings = {
        "data": {"fold": False},
        "model": {"encoder_layers": 2, "encoder_size": 256, "decoder_size": 512, "token_size": 128, "learned_size": 78},
        "teacher_forcing": {"ratio": ratio, "form": form},
        "training": {"batch_size": 64},
    }
    task = MathTask(check(MathConfig, settings, "benchmark"), splits.train, splits.dev[:10])
    groups = task.batches(0)
    sample = random.Random(0).sample(groups, min(n_batches, len(groups)))
    optimizer = torch.optim.AdamW(task.model.parameters())

    def step(group):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
            loss, weight = task.loss(task.model, group, CPU)
        (loss / weight).backward()
        optimizer.step()
        optimizer.zero_grad()

    step(sample[0])
    start = time.process_time()
    for group in sample:
        step(group)
    n = sum(map(len, sample))
    speed = n / (time.process_time() - start)
    examples = [task.examples[index] for group in sample for index in group]
    return (
        speed,
        _operations(task, examples, n_decodings=4 if ratio < 1 and form == "parallel" else 3) / n,
        padding_ratio(task.examples, groups),
    )


def _operations(task, examples, n_decodings) -> float:
    """Return the floating-point operations that the matrices need: two a weight and place, backward twice as many.

    Padding, attention scores and whatever is not a product of matrices are left out, so the share is a lower bound.
    """
    decoder = task.translator.decoder
    n_words = sum(len(example.source[0]) for example in examples)
    n_tokens = sum(len(example.tokens) + 1 for example in examples)
    of_words = [*task.translator.encoder.forwards.parameters(), *task.translator.encoder.backwards.parameters()]
    of_words += [*decoder.attention.parameters(), *decoder.pointer.parameters()]
    of_tokens = [*decoder.lstm.parameters(), *decoder.combine.parameters(), *decoder.output.parameters()]
    sizes = [sum(weight.numel() for weight in weights if weight.ndim > 1) for weights in (of_words, of_tokens)]
    return 2.0 * (3 * n_words * sizes[0] + n_decodings * n_tokens * sizes[1])


def _multiply_speed() -> float:
    """Return the floating-point operations a CPU second of a 1024 x 1024 product, the best of ten."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    times = []
    for _ in range(10):
        start = time.process_time()
        a @ b
        times.append(time.process_time() - start)
    return 2 * 1024**3 / min(times)


if __name__ == "__main__":
    main()
