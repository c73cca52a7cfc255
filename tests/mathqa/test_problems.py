"""Reading, masking, vocabularies, and batches by length."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from myna.errors import UserError
from myna.mathqa.batches import Example, batches_by_length, collate, encode, fold
from myna.mathqa.language.numbers import find_numbers
from myna.mathqa.language.program import join_tokens
from myna.mathqa.problems import (
    Problem,
    as_items,
    check_scorable,
    mask,
    mask_with_numbers,
    program_tokens,
    read_problems,
    split_path,
)
from myna.mathqa.readers import WordReader
from myna.mathqa.vocabulary import END, PAD, SPECIAL_TOKENS, START, UNKNOWN, Vocabularies, Vocabulary


@pytest.mark.parametrize(
    ("text", "masked", "numbers"),
    [
        ("Add 3,000 and 5 .", "add n0 and n1 .", [3000, 5]),
        ("1,234,567 , 1,00", "n0 , n1 , n2", [1234567, 1, 0]),
        ("it costs $ 1,234.50", "it costs $ n0", [1234.5]),
        ("from -0.5 to +2.25", "from n0 to n1", [-0.5, 2.25]),
        ("from -5 to .75", "from - n0 to n1", [5, 0.75]),
        ("5-3 and 0.5-0.3", "n0 - n1 and n2 n3", [5, 3, 0.5, -0.3]),
        ("the 2nd of 3 days", "the n0 nd of n1 days", [2, 3]),
        ("x5y6 is 10%", "x n0 y n1 is n2 %", [5, 6, 10]),
        ("12.5.3", "n0 n1", [12.5, 0.3]),
        ("A TRAIN runs\n\tat  NOON", "a train runs at noon", []),
        ("n1 of n0", "n n0 of n n1", [1, 0]),
        ("", "", []),
    ],
)
def test_mask(text: str, masked: str, numbers: list[float]) -> None:
    words, values = mask_with_numbers(text)
    assert " ".join(words) == mask(text) == masked
    assert values == pytest.approx(numbers)


@given(st.text(alphabet="0129,.+- nAé٣%\n"))
def test_masked_text_names_each_number_once_and_in_order(text: str) -> None:
    words, values = mask_with_numbers(text)
    assert values == [number.value for number in find_numbers(text)]
    names = [word for word in words if re.search(r"\d", word)]
    assert names == [f"n{index}" for index in range(len(values))]
    assert all(word == word.lower() for word in words)


def write(path: Path, value: object) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def test_read_problems(tmp_path: Path) -> None:
    items = [
        {"Problem": "2 + 3 ?", "linear_formula": "add(n0,n1)|", "answer": 5, "extra": None},
        {"Problem": "why ?"},
        {"Problem": "", "linear_formula": None, "answer": 0.5},
    ]
    assert read_problems(write(tmp_path / "a.json", items)) == [
        Problem("2 + 3 ?", "add(n0,n1)|", 5),
        Problem("why ?", None, None),
        Problem("", None, 0.5),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"Problem": "a"}, "expected a list of problems, not dict"),
        (["a"], "item 0: expected an object with a text under Problem"),
        ([{"Problem": "a"}, {"problem": "b"}], "item 1: expected an object with a text under Problem"),
        ([{"Problem": 3}], "item 0: expected an object with a text under Problem"),
        ([{"Problem": "a", "linear_formula": ["add"]}], "item 0: linear_formula: expected a text, not ['add']"),
        ([{"Problem": "a"}, {"Problem": "b", "answer": "5"}], "item 1: answer: expected a number, not '5'"),
        ([{"Problem": "a", "answer": True}], "item 0: answer: expected a number, not True"),
        ('[\n{"Problem": "a"\n]', "line 3, column 1: not JSON"),
    ],
)
def test_read_problems_tells_what_is_wrong_in_one_line(tmp_path: Path, content: object, reason: str) -> None:
    path = write(tmp_path / "broken.json", content)
    with pytest.raises(UserError) as caught:
        read_problems(path)
    assert str(caught.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(caught.value)


def test_read_problems_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.json: no such file"):
        read_problems(tmp_path / "none.json")


def test_vocabulary_begins_with_the_special_tokens() -> None:
    vocabulary = Vocabulary(["add", "n0"])
    assert vocabulary.tokens == ["<pad>", "<s>", "</s>", "<unk>", "add", "n0"]
    assert (PAD, START, END, UNKNOWN) == (0, 1, 2, 3)
    assert len(vocabulary) == 6
    assert vocabulary.ids(["n0", "divide", "add", "<s>"]) == [5, UNKNOWN, 4, START]
    assert "add" in vocabulary
    assert "divide" not in vocabulary


def test_vocabulary_orders_by_frequency_then_alphabet() -> None:
    texts = [["b", "c", "a"], ["c", "b"], ["c", "d"]]
    assert Vocabulary.count(texts).tokens[4:] == ["c", "b", "a", "d"]
    assert Vocabulary.count(texts, min_count=2).tokens[4:] == ["c", "b"]


def test_vocabulary_counts_no_special_token_twice() -> None:
    assert Vocabulary.count([["<s>", "a", "<unk>"]]).tokens == [*SPECIAL_TOKENS, "a"]


@pytest.mark.parametrize("tokens", [["a", "b", "a"], ["<pad>"]])
def test_vocabulary_refuses_repeated_tokens(tokens: list[str]) -> None:
    with pytest.raises(ValueError, match=f"token '{tokens[0]}' occurs more than once"):
        Vocabulary(tokens)


def test_vocabularies_are_built_from_masked_texts_and_programs() -> None:
    problems = [Problem("Add 2 and 3", "add(n0,n1)|"), Problem("add 7 to 9", "add(n1,n0)")]
    built = Vocabularies.build(problems, min_word_count=2)
    assert built.words.tokens[4:] == ["add", "n0", "n1"]
    assert built.tokens.tokens[4:] == ["add", "n0", "n1"]
    assert built.word_ids(["n0", "apples"]) == (5, UNKNOWN)
    assert built.word_ids([]) == (UNKNOWN,)


def test_vocabularies_survive_saving(tmp_path: Path) -> None:
    built = Vocabularies(Vocabulary(["é", "n0"]), Vocabulary(["add"]))
    built.save(tmp_path / "vocab.json")
    loaded = Vocabularies.load(tmp_path / "vocab.json")
    assert (loaded.words.tokens, loaded.tokens.tokens) == (built.words.tokens, built.tokens.tokens)
    assert loaded.words.ids(["n0", "é"]) == [5, 4]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "words: expected a list of texts"),
        ({"words": ["a"]}, "tokens: expected a list of texts"),
        ({"words": "abc", "tokens": []}, "words: expected a list of texts"),
        ({"words": ["a"], "tokens": ["b", 3]}, "tokens: expected a list of texts"),
        ({"words": ["a", "a"], "tokens": []}, "words: vocabulary: token 'a' occurs more than once"),
    ],
)
def test_vocabularies_refuse_a_broken_file(tmp_path: Path, content: object, reason: str) -> None:
    path = write(tmp_path / "vocab.json", content)
    with pytest.raises(UserError) as caught:
        Vocabularies.load(path)
    assert str(caught.value) == f"{path}: {reason}"


def test_program_tokens() -> None:
    assert program_tokens(Problem("", "add(n0,const_100)|divide(#0,n1)")) == [
        *("add", "n0", "const_100"),
        *("divide", "#0", "n1"),
    ]


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (Problem("two\nlines " * 20), "no linear_formula to learn from or score against in problem: two lines"),
        (Problem("a", "add"), "linear_formula 'add': step 0: 'add' has no '('"),
        (Problem("a", "|"), "linear_formula '|': step 0: no step"),
    ],
)
def test_program_tokens_needs_a_program(problem: Problem, reason: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(reason)}") as caught:
        program_tokens(problem)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"answer": 5}, "no linear_formula to learn from or score against in problem: 2 + 3 ?"),
        ({"linear_formula": "add(n0,n1)|"}, "no answer to score against in problem: 2 + 3 ?"),
        ({"linear_formula": "add(n0,n1)|", "answer": math.nan}, "answer: expected a finite number, not nan"),
        ({"linear_formula": "add", "answer": 5}, "linear_formula 'add': step 0: 'add' has no '('"),
    ],
)
def test_what_cannot_be_scored_against_is_named_by_file_and_item(tmp_path: Path, item: object, reason: str) -> None:
    good = {"Problem": "2 + 3 ?", "linear_formula": "add(n0,n1)|", "answer": 5}
    path = write(tmp_path / "dev.json", [good, {"Problem": "2 + 3 ?", **item}])  # type: ignore[dict-item]
    problems = read_problems(path)
    check_scorable(problems[:1])
    with pytest.raises(UserError) as caught:
        check_scorable(problems)
    assert str(caught.value) == f"{path}: item 1: {reason}"


def test_where_a_problem_was_read_is_no_part_of_it(tmp_path: Path) -> None:
    (problem,) = read_problems(write(tmp_path / "a.json", [{"Problem": "2 ?"}]))
    assert problem.place
    # Runs know their data by a hash of the repr.
    assert (problem, hash(problem), repr(problem)) == (Problem("2 ?"), hash(Problem("2 ?")), repr(Problem("2 ?")))
    assert repr(problem) == "Problem(text='2 ?', formula=None, answer=None)"


def test_encode() -> None:
    vocabularies = Vocabularies(Vocabulary(["add", "n0"]), Vocabulary(["add", "n0", "n1"]))
    problems = [Problem("ADD 1 apples", "add(n0,n5)|"), Problem("", "add(n1,n0)|")]
    assert encode(problems, vocabularies, WordReader(vocabularies)) == [
        Example(((4, 5, UNKNOWN),), (4, 5, UNKNOWN)),
        Example(((UNKNOWN,),), (4, 6, 5)),
    ]


def test_fold_adds_up_weights_in_order_of_appearance() -> None:
    a, b, same_text = Example(((4,),), (5,)), Example(((5,),), (5,)), Example(((4,),), (6,))
    folded = fold([b, a, same_text, a, b, a])
    assert folded == [Example(((5,),), (5,), 2), Example(((4,),), (5,), 3), Example(((4,),), (6,), 1)]
    assert fold([*folded, a]) == [Example(((5,),), (5,), 2), Example(((4,),), (5,), 4), Example(((4,),), (6,), 1)]


def test_collate() -> None:
    batch = collate([Example(((7, 8, 9), (4, 4)), (4,)), Example(((6,), (5,)), (4, 5), weight=3)])
    assert [part.tolist() for part in batch.source] == [[[7, 8, 9], [6, PAD, PAD]], [[4, 4], [5, PAD]]]
    assert batch.lengths.tolist() == [3, 1]
    assert batch.inputs.tolist() == [[START, 4, PAD], [START, 4, 5]]
    assert batch.targets.tolist() == [[4, END, PAD], [4, 5, END]]
    assert batch.weights.tolist() == [1.0, 3.0]
    assert {t.dtype for t in (*batch.source, batch.lengths, batch.inputs, batch.targets)} == {torch.int64}
    moved = batch.to(torch.device("meta"))
    parts = (*moved.source, moved.lengths, moved.inputs, moved.targets, moved.weights)
    assert {part.device.type for part in parts} == {"meta"}


def make_examples(n: int) -> list[Example]:
    rng = random.Random(0)
    return [Example(((4,) * rng.randint(1, 120),), (4,) * rng.randint(3, 60)) for _ in range(n)]


@pytest.mark.parametrize(("n", "batch_size"), [(203, 16), (64, 16), (16, 16), (3, 16), (5, 1), (0, 4)])
def test_batches_hold_every_example_once(n: int, batch_size: int) -> None:
    groups = batches_by_length(make_examples(n), batch_size, seed=1, epoch=2)
    assert sorted(index for group in groups for index in group) == list(range(n))
    assert len(groups) == math.ceil(n / batch_size)
    smaller = [len(group) for group in groups if len(group) != batch_size]
    assert smaller == ([n % batch_size] if n % batch_size else [])


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    examples = make_examples(300)
    first = batches_by_length(examples, 16, seed=1, epoch=2)
    assert batches_by_length(examples, 16, seed=1, epoch=2) == first
    for seed, epoch in ((1, 3), (2, 2), (12, 0)):
        other = batches_by_length(examples, 16, seed, epoch)
        # Neither the order nor the company is the same.
        assert other != first
        assert {frozenset(group) for group in other} != {frozenset(group) for group in first}


def test_short_and_long_batches_come_in_a_mixed_order() -> None:
    examples = make_examples(640)
    leads = {"words": 0.0, "tokens": 0.0}  # how much longer the first half of the batches is, over ten epochs
    for epoch in range(10):
        groups = batches_by_length(examples, 16, seed=0, epoch=epoch)
        for half, sign in ((groups[:20], 1), (groups[20:], -1)):
            for index in itertools.chain.from_iterable(half):
                leads["words"] += sign * len(examples[index].source[0]) / 3200
                leads["tokens"] += sign * len(examples[index].tokens) / 3200
    # In the order of the splits one of the two would differ by half of its range, 60 or 28.
    assert abs(leads["words"]) < 12
    assert abs(leads["tokens"]) < 6


def padding_ratio(examples: Sequence[Example], groups: Iterable[Sequence[int]]) -> float:
    """Return the share of padding among all word and token positions of the batches."""
    real = total = 0
    for group in groups:
        words = [len(examples[i].source[0]) for i in group]
        tokens = [len(examples[i].tokens) + 1 for i in group]
        real += sum(words) + sum(tokens)
        total += len(group) * (max(words) + max(tokens))
    return 1 - real / total


def test_like_lengths_save_padding() -> None:
    examples = make_examples(640)
    in_order = [list(range(start, start + 16)) for start in range(0, 640, 16)]
    assert padding_ratio(examples, batches_by_length(examples, 16, 0, 0)) < padding_ratio(examples, in_order) / 2


def test_as_items_is_the_course_format(tmp_path: Path) -> None:
    problems = [Problem("2 + 3 ?", "add(n0,n1)|", 5.0)]
    items = as_items(problems, ["add(n1,n0)|"])
    assert items[0]["predicted"] == "add(n1,n0)|"
    assert read_problems(write(tmp_path / "out.json", items)) == problems
    with pytest.raises(ValueError, match="shorter"):
        as_items(problems, [])


@pytest.fixture(scope="module")
def real_examples() -> list[Example]:
    """The folded training examples; filled in by the first test that asks for them."""
    return []


@pytest.fixture
def training(data_dir: Path, real_examples: list[Example]) -> list[Example]:
    if not real_examples:
        problems = read_problems(split_path(data_dir, "train"))
        vocabularies = Vocabularies.build(problems, min_word_count=2)
        real_examples += fold(encode(problems, vocabularies, WordReader(vocabularies)))
    return real_examples


@pytest.mark.data
def test_real_training_data_folds_to_half(training: list[Example]) -> None:
    assert sum(example.weight for example in training) == 19791
    assert len(training) == 9017
    assert not any(UNKNOWN in example.tokens for example in training)


@pytest.mark.data
def test_real_batches_are_padded_by_less_than_a_tenth(training: list[Example]) -> None:
    assert padding_ratio(training, batches_by_length(training, 32, seed=0, epoch=0)) < 0.10


@pytest.mark.data
def test_every_real_reference_can_be_written_by_the_model(data_dir: Path) -> None:
    for split in ("dev", "test"):
        for problem in read_problems(split_path(data_dir, split)):
            assert problem.formula is not None
            assert join_tokens(program_tokens(problem)) == problem.formula.removesuffix("|") + "|"
