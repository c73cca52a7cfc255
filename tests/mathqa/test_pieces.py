"""What BERT reads of a text: pieces, and to which word each of them belongs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from myna.mathqa.bert import load_bert
from myna.mathqa.readers import PieceReader
from myna.mathqa.vocabulary import UNKNOWN, Vocabularies, Vocabulary

VOCABULARIES = Vocabularies(Vocabulary(["how", "many", "n1"]), Vocabulary(["add", "n0", "n1"]))
HOW, MANY, N1 = range(4, 7)


def read(folder: Path, words: list[str], numbers: str) -> tuple[tuple[int, ...], list[str], tuple[int, ...]]:
    """Return the word ids, the pieces as text and the places of a text."""
    tokenizer: Any = load_bert(str(folder)).tokenizer
    reader = PieceReader(VOCABULARIES, tokenizer, numbers)
    assert reader.vocabularies is VOCABULARIES
    ids, pieces, places = reader(words)
    return ids, tokenizer.convert_ids_to_tokens(list(pieces)), places


def test_pieces_say_to_which_word_they_belong(tiny_bert: Path) -> None:
    ids, pieces, places = read(tiny_bert, ["how", "n1", "egg", "?"], "name")
    assert ids == (HOW, N1, UNKNOWN, UNKNOWN)
    assert pieces == ["[CLS]", "how", "n", "##1", "e", "##g", "##g", "?", "[SEP]"]
    assert places == (0, 1, 2, 2, 3, 3, 3, 4, 0)


def test_numbers_can_be_masked(tiny_bert: Path) -> None:
    ids, pieces, places = read(tiny_bert, ["n1", "n", "n10", "nn1", "n1x"], "mask")
    assert ids == (N1, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
    assert pieces == ["[CLS]", "[MASK]", "n", "[MASK]", "n", "##n", "##1", "n", "##1", "##x", "[SEP]"]
    assert places == (0, 1, 2, 3, 4, 4, 4, 5, 5, 5, 0)


@pytest.mark.parametrize("numbers", ["name", "mask"])
def test_a_hidden_word_is_the_unknown_piece(tiny_bert: Path, numbers: str) -> None:
    ids, pieces, places = read(tiny_bert, ["how", "<unk>"], numbers)
    assert ids == (HOW, UNKNOWN)
    assert pieces == ["[CLS]", "how", "[UNK]", "[SEP]"]
    assert places == (0, 1, 2, 0)


@pytest.mark.parametrize("words", [[], [""]])
def test_a_text_without_words_has_its_two_ends(tiny_bert: Path, words: list[str]) -> None:
    assert read(tiny_bert, words, "name") == ((UNKNOWN,), ["[CLS]", "[SEP]"], (0, 0))


def test_a_long_text_is_cut_where_bert_ends(tiny_bert: Path) -> None:
    ids, pieces, places = read(tiny_bert, ["how", "many"] * 300, "name")
    assert ids == (HOW, MANY) * 300
    assert len(pieces) == len(places) == 512
    assert pieces[-1] == "[SEP]"
    assert places == (*range(511), 0)
