"""Word problems: reading them, masking their numbers, vocabularies, and batches by length."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor

from myna.errors import UserError
from myna.files import read_json, write_json
from myna.mathqa.language.numbers import find_numbers, strip_commas
from myna.mathqa.language.program import parse

SPLITS = ("train", "dev", "test")
PAD, START, END, UNKNOWN = range(4)
_NUMBER_WORD = re.compile(r"n\d+")
SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<unk>")


@dataclass(frozen=True)
class Problem:
    """A word problem of the course's format.

    Attributes:
        text: the problem as it was given.
        formula: the reference program's text; None where the file has none.
        answer: the reference answer; None where the file has none.
    """

    text: str
    formula: str | None = None
    answer: float | None = None


def mask(text: str) -> str:
    """Return the problem with its i-th number replaced by the word n{i}, lower case, single spaces."""
    return " ".join(mask_with_numbers(text)[0])


def mask_with_numbers(text: str) -> tuple[list[str], list[float]]:
    """Return the words of the masked problem, and the values that n0, n1, ... stand for.

    Numbers are those that the checker finds: "3,000" is one, "2nd" holds a 2.
    """
    text = strip_commas(text)
    numbers = find_numbers(text)
    pieces, end = [], 0
    for index, number in enumerate(numbers):
        pieces += [text[end : number.start], f" n{index} "]
        end = number.end
    return "".join([*pieces, text[end:]]).lower().split(), [number.value for number in numbers]


def read_problems(path: Path) -> list[Problem]:
    """Read a file of the course's format; `linear_formula` and `answer` may be missing.

    Raises:
        UserError: the file is not a list of problems; the message names the item.
    """
    return [_problem(item, f"{path}: item {index}") for index, item in enumerate(read_items(path))]


def read_items(path: Path) -> list[dict[str, Any]]:
    """Read a file of the course's format as plain dictionaries, each with a text under Problem.

    Raises:
        UserError: the file is not a list of objects with a text under Problem.
    """
    items = read_json(path)
    if not isinstance(items, list):
        raise UserError(f"{path}: expected a list of problems, not {type(items).__name__}")
    for index, item in enumerate(items):
        if not isinstance(item, dict) or not isinstance(item.get("Problem"), str):
            raise UserError(f"{path}: item {index}: expected an object with a text under Problem")
    return items


def split_path(data: Path, split: str) -> Path:
    """Return the file of a split inside a data folder."""
    return data / "mathqa" / f"{split}.json"


def _problem(item: dict[str, Any], place: str) -> Problem:
    """Check one item of the course's format."""
    formula, answer = item.get("linear_formula"), item.get("answer")
    if formula is not None and not isinstance(formula, str):
        raise UserError(f"{place}: linear_formula: expected a text, not {formula!r}")
    if answer is not None and (isinstance(answer, bool) or not isinstance(answer, int | float)):
        raise UserError(f"{place}: answer: expected a number, not {answer!r}")
    return Problem(item["Problem"], formula, answer)


class Vocabulary:
    """Tokens and their ids; the first four are <pad>, <s>, </s> and <unk>."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = [*SPECIAL_TOKENS, *tokens]
        self._ids = {token: token_id for token_id, token in enumerate(self.tokens)}
        if len(self._ids) != len(self.tokens):
            repeated = next(t for t, n in Counter(self.tokens).items() if n > 1)
            raise ValueError(f"vocabulary: token {repeated!r} occurs more than once")

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        return token in self._ids

    def ids(self, tokens: Iterable[str]) -> list[int]:
        """Return the tokens' ids; <unk> for those it lacks."""
        return [self._ids.get(token, UNKNOWN) for token in tokens]

    @classmethod
    def count(cls, texts: Iterable[Sequence[str]], min_count: int = 1) -> Vocabulary:
        """Make the vocabulary of the tokens that occur at least `min_count` times, most frequent first.

        A token written like a special one ("<pad>") counts as that one.
        """
        counts = Counter(token for text in texts for token in text if token not in SPECIAL_TOKENS)
        kept = sorted((t for t, n in counts.items() if n >= min_count), key=lambda t: (-counts[t], t))
        return cls(kept)


@dataclass(frozen=True)
class Vocabularies:
    """The words of problems and the tokens of programs; saved beside the model's weights."""

    words: Vocabulary
    tokens: Vocabulary

    @classmethod
    def build(cls, problems: Sequence[Problem], min_word_count: int) -> Vocabularies:
        """Collect the words and tokens of training problems."""
        words = Vocabulary.count((mask(problem.text).split() for problem in problems), min_word_count)
        return cls(words, Vocabulary.count(program_tokens(problem) for problem in problems))

    def word_ids(self, words: Sequence[str]) -> tuple[int, ...]:
        """Return the ids of a masked text; a text without words reads as one unknown word."""
        return tuple(self.words.ids(words)) or (UNKNOWN,)

    def copied_tokens(self) -> Tensor:
        """Return the program token that each word stands for, (W,) long: that of its name for n0, n1, ..., V else."""
        none = len(self.tokens)
        numbers = {word: self.tokens.ids([word])[0] for word in self.tokens.tokens if _NUMBER_WORD.fullmatch(word)}
        return torch.tensor([numbers.get(word, none) for word in self.words.tokens])

    def save(self, path: Path) -> None:
        """Write both as JSON."""
        n_special = len(SPECIAL_TOKENS)
        lists = {"words": self.words.tokens[n_special:], "tokens": self.tokens.tokens[n_special:]}
        write_json(path, lists, indent=None)

    @classmethod
    def load(cls, path: Path) -> Vocabularies:
        """Read both from JSON.

        Raises:
            UserError: the file is missing, or does not hold two lists of distinct texts.
        """
        lists = read_json(path)
        vocabularies = []
        for name in ("words", "tokens"):
            texts = lists.get(name) if isinstance(lists, dict) else None
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise UserError(f"{path}: {name}: expected a list of texts")
            try:
                vocabularies.append(Vocabulary(texts))
            except ValueError as error:
                raise UserError(f"{path}: {name}: {error}") from None
        return cls(*vocabularies)


def program_tokens(problem: Problem) -> list[str]:
    """Return the reference's operations and arguments, in order.

    Raises:
        UserError: the problem has no reference, or none that parses.
    """
    if problem.formula is None:
        raise UserError(f"no linear_formula to learn from in problem: {shorten(problem.text, 60)}")
    try:
        return parse(problem.formula).tokens
    except ValueError as error:
        raise UserError(f"linear_formula {problem.formula!r}: {error}") from None


@dataclass(frozen=True)
class Example:
    """A problem as ids.

    Attributes:
        words: ids of the masked text.
        tokens: ids of the program, without start and end.
        weight: how many problems of the data it stands for.
    """

    words: tuple[int, ...]
    tokens: tuple[int, ...]
    weight: int = 1


def encode(problems: Sequence[Problem], vocabularies: Vocabularies) -> list[Example]:
    """Turn problems that have a reference into ids, in order."""
    return [
        Example(
            vocabularies.word_ids(mask(problem.text).split()),
            tuple(vocabularies.tokens.ids(program_tokens(problem))),
        )
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
        words: (N, S) long, word ids.
        lengths: (N,) long, words of each problem, on the CPU.
        inputs: (N, T) long, start token and program.
        targets: (N, T) long, program and end token.
        weights: (N,) float, problems that each example stands for.
    """

    words: Tensor
    lengths: Tensor
    inputs: Tensor
    targets: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device; lengths stay on the CPU, where packing needs them."""
        return Batch(
            self.words.to(device),
            self.lengths,
            self.inputs.to(device),
            self.targets.to(device),
            self.weights.to(device),
        )


def collate(examples: Sequence[Example]) -> Batch:
    """Pad examples to one batch."""
    return Batch(
        words=pad([e.words for e in examples]),
        lengths=torch.tensor([len(e.words) for e in examples]),
        inputs=pad([(START, *e.tokens) for e in examples]),
        targets=pad([(*e.tokens, END) for e in examples]),
        weights=torch.tensor([float(e.weight) for e in examples]),
    )


def pad(rows: Sequence[Sequence[int]]) -> Tensor:
    """Stack id sequences of different lengths into an (N, longest) long tensor, padded with <pad>."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows])


def batches_by_length(examples: Sequence[Example], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Group examples of like lengths into batches, in a random order that seed and epoch decide.

    A batch is padded twice, to its longest text and to its longest program. So the examples are split in two
    over and over, by whichever of the two lengths leaves less padding, down to the size of a batch (a k-d
    tree, Bentley 1975). Both lengths are blurred a little, so that batches differ from epoch to epoch.

    Returns:
        Lists of indices into `examples`; every example stands in exactly one.
    """
    rng = random.Random(f"{seed}/{epoch}")
    sizes = [(len(e.words) + rng.uniform(0, 3), len(e.tokens) + rng.uniform(0, 1.5)) for e in examples]
    groups = _split_by_size(list(range(len(examples))), sizes, batch_size)
    rng.shuffle(groups)
    return groups


def _split_by_size(indices: list[int], sizes: Sequence[tuple[float, float]], batch_size: int) -> list[list[int]]:
    """Split indices into groups of `batch_size`, of which only the last may be smaller."""
    if len(indices) <= batch_size:
        return [indices] if indices else []
    middle = (-(-len(indices) // batch_size) + 1) // 2 * batch_size
    halves = []
    for major in (0, 1):
        order = sorted(indices, key=lambda index: (sizes[index][major], sizes[index][1 - major]))
        halves.append((order[:middle], order[middle:]))

    def padded(parts: tuple[list[int], list[int]]) -> float:
        return sum(len(p) * (max(sizes[i][0] for i in p) + max(sizes[i][1] for i in p)) for p in parts if p)

    first, second = min(halves, key=padded)
    return _split_by_size(first, sizes, batch_size) + _split_by_size(second, sizes, batch_size)


def padding_ratio(examples: Sequence[Example], groups: Iterable[Sequence[int]]) -> float:
    """Return the share of padding among all word and token positions of the batches."""
    real = total = 0
    for group in groups:
        words = [len(examples[i].words) for i in group]
        tokens = [len(examples[i].tokens) + 1 for i in group]
        real += sum(words) + sum(tokens)
        total += len(group) * (max(words) + max(tokens))
    return 1 - real / total if total else 0.0


def as_items(problems: Sequence[Problem], predicted: Sequence[str]) -> list[dict[str, Any]]:
    """Return problems and predicted programs in the course's format, ready to be written."""
    return [
        {"Problem": problem.text, "linear_formula": problem.formula, "answer": problem.answer, "predicted": program}
        for problem, program in zip(problems, predicted, strict=True)
    ]
