"""How many problems a second the training takes: beside Joey NMT on an equal net, and beside the machine's products.

All sides take whole steps on the same two batches: loss, gradient, clipping, Adam.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import peers
import torch
from harness import Effort, Row, Speeds, Variant, compare_cores
from products import PRODUCT, product
from torch import Tensor, nn

from myna.config import OptimizerSection
from myna.engine.optim import build_optimizer
from myna.mathqa.batches import Example, batches_by_length, collate, encode
from myna.mathqa.readers import WordReader
from myna.mathqa.splits import load_splits
from myna.mathqa.translator import Translator, sequence_loss
from myna.mathqa.vocabulary import Vocabularies

BATCH_SIZE = 32
_HAS_BF16 = "AVX512" in torch.backends.cpu.get_cpu_capability()


def measure(effort: Effort) -> list[Row]:
    """Compare the trainings."""
    torch.set_num_threads(1)
    training = load_splits().train
    vocabularies = Vocabularies.build(training, min_word_count=2)
    examples = encode(training[:2_000], vocabularies, WordReader(vocabularies))
    groups = [[examples[i] for i in group] for group in batches_by_length(examples, BATCH_SIZE, seed=0, epoch=0)[:2]]
    return [
        *_compare_forms(vocabularies, groups, effort),
        *_compare_growth(vocabularies, examples, effort),
    ]


def _compare_forms(vocabularies: Vocabularies, groups: Sequence[Sequence[Example]], effort: Effort) -> list[Row]:
    net = peers.build_ours(vocabularies)
    forms = {
        "reference alone": our_step(net, 1.0),
        "0.6, parallel": our_step(net, 0.6),
        "0.6, stepwise": our_step(net, 0.6, "stepwise"),
    }
    if _HAS_BF16:
        forms["0.6, parallel, bf16"] = our_step(net, 0.6, precision=torch.bfloat16)
    if joey := peers.build_joey(vocabularies):
        forms[peers.JOEY] = _step(joey, lambda group: peers.joey_loss(joey, group), torch.optim.Adam(joey.parameters()))
    n = sum(map(len, groups))
    variants = {name: Variant(_over(groups, step), n, "problems") for name, step in forms.items()}
    speeds = Speeds("training", variants, effort)
    rows = [
        speeds.row(name, peers.JOEY) if joey else Row("training", name, peers.JOEY, note=peers.NO_JOEY)
        for name in ("reference alone", "0.6, parallel")
    ]
    rows += [speeds.row("0.6, parallel", "reference alone"), speeds.row("0.6, stepwise", "0.6, parallel")]
    if _HAS_BF16:
        rows.append(speeds.row("0.6, parallel, bf16", "0.6, parallel"))
    else:
        note = "this processor has no AVX-512, and would only imitate bf16"
        rows.append(Row("training", "0.6, parallel, bf16", "0.6, parallel", note=note))
    share = Speeds(
        "training",
        {
            "reference alone, matrix products": Variant(
                _over(groups, forms["reference alone"]), count_operations(net, groups, 3) / 1e9, "GFLOP"
            ),
            PRODUCT: product(),
        },
        effort,
    )
    return [*rows, share.row("reference alone, matrix products", PRODUCT)]


def _compare_growth(vocabularies: Vocabularies, examples: Sequence[Example], effort: Effort) -> list[Row]:
    step = our_step(peers.build_ours(vocabularies), 0.6)
    ordered = sorted(examples, key=lambda example: len(example.source[0]))
    short, long = ordered[len(ordered) // 10 :][:BATCH_SIZE], ordered[-len(ordered) // 10 :][:BATCH_SIZE]
    lengths = {f"problems of {_mean_length(group):.0f} words": group for group in (short, long)}
    of_lengths = Speeds(
        "training",
        {name: Variant(_over([group], step), len(group), "problems") for name, group in lengths.items()},
        effort,
    )
    # Batches of another size hold other problems, so what is counted is words and tokens.
    batches = {
        f"batches of {size}": [[examples[i] for i in group] for group in parts[: max(1, BATCH_SIZE // size)]]
        for size in (8, BATCH_SIZE, 4 * BATCH_SIZE)
        for parts in [batches_by_length(examples, size, seed=0, epoch=0)]
    }
    of_sizes = Speeds(
        "training",
        {
            name: Variant(_over(groups, step), _count_tokens(groups), "words and tokens")
            for name, groups in batches.items()
        },
        effort,
    )
    of_short, of_long = lengths
    return [
        of_lengths.row(of_long, of_short),
        of_sizes.row("batches of 32", "batches of 8"),
        of_sizes.row("batches of 128", "batches of 32"),
        compare_cores("training", "a step", lambda: step(short), BATCH_SIZE, "problems", effort),
    ]


def _count_tokens(groups: Sequence[Sequence[Example]]) -> int:
    return sum(len(example.source[0]) + len(example.tokens) + 1 for group in groups for example in group)


def _mean_length(examples: Sequence[Example]) -> float:
    return sum(len(example.source[0]) for example in examples) / len(examples)


def _over(groups: Sequence[Sequence[Example]], step: Callable[[Sequence[Example]], None]) -> Callable[[], None]:
    def run() -> None:
        for group in groups:
            step(group)

    return run


def our_step(
    net: Translator, ratio: float, form: str = "parallel", precision: torch.dtype | None = None
) -> Callable[[Sequence[Example]], None]:
    """Return what takes a step of ours on a batch, fed the reference's tokens with probability `ratio`."""

    def loss(group: Sequence[Example]) -> Tensor:
        batch = collate(group)
        with torch.autocast("cpu", precision, enabled=precision is not None):
            logits = net(batch, ratio, form)
        total, weight = sequence_loss(logits, batch.targets, batch.weights)
        return total / weight

    return _step(net, loss, build_optimizer(net, OptimizerSection(name="adam")))


def _step(
    net: nn.Module, loss: Callable[[Sequence[Example]], Tensor], optimizer: torch.optim.Optimizer
) -> Callable[[Sequence[Example]], None]:
    """Return what takes an optimiser step on a batch."""

    def run(group: Sequence[Example]) -> None:
        loss(group).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return run


def count_operations(net: Translator, groups: Sequence[Sequence[Example]], n_passes: int) -> float:
    """Return the floating-point operations of the matrices in a step on each group.

    They are two a weight and place; of `n_passes`, the backward pass counts as two. Padding, attention scores and all
    that is no product of matrices are left out, so what is made of this is a lower bound.
    """
    examples = [example for group in groups for example in group]
    n_words = sum(len(example.source[0]) for example in examples)
    n_tokens = sum(len(example.tokens) + 1 for example in examples)
    decoder = net.decoder
    encoder = [*net.encoder.forwards.parameters(), *net.encoder.backwards.parameters(), *decoder.attention.parameters()]
    rest = [*decoder.lstm.parameters(), *decoder.combine.parameters(), *decoder.output.parameters()]
    sizes = [sum(weight.numel() for weight in weights if weight.ndim > 1) for weights in (encoder, rest)]
    return 2.0 * n_passes * (n_words * sizes[0] + n_tokens * sizes[1])
