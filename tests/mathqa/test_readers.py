"""What an encoder reads of a text: its words, and the programs of its neighbours row by row, by hand."""

from __future__ import annotations

import pytest

from myna.mathqa.baselines import Neighbour, NeighbourIndex
from myna.mathqa.problems import Problem
from myna.mathqa.readers import NeighbourReader, Source, WordReader
from myna.mathqa.vocabulary import END, PAD, UNKNOWN, Vocabularies

TRAINING = [
    Problem("ravi has 3 apples and buys 4", "add(n0,n1)|", 7.0),
    Problem("8 is what percent of 16 ?", "divide(n0,n1)|multiply(#0,const_100)|", 50.0),
    Problem("the area of a square of side 3", "square_area(n0)|", 9.0),
]
ADD, PERCENT, SQUARE = "ravi has n0 apples and buys n1", "n0 is what percent of n1 ?", "the area of a square of side n0"


@pytest.fixture(scope="module")
def vocabularies() -> Vocabularies:
    return Vocabularies.build(TRAINING, min_word_count=1)


def reader_of(vocabularies: Vocabularies, n: int = 3) -> NeighbourReader:
    return NeighbourReader(vocabularies, NeighbourIndex(TRAINING), n)


def named(vocabularies: Vocabularies, source: Source) -> list[tuple[str, int, int, str, str]]:
    """Return the rows of the programs with tokens and words in place of their ids."""
    words, tokens = vocabularies.words.tokens, vocabularies.tokens.tokens
    return [(tokens[t], rank, degree, words[a], words[b]) for t, rank, degree, a, b in zip(*source[1:], strict=True)]


def test_words_alone(vocabularies: Vocabularies) -> None:
    read = WordReader(vocabularies)
    assert read.vocabularies is vocabularies
    apples, area = vocabularies.words.ids(["apples", "area"])
    assert read(["apples", "zebra", "area"]) == ((apples, UNKNOWN, area),)
    assert read([]) == ((UNKNOWN,),)


def test_programs_stand_row_by_row(vocabularies: Vocabularies) -> None:
    neighbours = [Neighbour(PERCENT, "divide(n0,n1)|multiply(#0,const_100)|", 0.57), Neighbour(ADD, "add(n0,n1)|", 0.1)]
    source = reader_of(vocabularies).show(["how", "many", "apples"], neighbours)
    assert source[0] == (UNKNOWN, UNKNOWN, *vocabularies.words.ids(["apples"]))
    assert named(vocabularies, source) == [
        ("divide", 1, 6, "<pad>", "<pad>"),
        ("n0", 1, 6, "<pad>", "is"),
        ("n1", 1, 6, "of", "?"),
        ("multiply", 1, 6, "<pad>", "<pad>"),
        ("#0", 1, 6, "<pad>", "<pad>"),
        ("const_100", 1, 6, "<pad>", "<pad>"),
        ("</s>", 1, 6, "<pad>", "<pad>"),
        ("add", 2, 2, "<pad>", "<pad>"),
        ("n0", 2, 2, "has", "apples"),
        ("n1", 2, 2, "buys", "<pad>"),
        ("</s>", 2, 2, "<pad>", "<pad>"),
    ]
    assert vocabularies.words.tokens[PAD] == "<pad>"


@pytest.mark.parametrize(
    ("cosine", "degree"),
    [(0.0, 1), (0.05, 1), (0.1, 2), (0.25, 3), (0.5, 6), (0.875, 9), (0.95, 10), (1.0, 11), (1.0000001, 11)],
)
def test_a_degree_is_a_tenth_of_the_cosine(vocabularies: Vocabularies, cosine: float, degree: int) -> None:
    source = reader_of(vocabularies).show(["apples"], [Neighbour(ADD, "add(n0,n1)|", cosine)])
    assert source[3] == (degree,) * 4


def test_an_equal_text_has_a_degree_of_its_own(vocabularies: Vocabularies) -> None:
    source = reader_of(vocabularies)(ADD.split())
    rows = named(vocabularies, source)
    assert [row[:3] for row in rows[:4]] == [("add", 1, 12), ("n0", 1, 12), ("n1", 1, 12), ("</s>", 1, 12)]
    assert max(degree for _, _, degree, _, _ in rows[4:]) < 12


def test_neighbours_are_those_of_the_index_nearest_first(vocabularies: Vocabularies) -> None:
    words = ["what", "is", "the", "area", "of", "a", "square", "?"]
    reader = reader_of(vocabularies, n=2)
    [ranked] = reader.index.ranked([" ".join(words)], 2)
    assert [neighbour.text for neighbour in ranked] == [SQUARE, PERCENT]
    assert reader(words) == reader.show(words, ranked)
    rows = named(vocabularies, reader(words))
    assert [row[0] for row in rows if row[1] == 1] == ["square_area", "n0", "</s>"]
    assert [row[0] for row in rows if row[1] == 2] == ["divide", "n0", "n1", "multiply", "#0", "const_100", "</s>"]
    assert [row[1] for row in rows] == [1] * 3 + [2] * 7


def test_programs_that_do_not_fit_are_left_out_the_nearest_aside(
    vocabularies: Vocabularies, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbours = [
        Neighbour(PERCENT, "divide(n0,n1)|multiply(#0,const_100)|", 0.5),
        Neighbour(ADD, "add(n0,n1)|", 0.4),
        Neighbour(SQUARE, "square_area(n0)|", 0.3),
    ]
    lengths = {}
    for longest in (3, 10, 11, 13, 14):
        monkeypatch.setattr(NeighbourReader, "longest", longest)
        source = reader_of(vocabularies).show(["apples"], neighbours)
        lengths[longest] = (len(source[1]), max(source[2]))
    assert lengths == {3: (7, 1), 10: (7, 1), 11: (11, 2), 13: (11, 2), 14: (14, 3)}


def test_a_farther_program_does_not_take_the_place_of_one_too_long(
    vocabularies: Vocabularies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NeighbourReader, "longest", 8)
    neighbours = [
        Neighbour(ADD, "add(n0,n1)|", 0.5),
        Neighbour(PERCENT, "divide(n0,n1)|multiply(#0,const_100)|", 0.4),
        Neighbour(SQUARE, "square_area(n0)|", 0.3),
    ]
    assert len(reader_of(vocabularies).show(["apples"], neighbours)[1]) == 4


def test_nothing_to_show_is_one_empty_row(vocabularies: Vocabularies) -> None:
    source = reader_of(vocabularies).show(["apples"], [])
    assert source == (tuple(vocabularies.words.ids(["apples"])), (END,), (0,), (0,), (0,), (0,))


def test_a_text_without_words_has_neighbours_too(vocabularies: Vocabularies) -> None:
    source = reader_of(vocabularies)([])
    assert source[0] == (UNKNOWN,)
    # None is more similar than another: they come in the order of the file.
    assert [row[:3] for row in named(vocabularies, source) if row[0] == "</s>"] == [("</s>", r, 1) for r in (1, 2, 3)]
    assert named(vocabularies, source)[0][0] == "add"


def test_a_number_that_the_neighbour_s_text_lacks_stands_beside_nothing(vocabularies: Vocabularies) -> None:
    neighbour = Neighbour("the area of n0", "add(n0,n1)|", 0.5)
    rows = named(vocabularies, reader_of(vocabularies).show(["apples"], [neighbour]))
    assert [row[3:] for row in rows] == [("<pad>", "<pad>"), ("of", "<pad>"), ("<pad>", "<pad>"), ("<pad>", "<pad>")]
