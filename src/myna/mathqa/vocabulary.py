"""Vocabularies: the words of problems, the tokens of programs, and their ids. No torch in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from myna.errors import UserError
from myna.files import read_json, write_json
from myna.mathqa.problems import NUMBER_WORD, Problem, mask, program_tokens

PAD, START, END, UNKNOWN = range(4)

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<unk>")


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

    def number_ids(self) -> list[int]:
        """Return the ids of the words that stand for numbers: n0, n1, ..."""
        return self.words.ids(word for word in self.words.tokens if NUMBER_WORD.fullmatch(word))

    def copied_tokens(self) -> list[int]:
        """Return the program token that each word stands for: that of its name for n0, n1, ..., V else."""
        none = len(self.tokens)
        numbers = {word: self.tokens.ids([word])[0] for word in self.tokens.tokens if NUMBER_WORD.fullmatch(word)}
        return [numbers.get(word, none) for word in self.words.tokens]

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
