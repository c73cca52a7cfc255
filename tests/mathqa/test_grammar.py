"""The constraints by hand, against brute force over all programs, and fuzzed with random models."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from myna.mathqa.beam import Hypothesis, Memory, State, beam_search
from myna.mathqa.grammar import ExecutionGuide, Grammar
from myna.mathqa.language.execute import execute, run_step
from myna.mathqa.language.numbers import find_numbers
from myna.mathqa.language.program import from_tokens, parse

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
START, END = 1, 2
TOKENS = [
    *SPECIAL,
    *("add", "divide", "log", "factorial", "power", "triangle_perimeter"),
    *("n0", "n1", "n2", "#0", "#1", "const_0_5", "const_100", "const_pi", "no_such_operation"),
]
OPERATIONS = {"add", "divide", "log", "factorial", "power", "triangle_perimeter"}
CONSTANTS = {"const_0_5", "const_100", "const_pi"}


def ids(text: str, vocabulary: Sequence[str] = TOKENS) -> list[int]:
    return [vocabulary.index(token) for token in text.split()]


def state_after(constraint: Grammar, text: str) -> State:
    """Return the state of a single problem after the tokens of `text`."""
    state = constraint.start()
    for token in ids(text):
        state = constraint.advance(state, torch.tensor([[token]]))
    return state


class Searching(Protocol):
    """A search with a fixed model; gives programs as text and their probabilities."""

    def __call__(self, constraint: Grammar | None, **options: Any) -> list[list[tuple[str, float]]]: ...


class RandomModel:
    """Log-probabilities that depend on the problem and on the whole history."""

    def __init__(self, n_tokens: int, n_problems: int, seed: int = 0, end_bonus: float = 0.0) -> None:
        self.table = torch.randn(997, n_tokens, generator=torch.Generator().manual_seed(seed)) * 2
        self.table[:, END] += end_bonus
        self.table = self.table.log_softmax(1)
        self.keys = torch.arange(n_problems) * 7

    def __call__(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        hashes = (state[0] * 31 + tokens * 17 + memory[0].unsqueeze(1)) % 997
        return self.table[hashes], (hashes,)

    def search(self, constraint: Grammar | None, **options: Any) -> list[list[Hypothesis]]:
        state = torch.zeros(len(self.keys), 1, dtype=torch.int64)
        options = {"start_id": START, "end_id": END, "n_best": 400} | options
        return beam_search(self, (state,), (self.keys,), constraint=constraint, **options)

    def log_probability(self, problem: int, tokens: Sequence[int]) -> float:
        history, total = 0, 0.0
        for token, following in itertools.pairwise([START, *tokens, END]):
            history = (history * 31 + token * 17 + int(self.keys[problem])) % 997
            total += float(self.table[history, following])
        return total


def is_well_formed(tokens: Sequence[str], n_numbers: int) -> bool:
    """Say, plainly, whether tokens are a program whose arguments are all there."""
    try:
        program = from_tokens(tokens)
    except ValueError:
        return False
    for index, step in enumerate(program.steps):
        for argument in step.arguments:
            if re.fullmatch(r"n\d+", argument) and int(argument[1:]) >= n_numbers:
                return False
            if argument.startswith("#") and int(argument[1:]) >= index:
                return False
    return program.tokens == list(tokens)


def runs(tokens: Sequence[str], numbers: Sequence[float]) -> bool:
    return is_well_formed(tokens, len(numbers)) and execute(from_tokens(tokens), numbers).failure is None


@pytest.mark.parametrize(
    ("prefix", "n_numbers", "n_left", "expected"),
    [
        ("", 2, 99, OPERATIONS),  # no end before there is a step
        ("add", 2, 99, {"n0", "n1"} | CONSTANTS),
        ("add", 0, 99, CONSTANTS),
        ("add", 99, 99, {"n0", "n1", "n2"} | CONSTANTS),
        ("add n0", 1, 99, {"n0"} | CONSTANTS),
        ("add n0 n0", 1, 99, OPERATIONS | {"</s>"}),
        ("log n0", 1, 99, OPERATIONS | {"</s>"}),
        ("add n0 n0 log", 1, 99, {"n0", "#0"} | CONSTANTS),
        ("add n0 n0 log #0 triangle_perimeter", 1, 99, {"n0", "#0", "#1"} | CONSTANTS),
        ("log n0 log #0 log #1 log #1 add #1", 1, 99, {"n0", "#0", "#1"} | CONSTANTS),
        ("triangle_perimeter n0 n0", 1, 2, {"n0"} | CONSTANTS),  # within a step the step itself is not there
        # an operation needs room for itself, its arguments and the end
        ("", 1, 5, OPERATIONS),
        ("", 1, 4, OPERATIONS - {"triangle_perimeter"}),
        ("", 1, 3, {"log", "factorial"}),
        ("", 1, 2, set()),
        ("log n0", 1, 4, OPERATIONS - {"triangle_perimeter"} | {"</s>"}),
        ("log n0", 1, 1, {"</s>"}),
    ],
)
def test_what_may_follow(prefix: str, n_numbers: int, n_left: int, expected: set[str]) -> None:
    for constraint in (
        Grammar(TOKENS, [n_numbers], end_id=END),
        ExecutionGuide(TOKENS, [[2.0] * n_numbers], end_id=END),
    ):
        mask = constraint.allowed(state_after(constraint, prefix), n_left)
        assert mask.shape == (1, 1, len(TOKENS))
        assert mask.dtype == torch.bool
        assert {token for token, may in zip(TOKENS, mask[0, 0].tolist(), strict=True) if may} == expected


def test_masks_of_a_batch_are_those_of_its_hypotheses() -> None:
    prefixes = [["add n0", "log n0"], ["divide const_pi", "power const_100"], ["log n0", "log n1"]]
    n_numbers = [1, 0, 3]
    grammar = Grammar(TOKENS, n_numbers, end_id=END)
    start = tuple(tensor.expand(3, 2) for tensor in grammar.start())
    state = start
    for tokens in torch.tensor([[ids(text) for text in row] for row in prefixes]).unbind(2):
        state = grammar.advance(state, tokens)
    mask = grammar.allowed(state, 9)
    for problem, hypothesis in itertools.product(range(3), range(2)):
        alone = Grammar(TOKENS, [n_numbers[problem]], end_id=END)
        expected = alone.allowed(state_after(alone, prefixes[problem][hypothesis]), 9)
        assert torch.equal(mask[problem, hypothesis], expected[0, 0])


def test_the_grammar_rejects_nothing() -> None:
    grammar = Grammar(TOKENS, [1, 1], end_id=END)
    assert not grammar.rejects(grammar.start(), torch.tensor([[4], [6]])).any()


@pytest.mark.parametrize(
    ("prefix", "token", "numbers", "rejected"),
    [
        ("divide n0", "n1", [5.0, 0.0], True),
        ("divide n1", "n0", [5.0, 0.0], False),
        ("divide", "n1", [5.0, 0.0], False),  # the step is not complete
        ("log", "n0", [0.0], True),
        ("power n0", "const_0_5", [-2.0], True),  # complex
        ("factorial", "n0", [1e9], True),  # too large
        ("power n0", "n0", [1e300], True),
        ("add n0", "n0", [1e308], True),  # infinite
        ("factorial", "n0", [2000.0], True),  # a value longer than Python writes
        ("factorial", "n0", [100.0], False),
        ("log n0 divide n0", "#0", [1.0], True),  # ln 1 = 0, from the step before
        ("log n0 divide n0", "#0", [2.0], False),
        ("log n0", "</s>", [2.0], False),
        ("log n0", "log", [2.0], False),
    ],
)
def test_a_step_that_fails_is_rejected(prefix: str, token: str, numbers: list[float], rejected: bool) -> None:
    guide = ExecutionGuide(TOKENS, [numbers], end_id=END)
    state = state_after(guide, prefix)
    assert guide.rejects(state, torch.tensor([ids(token)])).tolist() == [[rejected]]
    if not rejected:  # asking twice, and going on, changes nothing
        assert guide.rejects(state, torch.tensor([ids(token)])).tolist() == [[False]]
        guide.advance(state, torch.tensor([ids(token)]))


SMALL = [*SPECIAL, "divide", "log", "n0", "n1", "#0", "#1", "const_1"]


def enumerate_programs(numbers: Sequence[float], max_tokens: int, runs_only: bool) -> set[tuple[int, ...]]:
    """Return all programs over `SMALL`, by trying every sequence of tokens."""
    found = set()
    for n_tokens in range(1, max_tokens + 1):
        for program in itertools.product(range(len(SPECIAL), len(SMALL)), repeat=n_tokens):
            tokens = [SMALL[token] for token in program]
            if is_well_formed(tokens, len(numbers)) and (not runs_only or runs(tokens, numbers)):
                found.add(program)
    return found


@pytest.mark.parametrize("runs_only", [False, True])
def test_a_wide_beam_finds_all_programs_and_nothing_else(runs_only: bool) -> None:
    numbers = [[0.0], [3.0, -2.0]]
    model = RandomModel(len(SMALL), 2)
    grammar, guide = Grammar(SMALL, [1, 2], end_id=END), ExecutionGuide(SMALL, numbers, end_id=END)
    results = model.search(guide if runs_only else grammar, beam_size=400, max_steps=6)
    for problem, result in enumerate(results):
        programs = enumerate_programs(numbers[problem], 5, runs_only)
        assert 10 <= len(programs) < 400
        expected = {program: model.log_probability(problem, program) for program in programs}
        assert {tuple(h.tokens) for h in result} == programs
        assert all(h.ended for h in result)
        assert [h.log_probability for h in result] == pytest.approx(sorted(expected.values())[::-1], abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    numbers=st.lists(
        st.lists(st.sampled_from([0.0, 1.0, 2.5, -3.0, 7.0, 360.0, 1e9]), max_size=4), min_size=1, max_size=5
    ),
    beam_size=st.integers(1, 8),
    max_steps=st.integers(3, 14),
    end_bonus=st.sampled_from([-4.0, 0.0, 4.0]),
)
def test_random_models_write_programs_only(
    seed: int, numbers: list[list[float]], beam_size: int, max_steps: int, end_bonus: float
) -> None:
    model = RandomModel(len(TOKENS), len(numbers), seed, end_bonus)
    options = {"beam_size": beam_size, "max_steps": max_steps}
    grammar = Grammar(TOKENS, [len(own) for own in numbers], end_id=END)
    for result, own in zip(model.search(grammar, **options), numbers, strict=True):
        assert result
        for h in result:
            assert h.ended
            assert is_well_formed([TOKENS[token] for token in h.tokens], len(own))
    guide = ExecutionGuide(TOKENS, numbers, end_id=END)
    results = model.search(guide, **options)
    for result, own in zip(results, numbers, strict=True):
        for h in result:
            assert h.ended or len(h.tokens) == max_steps
            assert not h.ended or runs([TOKENS[token] for token in h.tokens], own)
    # one guide may serve several searches, and a problem's programs depend on no other problem
    assert model.search(guide, **options) == results
    keys = model.keys
    for problem, own in enumerate(numbers):
        model.keys = keys[problem : problem + 1]
        alone = model.search(ExecutionGuide(TOKENS, [own], end_id=END), **options)
        assert alone == results[problem : problem + 1]


def scripted(vocabulary: Sequence[str], rows: dict[str, dict[str, float]], n_problems: int = 1) -> Searching:
    """Return a search whose next token depends on the last one alone; what is not said has probability 0."""
    table = torch.zeros(len(vocabulary), len(vocabulary))
    for last, following in rows.items():
        for token, probability in following.items():
            table[vocabulary.index(last), vocabulary.index(token)] = probability
    table = table.log()

    def search(constraint: Grammar | None, **options: Any) -> list[list[tuple[str, float]]]:
        results = beam_search(
            lambda tokens, state, memory: (table[tokens], state),
            (),
            (torch.zeros(n_problems),),
            start_id=START,
            end_id=END,
            constraint=constraint,
            **options,
        )
        return [
            [(" ".join(vocabulary[t] for t in h.tokens), round(math.exp(h.log_probability), 6)) for h in result]
            for result in results
        ]

    return search


def test_the_three_switches() -> None:
    search = scripted(
        TOKENS,
        {
            "<s>": {"</s>": 0.4, "divide": 0.35, "add": 0.25},
            "divide": {"n0": 1.0},
            "add": {"n0": 1.0},
            "n0": {"n1": 0.5, "</s>": 0.4, "const_100": 0.1},
            "n1": {"</s>": 1.0},
            "const_100": {"</s>": 1.0},
        },
    )
    options = {"beam_size": 2, "max_steps": 9}
    assert search(None, **options) == [[("", 0.4)]]
    assert search(Grammar(TOKENS, [2], end_id=END), **options) == [[("divide n0 n1", 0.175)]]
    assert search(Grammar(TOKENS, [1], end_id=END), **options) == [[("divide n0 const_100", 0.035)]]
    guide = ExecutionGuide(TOKENS, [[6.0, 0.0]], end_id=END)
    assert search(guide, **options) == [[("add n0 n1", 0.125)]]
    # the division by n1 leaves its place in the beam to the division by 100
    guide = ExecutionGuide(TOKENS, [[6.0, 0.0]], end_id=END)
    assert search(guide, **options, n_best=5) == [[("add n0 n1", 0.125), ("divide n0 const_100", 0.035)]]
    assert search(guide, **options | {"beam_size": 1}) == [[("divide n0 const_100", 0.035)]]


def test_a_problem_without_a_way_on_keeps_what_has_ended_and_leaves_the_others_alone() -> None:
    search = scripted(
        TOKENS,
        {
            "<s>": {"add": 0.6, "log": 0.4},
            "add": {"n0": 1.0},
            "log": {"n0": 0.5, "#0": 0.5},
            "n0": {"n0": 0.5, "log": 0.3, "</s>": 0.2},
            "#0": {"</s>": 1.0},
        },
        n_problems=3,
    )
    guide = ExecutionGuide(TOKENS, [[0.0], [0.5], [3.0]], end_id=END)
    results = search(guide, beam_size=4, max_steps=6, n_best=3)
    assert results[0] == [("add n0 n0", 0.06)]  # the logarithm of 0 has no value, of n0 or of n0 + n0
    assert results[1] == results[2] == [("add n0 n0", 0.06), ("add n0 n0 log #0", 0.045), ("log n0", 0.04)]
    hopeless = scripted(TOKENS, {"<s>": {"log": 1.0}, "log": {"n0": 1.0}, "n0": {"</s>": 1.0}}, n_problems=2)
    guide = ExecutionGuide(TOKENS, [[0.0], [2.0]], end_id=END)
    assert hopeless(guide, beam_size=3, max_steps=6) == [[], [("log n0", 1.0)]]


def test_a_problem_without_arguments_or_room_has_no_programs() -> None:
    vocabulary = [*SPECIAL, "add", "n0", "#0"]
    model = RandomModel(len(vocabulary), 2)
    results = model.search(Grammar(vocabulary, [0, 1], end_id=END), beam_size=3, max_steps=4)
    assert [[h.tokens for h in result] for result in results] == [[], [ids("add n0 n0", vocabulary)]]
    assert model.search(Grammar(vocabulary, [1, 1], end_id=END), beam_size=3, max_steps=3) == [[], []]


def test_no_step_is_run_twice_and_no_program_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, ...]] = []

    def counted(operation: str, arguments: Sequence[str], numbers: Sequence[float], values: Sequence[float]) -> object:
        calls.append((operation, *arguments, repr(numbers), repr(values)))
        return run_step(operation, arguments, numbers, values)

    monkeypatch.setattr("myna.mathqa.grammar.run_step", counted)
    numbers = [[2.0, 3.0], [5.0]]
    model = RandomModel(len(TOKENS), 2)
    [first, second] = model.search(ExecutionGuide(TOKENS, numbers, end_id=END), beam_size=4, max_steps=12)
    assert first
    assert second
    n_in_beam = 2 * 4 * 12
    assert len(calls) < 2 * n_in_beam
    # the step after "log n0" is given its value, and what came before is not run again
    calls.clear()
    guide = ExecutionGuide(TOKENS, [[1.0]], end_id=END)
    state = state_after(guide, "log n0 add #0")
    assert calls == [("log", "n0", "[1.0]", "()")]
    assert guide.rejects(state, torch.tensor([ids("const_100")])).tolist() == [[False]]
    guide.advance(state, torch.tensor([ids("const_100")]))
    assert calls[1:] == [("add", "#0", "const_100", "[1.0]", "(0.0,)")]


@pytest.mark.parametrize("end_id", [-1, 19])
def test_the_end_token_must_be_in_the_vocabulary(end_id: int) -> None:
    assert len(TOKENS) == 19
    message = f"end_id must be one of 0 to 18, not {end_id}"
    with pytest.raises(ValueError, match=message):
        Grammar(TOKENS, [1], end_id=end_id)
    with pytest.raises(ValueError, match=message):
        ExecutionGuide(TOKENS, [[1.0]], end_id=end_id)


def test_an_empty_batch() -> None:
    model = RandomModel(len(TOKENS), 0)
    assert model.search(ExecutionGuide(TOKENS, [], end_id=END), beam_size=2, max_steps=5) == []


@pytest.mark.data
def test_every_reference_program_is_allowed(data_dir: Path) -> None:
    """Both constraints let all programs of dev through, each token in its turn, all problems at once."""
    items = json.loads((data_dir / "mathqa" / "dev.json").read_text(encoding="utf-8"))
    programs = [parse(item["linear_formula"]).tokens for item in items]
    numbers = [[found.value for found in find_numbers(item["Problem"])] for item in items]
    vocabulary = SPECIAL + sorted({token for program in programs for token in program})
    index = {token: token_id for token_id, token in enumerate(vocabulary)}
    n_tokens = max(map(len, programs)) + 1
    targets = torch.tensor([[index[t] for t in program] + [END] * (n_tokens - len(program)) for program in programs])
    guide = ExecutionGuide(vocabulary, numbers, end_id=END)
    state = guide.start()
    for n_before in range(n_tokens):
        tokens = targets[:, n_before : n_before + 1]  # (B, 1)
        allowed = guide.allowed(state, n_tokens - n_before)
        assert allowed.gather(2, tokens.unsqueeze(2)).all()
        assert not guide.rejects(state, tokens).any()
        state = guide.advance(state, tokens)
