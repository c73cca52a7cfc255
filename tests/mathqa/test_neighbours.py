"""The ranked neighbours of a text: by hand, against scikit-learn over all training texts, and the index's hash."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from myna.mathqa.baselines import Neighbour, NeighbourIndex
from myna.mathqa.problems import Problem, mask
from myna.mathqa.splits import generate_splits

TRAINING = [
    Problem("ravi has 3 apples and buys 4", "add(n0,n1)|", 7.0),
    Problem("meera has 3 apples and buys 4", "add(n0,n1)|", 7.0),
    Problem("meera has 8 apples and sells 4", "subtract(n0,n1)|", 4.0),
    Problem("the area of a square of side 3", "square_area(n0)|", 9.0),
    Problem("ravi has 5 apples and buys 1", "add(n1,n0)|", 6.0),
    Problem("ravi has 9 apples and buys 2", "add(n0,n1)", 11.0),
]
RAVI, MEERA, SELLS, SQUARE = (mask(problem.text) for problem in TRAINING[:4])
ADD, SUBTRACT, AREA = "add(n0,n1)|", "subtract(n0,n1)|", "square_area(n0)|"


@pytest.fixture(scope="module")
def index() -> NeighbourIndex:
    return NeighbourIndex(TRAINING)


def pairs(neighbours: Sequence[Neighbour]) -> list[tuple[str, str]]:
    return [(neighbour.text, neighbour.program) for neighbour in neighbours]


def test_a_text_of_training_comes_first_and_no_program_twice(index: NeighbourIndex) -> None:
    [ranked] = index.ranked([RAVI], 4)
    assert pairs(ranked) == [(RAVI, ADD), (SELLS, SUBTRACT), (SQUARE, AREA)]
    assert ranked[0].cosine == 1
    assert ranked[0].cosine > ranked[1].cosine > ranked[2].cosine > 0


def test_without_itself_another_text_gives_its_program(index: NeighbourIndex) -> None:
    [ranked] = index.ranked([RAVI], 4, without_itself=True)
    assert pairs(ranked) == [(MEERA, ADD), (SELLS, SUBTRACT), (SQUARE, AREA)]
    [square] = index.ranked([SQUARE], 4, without_itself=True)
    assert AREA not in {neighbour.program for neighbour in square}
    # With itself is not what was found without.
    assert index.ranked([RAVI], 4)[0][0].text == RAVI


def test_both_ways_are_one_for_a_novel_text(index: NeighbourIndex) -> None:
    text = "meera has n0 apples"
    assert index.ranked([text], 3) == index.ranked([text], 3, without_itself=True)
    assert pairs(index.ranked([text], 3)[0])[0] == (MEERA, ADD)


def test_n_is_the_most(index: NeighbourIndex) -> None:
    assert [len(index.ranked([RAVI], n)[0]) for n in (1, 2, 3, 4, 50)] == [1, 2, 3, 3, 3]
    assert [len(index.ranked([RAVI], n, without_itself=True)[0]) for n in (1, 3, 50)] == [1, 3, 3]
    [found] = index.ranked([RAVI], 50)
    assert [index.ranked([RAVI], n)[0] for n in (1, 2)] == [found[:1], found[:2]]


def test_a_single_problem_has_no_neighbour_but_itself() -> None:
    index = NeighbourIndex(TRAINING[:1])
    assert index.ranked([RAVI], 4) == [[Neighbour(RAVI, ADD, 1.0)]]
    assert index.ranked([RAVI], 4, without_itself=True) == [[]]


def numbered(n: int) -> list[Problem]:
    """Return problems of two words, one their own and one shared, each with its own program."""
    return [Problem(f"w{chr(97 + i // 26)}{chr(97 + i % 26)} same", f"add(n0,const_{i})|", 0.0) for i in range(n)]


@pytest.mark.parametrize("text", ["same", "nothing in common", ""])
def test_of_equally_similar_texts_the_first_in_the_file_come_first(text: str) -> None:
    index = NeighbourIndex(numbered(100))
    [ranked] = index.ranked([text], 3)
    assert [neighbour.program for neighbour in ranked] == [f"add(n0,const_{i})|" for i in range(3)]
    assert len({neighbour.cosine for neighbour in ranked}) == 1


@pytest.mark.parametrize("n_near", [1, 20, 30])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_so_do_they_behind_nearer_ones(n_near: int, n: int) -> None:
    """However many are equally similar: more here than are looked at."""
    problems = numbered(200)
    for i in range(n_near):
        problems.insert(7 * i, Problem(f"near z{chr(97 + i // 26)}{chr(97 + i % 26)}", "sqrt(n0)|", 0.0))
    [ranked] = NeighbourIndex(problems).ranked(["near"], n + 1)
    assert [neighbour.program for neighbour in ranked] == ["sqrt(n0)|", *(f"add(n0,const_{i})|" for i in range(n))]
    assert ranked[0].text == "near zaa"


def test_programs_beyond_the_nearest_are_not_looked_for() -> None:
    problems = [*(Problem(p.text, "add(n0,n1)|") for p in numbered(33)), Problem("same far away", "sqrt(n0)|")]
    index = NeighbourIndex(problems)
    # 16 n texts and one are looked at, and all but the last have one program.
    assert [len(index.ranked(["same"], n)[0]) for n in (2, 3)] == [1, 2]


def brute_force(problems: Sequence[Problem], text: str, n: int, without_itself: bool) -> list[Neighbour]:
    """Sort all training texts by their cosine, and take the first of each program."""
    programs = NeighbourIndex(problems)
    texts = list(dict.fromkeys(mask(problem.text) for problem in problems))
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", lowercase=False)
    vectors = vectorizer.fit_transform(texts).toarray()
    cosines = vectors @ vectorizer.transform([text]).toarray()[0]
    found: dict[str, Neighbour] = {}
    for place in np.argsort(-np.round(cosines, 12), kind="stable"):
        other = texts[place]
        if without_itself and other == text:
            continue
        program = programs.look_up(other)
        found.setdefault(program, Neighbour(other, program, pytest.approx(cosines[place])))
    return list(found.values())[:n]


@pytest.mark.parametrize("without_itself", [False, True])
def test_equals_a_search_of_all(without_itself: bool) -> None:
    splits = generate_splits()
    by_text = {mask(problem.text): problem for problem in splits.train}
    problems = list(by_text.values())[:60]
    index = NeighbourIndex(problems)
    texts = [*map(mask, (p.text for p in splits.dev[:15])), *list(by_text)[:15]]
    # All 60 are among the nearest 16 n.
    found = index.ranked(texts, 5, without_itself=without_itself)
    assert {len(neighbours) for neighbours in found} == {5}
    for text, neighbours in zip(texts, found, strict=True):
        expected = brute_force(problems, text, 5, without_itself)
        assert [neighbour.program for neighbour in neighbours] == [neighbour.program for neighbour in expected]
        assert neighbours == expected


def test_order_and_company_do_not_matter() -> None:
    texts = [RAVI, "meera sells a square", "nothing", RAVI]
    alone = [NeighbourIndex(TRAINING).ranked([text], 2)[0] for text in texts]
    index = NeighbourIndex(TRAINING)
    assert index.ranked(texts, 2) == alone
    assert index.ranked(texts[::-1], 2) == alone[::-1]
    assert index.ranked([], 2) == []


# The hash


def test_the_hash_is_that_of_what_is_looked_up() -> None:
    assert NeighbourIndex(TRAINING).fingerprint() == NeighbourIndex(list(TRAINING)).fingerprint()
    assert len(NeighbourIndex(TRAINING).fingerprint()) == 64
    half = [*TRAINING, Problem("half a \ud800 pair has 1", TRAINING[0].formula, 1.0)]
    assert NeighbourIndex(half).fingerprint() != NeighbourIndex(TRAINING).fingerprint()
    # Neither other numbers, an answer, nor a program's last bar are looked up.
    same = [Problem("Ravi has 33 apples and  buys 44", "add(n0,n1)", None), *TRAINING[1:]]
    assert NeighbourIndex(same).fingerprint() == NeighbourIndex(TRAINING).fingerprint()


@pytest.mark.parametrize(
    "other",
    [
        [Problem("ravi has 3 pears and buys 4", "add(n0,n1)|"), *TRAINING[1:4]],
        [Problem("ravi has 3 apples and buys 4", "add(n1,n0)|"), *TRAINING[1:4]],
        [TRAINING[1], TRAINING[0], *TRAINING[2:4]],
        TRAINING[:3],
        [*TRAINING[:4], Problem("what is 3 % of 4 ?", "multiply(n0,n1)|")],
    ],
    ids=["text", "program", "order", "fewer", "more"],
)
def test_the_hash_changes_with_a_text_a_program_or_the_order(other: list[Problem]) -> None:
    assert NeighbourIndex(other).fingerprint() != NeighbourIndex(TRAINING[:4]).fingerprint()
