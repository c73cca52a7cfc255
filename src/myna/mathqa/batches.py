"""Problems as ids, and batches of them by length."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from myna.mathqa.problems import Problem, mask, program_tokens
from myna.mathqa.readers import Source
from myna.mathqa.vocabulary import END, PAD, START, Vocabularies


@dataclass(frozen=True)
class Example:
    """A problem as ids.

    Attributes:
        source: the masked text, as the model's encoder reads it.
        tokens: ids of the program, without start and end.
        weight: how many problems of the data it stands for.
    """

    source: Source
    tokens: tuple[int, ...]
    weight: int = 1


def encode(
    problems: Sequence[Problem], vocabularies: Vocabularies, read: Callable[[Sequence[str]], Source]
) -> list[Example]:
    """Turn problems that have a reference into ids, in order; `read` turns the words of a masked text into a source."""
    return [
        Example(read(mask(problem.text).split()), tuple(vocabularies.tokens.ids(program_tokens(problem))))
        for problem in problems
    ]


def fold(examples: Iterable[Example]) -> list[Example]:
    """Merge equal examples into one that weighs as much as all of them, in order of first appearance."""
    weights: Counter[Example] = Counter()
    for example in examples:
        weights[replace(example, weight=1)] += example.weight
    return [replace(example, weight=weight) for example, weight in weights.items()]


@dataclass(frozen=True)
class Batch:
    """Examples padded to one length.

    Attributes:
        source: (N, ...) long each, the parts of the sources; the first are word ids (N, S).
        lengths: (N,) long, words of each problem.
        inputs: (N, T) long, start token and program.
        targets: (N, T) long, program and end token.
        weights: (N,) float, problems that each example stands for.
    """

    source: tuple[Tensor, ...]
    lengths: Tensor
    inputs: Tensor
    targets: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(
            tuple(part.to(device) for part in self.source),
            self.lengths.to(device),
            self.inputs.to(device),
            self.targets.to(device),
            self.weights.to(device),
        )


def collate(examples: Sequence[Example]) -> Batch:
    """Pad examples to one batch."""
    source, lengths = collate_sources([e.source for e in examples])
    return Batch(
        source=source,
        lengths=lengths,
        inputs=pad([(START, *e.tokens) for e in examples]),
        targets=pad([(*e.tokens, END) for e in examples]),
        weights=torch.tensor([float(e.weight) for e in examples]),
    )


def collate_sources(sources: Sequence[Source], device: torch.device | str = "cpu") -> tuple[tuple[Tensor, ...], Tensor]:
    """Pad each part of some sources to one length.

    Returns:
        the parts, (N, ...) each, and the number of words, (N,), on the device.
    """
    parts = tuple(pad(rows).to(device) for rows in zip(*sources, strict=True))
    return parts, torch.tensor([len(source[0]) for source in sources], device=device)


def pad(rows: Sequence[Sequence[int]]) -> Tensor:
    """Stack id sequences of different lengths into an (N, longest) long tensor, padded with <pad>."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows])


def batches_by_length(examples: Sequence[Example], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Group examples of like lengths into batches, in a random order that seed and epoch decide.

    A batch is padded to its longest text, to its longest program, and to the longest of what else its encoder reads. So
    the examples are split in two over and over, by whichever of these lengths leaves least padding, down to the size of
    a batch (a k-d tree, Bentley 1975). The lengths are blurred a little, so that batches differ from epoch to epoch.

    Returns:
        Lists of indices into `examples`; every example stands in exactly one.
    """
    rng = random.Random(f"{seed}/{epoch}")
    # Of the parts of a source, the second is as long as all that follow.
    sizes = [
        (*(len(part) + rng.uniform(0, 3) for part in e.source[:2]), len(e.tokens) + rng.uniform(0, 1.5))
        for e in examples
    ]
    groups = _split_by_size(list(range(len(examples))), sizes, batch_size)
    rng.shuffle(groups)
    return groups


def _split_by_size(indices: list[int], sizes: Sequence[tuple[float, ...]], batch_size: int) -> list[list[int]]:
    """Split indices into groups of `batch_size`, of which only the last may be smaller."""
    if len(indices) <= batch_size:
        return [indices] if indices else []
    middle = (-(-len(indices) // batch_size) + 1) // 2 * batch_size
    halves = []
    for major in range(len(sizes[indices[0]])):
        order = sorted(indices, key=lambda index: (sizes[index][major], *reversed(sizes[index])))
        halves.append((order[:middle], order[middle:]))

    def padded(parts: tuple[list[int], list[int]]) -> float:
        columns = [(len(part), zip(*(sizes[i] for i in part), strict=True)) for part in parts if part]
        return float(sum(n * sum(map(max, lengths)) for n, lengths in columns))

    first, second = min(halves, key=padded)
    return _split_by_size(first, sizes, batch_size) + _split_by_size(second, sizes, batch_size)
