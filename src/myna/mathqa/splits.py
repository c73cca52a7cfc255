"""The three splits of the word problems: the real ones where they are found, a generated sample elsewhere."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from myna.config import find_data
from myna.engine.tracking import progress
from myna.errors import UserError
from myna.mathqa.language.execute import execute_text
from myna.mathqa.language.numbers import find_numbers
from myna.mathqa.language.program import split_tokens
from myna.mathqa.problems import SPLITS, Problem, mask, read_problems, split_path
from myna.mathqa.vocabulary import SPECIAL_TOKENS, Vocabulary


@dataclass(frozen=True)
class Splits:
    """Problems to train, to choose and to report on.

    Attributes:
        source: what they are, for people; names no folder of this machine.
        is_generated: whether they are a stand-in for the real data.
    """

    train: list[Problem]
    dev: list[Problem]
    test: list[Problem]
    source: str
    is_generated: bool = False

    def named(self, split: str) -> list[Problem]:
        """Return a split by its name.

        Raises:
            UserError: there is no such split.
        """
        if split not in SPLITS:
            raise UserError(f"split: {split!r}; choices: {', '.join(SPLITS)}")
        problems: list[Problem] = getattr(self, split)
        return problems


def load_splits(option: Path | None = None) -> Splits:
    """Read the splits from the data folder, or generate a sample where there is none.

    Args:
        option: the data folder asked for; else $MYNA_DATA, then ./data.

    Raises:
        UserError: a folder was named, but holds no problems, or a file in it is broken.
    """
    folder = find_data(option)
    if folder is None:
        return generate_splits()
    missing = [split_path(folder, split) for split in SPLITS if not split_path(folder, split).is_file()]
    if missing:
        raise UserError(f"{missing[0]}: no such file; expected the course's train.json, dev.json and test.json there")
    train, dev, test = (read_problems(split_path(folder, split)) for split in SPLITS)
    counts = " / ".join(f"{len(problems):,}" for problems in (train, dev, test))
    return Splits(train, dev, test, f"the word problems found in mathqa/ ({counts})")


def describe(splits: Splits) -> dict[str, Any]:
    """Return the facts of the data: counts, lengths, what the splits share, what training never saw."""
    masked_train = [mask(problem.text) for problem in splits.train]
    words = Vocabulary.count((text.split() for text in masked_train), min_count=1)
    tokens = Vocabulary.count(split_tokens(problem.formula or "") for problem in splits.train)
    seen, n_special = set(masked_train), len(SPECIAL_TOKENS)
    facts: dict[str, Any] = {}
    with progress("reading the problems", sum(len(splits.named(name)) for name in SPLITS)) as tick:
        for name in SPLITS:
            facts[name] = _describe_split(splits.named(name), seen, words, tokens)
            tick(len(splits.named(name)))
    return {
        "source": splits.source,
        "distinct_training_texts": len(seen),
        "texts_with_several_programs": _count_ambiguous(splits.train, masked_train),
        "words": len(words) - n_special,
        "words_that_occur_twice": len(Vocabulary.count((text.split() for text in masked_train), 2)) - n_special,
        "program_tokens": len(tokens) - n_special,
        "splits": facts,
    }


def _describe_split(
    problems: Sequence[Problem], seen: set[str], words: Vocabulary, tokens: Vocabulary
) -> dict[str, Any]:
    """Return the facts of one split."""
    texts = [mask(problem.text) for problem in problems]
    split_words = [word for text in texts for word in text.split()]
    programs = [split_tokens(problem.formula or "") for problem in problems]
    program_tokens = [token for program in programs for token in program]
    n = max(1, len(problems))
    return {
        "problems": len(problems),
        "seen_share": sum(text in seen for text in texts) / n,
        "words_mean": len(split_words) / n,
        "words_longest": max((len(text.split()) for text in texts), default=0),
        "program_tokens_mean": len(program_tokens) / n,
        "program_tokens_longest": max(map(len, programs), default=0),
        "numbers_mean": sum(len(find_numbers(problem.text)) for problem in problems) / n,
        "unknown_word_share": sum(word not in words for word in split_words) / max(1, len(split_words)),
        "tokens_never_seen": sorted({token for token in program_tokens if token not in tokens}),
        "references_without_last_bar": sum(not (p.formula or "").endswith("|") for p in problems) / n,
    }


def _count_ambiguous(problems: Sequence[Problem], masked: Sequence[str]) -> int:
    """Return how many texts stand with more than one program."""
    pairs = {(text, (p.formula or "").removesuffix("|")) for text, p in zip(masked, problems, strict=True)}
    return sum(count > 1 for count in Counter(text for text, _ in pairs).values())


def generate_splits(seed: int = 0) -> Splits:
    """Make a small sample of templated problems, for a machine without the data."""
    rng = random.Random(seed)
    made = {_generate(rng): None for _ in range(1600)}
    problems = [Problem(text, formula, execute_text(formula, _values(text)).value) for text, formula in made]
    test, dev, train = problems[:150], problems[150:300], problems[300:]
    return Splits(train, dev, test, "a GENERATED sample of templated problems, not the real data", is_generated=True)


def _values(text: str) -> list[float]:
    return [number.value for number in find_numbers(text)]


def _generate(rng: random.Random) -> tuple[str, str]:
    """Write one problem and its program."""
    template, formula = rng.choice(_TEMPLATES)
    words = {name: rng.choice(choices) for name, choices in _WORDS.items()}
    numbers = {name: make(rng) for name, make in _NUMBERS.items()}
    return template.format(**words, **numbers), formula


_WORDS = {
    "who": ("asha", "ravi", "meera", "john", "fatima", "arjun", "the farmer", "a shopkeeper"),
    "thing": ("apples", "pencils", "mangoes", "books", "marbles", "stamps", "eggs"),
    "place": ("a village", "the office", "delhi", "the lake", "school"),
    "opening": ("", "", "today ", "last week ", "in a puzzle , "),
}
_NUMBERS: dict[str, Callable[[random.Random], int]] = {
    "a": lambda rng: rng.randint(20, 90),
    "b": lambda rng: rng.randint(2, 19),
    "c": lambda rng: rng.randint(2, 9),
    "hundreds": lambda rng: 100 * rng.randint(2, 60),
}
_TEMPLATES = (
    ("{opening}{who} has {a} {thing} and buys {b} more . how many {thing} are there now ?", "add(n0,n1)|"),
    ("{opening}{who} had {a} {thing} and gave away {b} . how many {thing} are left ?", "subtract(n0,n1)|"),
    ("{b} boxes hold {c} {thing} each . how many {thing} does {who} have ?", "multiply(n0,n1)|"),
    ("{who} shares {a} {thing} equally among {c} friends . how many does each get ?", "divide(n0,n1)|"),
    ("what is {b} percent of {hundreds} ?", "divide(n0,const_100)|multiply(n1,#0)|"),
    ("{opening}{who} walks to {place} at {c} km per hour for {b} hours . how far is it ?", "multiply(n0,n1)|"),
    ("{place} is {hundreds} km away . {who} drives at {a} km per hour . how long does it take ?", "divide(n0,n1)|"),
    (
        "{who} buys {b} {thing} at {c} rupees each and pays with {hundreds} rupees . how much comes back ?",
        "multiply(n0,n1)|subtract(n2,#0)|",
    ),
    ("what is the area of a rectangle of {a} m by {b} m ?", "rectangle_area(n0,n1)|"),
    ("find the area of a square field with sides of {a} m near {place} .", "square_area(n0)|"),
    ("the sides of a box are {c} , {b} and {a} cm . what is its volume ?", "volume_rectangular_prism(n0,n1,n2)|"),
    ("what is the average of {a} , {b} and {c} ?", "add(n0,n1)|add(n2,#0)|divide(#1,const_3)|"),
    (
        "a shop sells goods of {hundreds} rupees at a profit of {b} % . what is the selling price ?",
        "divide(n1,const_100)|add(#0,const_1)|multiply(n0,#1)|",
    ),
    (
        "{who} puts {hundreds} rupees in a bank at {c} % simple interest . how much is the interest after {b} years ?",
        "multiply(n0,n1)|multiply(n2,#0)|divide(#1,const_100)|",
    ),
    ("a train of {hundreds} m passes a pole in {b} seconds . what is its speed ?", "speed(n0,n1)|"),
    ("what is the greatest common factor of {a} and {b} ?", "gcd(n0,n1)|"),
    ("in how many ways can {who} choose {c} of {a} {thing} ?", "choose(n1,n0)|"),
)
