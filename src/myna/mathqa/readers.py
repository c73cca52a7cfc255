"""Readers: from the words of a masked text to what a model's encoder reads, its source. No torch in here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from myna.mathqa.baselines import Neighbour, NeighbourIndex
from myna.mathqa.language.program import parse
from myna.mathqa.problems import NUMBER_WORD, mask
from myna.mathqa.vocabulary import END, SPECIAL_TOKENS, UNKNOWN, Vocabularies

Source = tuple[tuple[int, ...], ...]
"""What an encoder reads of a problem: first the ids of its words, then whatever else it asks for, as whole numbers."""

_EXACT = 11  # the degree of likeness of a text that is the same; others have 0 to 10


class Reader(Protocol):
    """What stands between a text and an encoder."""

    vocabularies: Vocabularies

    def __call__(self, words: Sequence[str]) -> Source:
        """Return the source of a masked text; its first part are the word ids."""


class WordReader:
    """The words alone.

    Args:
        vocabularies: of the model.
    """

    def __init__(self, vocabularies: Vocabularies) -> None:
        self.vocabularies = vocabularies

    def __call__(self, words: Sequence[str]) -> Source:
        """Return (word ids,)."""
        return (self.vocabularies.word_ids(words),)


class PieceReader:
    """The words, and the pieces that BERT's tokenizer cuts them into.

    Args:
        vocabularies: of the model.
        tokenizer: of transformers, a fast one.
        numbers: what BERT reads for the i-th number: "name", n{i} in pieces; or "mask", its mask token.
    """

    longest = 512

    def __init__(self, vocabularies: Vocabularies, tokenizer: Any, numbers: str) -> None:
        self.vocabularies = vocabularies
        self._tokenizer = tokenizer
        self._numbers = numbers

    def __call__(self, words: Sequence[str]) -> Source:
        """Return (word ids, piece ids, places): to which word each piece belongs, counted from 1; 0 to none."""
        cut = self._tokenizer(
            [self._show(word) for word in words] or [""],
            is_split_into_words=True,
            truncation=True,
            max_length=self.longest,
        )
        places = tuple(0 if place is None else place + 1 for place in cut.word_ids())
        return self.vocabularies.word_ids(words), tuple(cut["input_ids"]), places

    def _show(self, word: str) -> str:
        """Return what BERT reads for a word."""
        if word == SPECIAL_TOKENS[UNKNOWN]:
            return str(self._tokenizer.unk_token)
        if self._numbers == "mask" and NUMBER_WORD.fullmatch(word):
            return str(self._tokenizer.mask_token)
        return word.encode(errors="replace").decode()  # half a surrogate pair, which tokenizers refuse, is a "?"


class NeighbourReader:
    """The words, and the programs of the nearest training problems.

    Args:
        vocabularies: of the model.
        index: of the training problems.
        n: programs shown, at most; no two the same, and no more than fit into `longest` tokens, the nearest aside.
    """

    longest = 96

    def __init__(self, vocabularies: Vocabularies, index: NeighbourIndex, n: int) -> None:
        self.vocabularies = vocabularies
        self.index, self.n = index, n
        self._known: dict[str, list[tuple[int, int, int]]] = {}

    def __call__(self, words: Sequence[str]) -> Source:
        """Return (word ids, tokens, ranks, degrees, lefts, rights), the last five of all programs in a row.

        Each program ends with the end token. `ranks` counts the programs from 1, nearest first; `degrees` say how near,
        from 1 to 12. Beside a token n{i} stand the words left and right of that number in the neighbour's own text, so
        that a number of the problem can be found for it; elsewhere they are padding.
        """
        return self.show(words, self.index.ranked([" ".join(words)], self.n)[0])

    def neighbours(self, texts: Sequence[str]) -> list[list[Neighbour]]:
        """Return the training problems that are looked up for each problem, given as it was typed."""
        return self.index.ranked([mask(text) for text in texts], self.n)

    def show(self, words: Sequence[str], neighbours: Sequence[Neighbour]) -> Source:
        """Return the source of a text beside given neighbours."""
        columns: list[tuple[int, ...]] = []
        for rank, neighbour in enumerate(neighbours, start=1):
            degree = 1 + (_EXACT if neighbour.text == " ".join(words) else min(10, int(10 * neighbour.cosine)))
            rows = self._rows(neighbour)
            if columns and len(columns) + len(rows) > self.longest:
                break
            columns += [(token_id, rank, degree, left, right) for token_id, left, right in rows]
        return self.vocabularies.word_ids(words), *zip(*(columns or [(END, 0, 0, 0, 0)]), strict=True)

    def _rows(self, neighbour: Neighbour) -> list[tuple[int, int, int]]:
        """Return the token, left and right of each row of a program, its end included."""
        if neighbour.text not in self._known:
            words = neighbour.text.split()
            # <pad> on both sides of the text
            around = [0, *self.vocabularies.words.ids(words), 0]
            sides = {word: (around[i], around[i + 2]) for i, word in enumerate(words) if NUMBER_WORD.fullmatch(word)}
            tokens = parse(neighbour.program).tokens
            ids = self.vocabularies.tokens.ids(tokens)
            rows = [(token_id, *sides.get(token, (0, 0))) for token, token_id in zip(tokens, ids, strict=True)]
            self._known[neighbour.text] = [*rows, (END, 0, 0)]
        return self._known[neighbour.text]
