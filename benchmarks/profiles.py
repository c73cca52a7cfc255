"""Print where the time of both trainings and of the decoder goes, by kind of operation.

    python benchmarks/profiles.py

Shares are of processor time, on one thread, so that other work on the machine changes them little.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import peers
import torch
from decoding import MODEL, read_sorted, search_trained
from norms import Trainee
from torch.profiler import ProfilerActivity, profile
from training import BATCH_SIZE, our_step

from myna.mathqa.batches import batches_by_length, encode
from myna.mathqa.readers import WordReader
from myna.mathqa.splits import load_splits
from myna.mathqa.task import MathModel
from myna.mathqa.vocabulary import Vocabularies

# The first kind of which a part occurs in an operation's name.
KINDS = {
    "convolutions": ("convolution",),
    "LSTM kernels": ("rnn_layer", "aten::lstm"),
    "matrix products": ("::mm", "::addmm", "::bmm", "::baddbmm", "::matmul", "::linear"),
    "optimiser": ("Optimizer", "adam"),
    "norms": ("Standardise", "addcmul", "vector_norm"),
    "copies and look-ups": ("copy", "::cat", "index", "gather", "embedding", "contiguous", "::clone", "::pad"),
}
REST = "everything else"


def main() -> None:
    """Print a table."""
    torch.set_num_threads(1)
    splits = load_splits()
    vocabularies = Vocabularies.build(splits.train, min_word_count=2)
    examples = encode(splits.train[:2_000], vocabularies, WordReader(vocabularies))
    groups = [[examples[i] for i in group] for group in batches_by_length(examples, BATCH_SIZE, seed=0, epoch=0)[:6]]
    step, trainee = our_step(peers.build_ours(vocabularies), 0.6), Trainee("bn")
    model = MathModel.load(MODEL)
    sources = read_sorted(model, splits.test[:256])
    jobs: dict[str, Callable[[], object]] = {
        "training lstm_lstm_attn": lambda: [step(group) for group in groups],
        "training the ResNet": lambda: [trainee.step() for _ in range(6)],
        "decoding at beam 1": search_trained(model, sources, 1),
        "decoding at beam 10": search_trained(model, sources, 10),
    }
    shares = {name: _shares(run) for name, run in jobs.items()}
    print(f"| share of | {' | '.join(shares)} |")
    print("|---" * (1 + len(shares)) + "|")
    for kind in (*KINDS, REST):
        print(f"| {kind} | {' | '.join(f'{share[kind]:.0%}' for share in shares.values())} |")


def _shares(run: Callable[[], object]) -> Counter[str]:
    """Return the share of each kind of operation."""
    run()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        run()
    times: Counter[str] = Counter()
    for event in profiler.key_averages():
        times[_kind(event.key)] += event.self_cpu_time_total
    total = times.total()
    return Counter({kind: time / total for kind, time in times.items()})


def _kind(name: str) -> str:
    return next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), REST)


if __name__ == "__main__":
    main()
