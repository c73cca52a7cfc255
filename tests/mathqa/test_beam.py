"""Beam search against greedy decoding, brute force, and a plain loop over problems and hypotheses."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from myna.mathqa.beam import Hypothesis, Memory, State, beam_search

START, END = 0, 1


class RandomModel:
    """Log-probabilities that depend on the whole history, on the problem and on nothing else.

    The state is a number that mixes in every token; the problem's own number comes through `memory`.
    """

    def __init__(self, n_tokens: int, n_problems: int = 1, seed: int = 0, end_bonus: float = 0.0) -> None:
        self.table = torch.randn(997, n_tokens, generator=torch.Generator().manual_seed(seed))
        self.table[:, END] += end_bonus
        self.table[:, START] = -math.inf
        self.table = self.table.log_softmax(1)
        self.keys = torch.arange(1, n_problems + 1) * 7  # (B,)
        self.shapes: list[tuple[int, ...]] = []  # of the tokens in every call

    def start(self) -> tuple[State, Memory]:
        # the second tensor has more dimensions, and must stay in step with the first
        hashes = torch.zeros(len(self.keys), 1, dtype=torch.int64)
        return (hashes, hashes[:, :, None, None].expand(-1, -1, 2, 3).clone()), (self.keys,)

    def next(self, history: int, key: int, token: int) -> tuple[list[float], int]:
        """One hypothesis, plainly."""
        history = (history * 31 + token * 17 + key) % 997
        return self.table[history].tolist(), history

    def __call__(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        hashes, wide = state
        assert hashes.shape == tokens.shape == wide.shape[:2]
        assert (wide == hashes[:, :, None, None]).all()
        self.shapes.append(tuple(tokens.shape))
        hashes = (hashes * 31 + tokens * 17 + memory[0].unsqueeze(1)) % 997
        return self.table[hashes], (hashes, hashes[:, :, None, None].expand(-1, -1, 2, 3))


def search(model: RandomModel, **options: Any) -> list[list[Hypothesis]]:
    state, memory = model.start()
    return beam_search(model, state, memory, start_id=START, end_id=END, **options)


def search_slowly(
    model: RandomModel,
    key: int,
    *,
    beam_size: int,
    max_steps: int,
    n_best: int = 1,
    length_penalty: float = 0.0,
) -> list[Hypothesis]:
    """One problem, hypothesis by hypothesis, to the last step: no early stop."""
    beam: list[tuple[float, list[int], int]] = [(0.0, [START], 0)]
    ended: list[Hypothesis] = []
    for length in range(1, max_steps + 1):
        candidates = []
        for total, tokens, history in beam:
            log_probs, next_history = model.next(history, key, tokens[-1])
            candidates += [
                (total + log_prob, [*tokens, token], next_history)
                for token, log_prob in enumerate(log_probs)
                if log_prob > -math.inf
            ]
        candidates.sort(key=lambda candidate: -candidate[0])
        beam = []
        for total, tokens, history in candidates[:beam_size]:
            if tokens[-1] == END:
                ended.append(Hypothesis(tokens[1:-1], total, total / length**length_penalty, True))
            else:
                beam.append((total, tokens, history))
    ended.sort(key=lambda hypothesis: -hypothesis.score)
    still_open = [Hypothesis(tokens[1:], total, total / max_steps**length_penalty, False) for total, tokens, _ in beam]
    return [*ended, *still_open][:n_best]


def enumerate_all(model: RandomModel, key: int, max_steps: int, length_penalty: float) -> list[Hypothesis]:
    """Every sequence of up to `max_steps` tokens that ends, best first: brute force."""
    found = []
    others = [token for token in range(model.table.shape[1]) if token not in (START, END)]
    for n_tokens in range(max_steps):
        for tokens in itertools.product(others, repeat=n_tokens):
            total, history = 0.0, 0
            for token, following in itertools.pairwise([START, *tokens, END]):
                log_probs, history = model.next(history, key, token)
                total += log_probs[following]
            score = total / (n_tokens + 1) ** length_penalty
            found.append(Hypothesis(list(tokens), total, score, True))
    return sorted(found, key=lambda hypothesis: -hypothesis.score)


def assert_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [(h.tokens, h.ended) for h in found] == [(h.tokens, h.ended) for h in expected]
    assert [h.log_probability for h in found] == pytest.approx([h.log_probability for h in expected], abs=1e-5)
    assert [h.score for h in found] == pytest.approx([h.score for h in expected], abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_beam_of_one_is_greedy(seed: int) -> None:
    model = RandomModel(n_tokens=8, n_problems=5, seed=seed)
    for length_penalty in (0.0, 1.0):
        results = search(model, beam_size=1, max_steps=12, length_penalty=length_penalty)
        for [hypothesis], key in zip(results, model.keys.tolist(), strict=True):
            tokens, history, total = [START], 0, 0.0
            while tokens[-1] != END and len(tokens) <= 12:
                log_probs, history = model.next(history, key, tokens[-1])
                tokens.append(max(range(8), key=log_probs.__getitem__))
                total += log_probs[tokens[-1]]
            ended = tokens[-1] == END
            assert (hypothesis.tokens, hypothesis.ended) == (tokens[1:-1] if ended else tokens[1:], ended)
            assert hypothesis.log_probability == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_wide_beam_is_brute_force(seed: int, length_penalty: float) -> None:
    model = RandomModel(n_tokens=5, n_problems=2, seed=seed)
    # at most 3**4 = 81 hypotheses are open before the last round and 81 * 4 extensions in it
    results = search(model, beam_size=400, max_steps=5, n_best=9, length_penalty=length_penalty)
    for result, key in zip(results, model.keys.tolist(), strict=True):
        assert_same(result, enumerate_all(model, key, 5, length_penalty)[:9])


def test_all_endings_of_a_wide_beam_are_returned_and_their_probabilities_sum_to_at_most_one() -> None:
    model = RandomModel(n_tokens=5)
    [result] = search(model, beam_size=400, max_steps=5, n_best=1000)
    everything = enumerate_all(model, 7, 5, 0.0)
    assert_same([h for h in result if h.ended], everything)
    # the ended ones and those still open share out the whole probability
    assert sum(math.exp(h.log_probability) for h in result) == pytest.approx(1.0, abs=1e-4)
    assert sum(not h.ended for h in result) == 3**5


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n_tokens=st.integers(3, 9),
    n_problems=st.integers(1, 6),
    beam_size=st.integers(1, 12),
    max_steps=st.integers(1, 9),
    n_best=st.integers(1, 14),
    length_penalty=st.sampled_from([0.0, 0.3, 1.0, 1.7]),
    end_bonus=st.sampled_from([-3.0, 0.0, 2.0]),
)
def test_stopping_early_and_dropping_problems_change_nothing(
    seed: int,
    n_tokens: int,
    n_problems: int,
    beam_size: int,
    max_steps: int,
    n_best: int,
    length_penalty: float,
    end_bonus: float,
) -> None:
    model = RandomModel(n_tokens, n_problems, seed, end_bonus)
    options = {"beam_size": beam_size, "max_steps": max_steps, "n_best": n_best}
    results = search(model, **options, length_penalty=length_penalty)
    for result, key in zip(results, model.keys.tolist(), strict=True):
        assert_same(result, search_slowly(model, key, **options, length_penalty=length_penalty))
        scores = [h.score for h in result if h.ended]
        assert scores == sorted(scores, reverse=True)
        assert [h.ended for h in result] == sorted((h.ended for h in result), reverse=True)
        assert sum(math.exp(h.log_probability) for h in result) <= 1 + 1e-5
        assert len({tuple(h.tokens) + (END,) * h.ended for h in result}) == len(result)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_batched_is_one_at_a_time_in_any_order(length_penalty: float) -> None:
    model = RandomModel(n_tokens=12, n_problems=9, end_bonus=1.0)
    options = {"beam_size": 4, "max_steps": 20, "n_best": 4, "length_penalty": length_penalty}
    together = search(model, **options)
    keys = model.keys
    for key, result in zip(keys, together, strict=True):
        model.keys = key.reshape(1)
        assert search(model, **options) == [result]
    model.keys = keys.flip(0)
    assert search(model, **options) == together[::-1]


def chain(*rows: list[float]) -> tuple[RandomModel, dict[str, int]]:
    """Return a model whose next token depends on the last one alone: rows of probabilities."""
    probabilities = torch.tensor(rows)

    class Chain(RandomModel):
        def __call__(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
            self.shapes.append(tuple(tokens.shape))
            return probabilities.log()[tokens], state

    return Chain(len(rows)), {"max_steps": 6}


# From <s> a is likelier than b, but what follows b is surer: 0.4 * 0.9 > 0.6 * 0.55.
GARDEN_PATH = (
    [0.0, 0.0, 0.6, 0.4, 0.0],  # <s> -> a, b
    [0.0, 1.0, 0.0, 0.0, 0.0],
    [0.0, 0.55, 0.0, 0.0, 0.45],  # a -> </s>, c
    [0.0, 0.9, 0.0, 0.0, 0.1],  # b -> </s>, c
    [0.0, 1.0, 0.0, 0.0, 0.0],  # c -> </s>
)


def test_greedy_walks_into_the_garden_path_and_two_hypotheses_do_not() -> None:
    model, options = chain(*GARDEN_PATH)
    [[greedy]] = search(model, beam_size=1, **options)
    assert (greedy.tokens, round(math.exp(greedy.log_probability), 5)) == ([2], 0.33)
    [best] = search(model, beam_size=2, n_best=3, **options)
    assert [h.tokens for h in best] == [[3], [2]]  # a c was third in its round
    assert [round(math.exp(h.log_probability), 5) for h in best] == [0.36, 0.33]
    [best] = search(model, beam_size=3, n_best=3, **options)
    assert [h.tokens for h in best] == [[3], [2], [2, 4]]
    assert [round(math.exp(h.log_probability), 5) for h in best] == [0.36, 0.33, 0.27]


def test_length_penalty_favours_the_longer() -> None:
    model, options = chain(*GARDEN_PATH)
    [[best]] = search(model, beam_size=3, length_penalty=1.0, **options)
    assert best.tokens == [2, 4]  # log 0.27 / 3 beats log 0.36 / 2
    assert best.score == pytest.approx(math.log(0.27) / 3)


def test_a_problem_stops_when_nothing_open_can_win() -> None:
    model, _ = chain(
        [0.0, 0.7, 0.3],  # ends at once with 0.7; what is open can only lose
        [0.0, 1.0, 0.0],
        [0.0, 0.0, 1.0],  # never ends
    )
    options = {"beam_size": 3, "max_steps": 50}
    assert search(model, **options)[0][0].tokens == []
    assert model.shapes == [(1, 1)]
    # normalised by length the open one could still win: its 0.3 is divided by up to 50
    assert search(model, **options, length_penalty=1.0)[0][0].tokens == []
    assert len(model.shapes) == 1 + 50


def test_finished_problems_leave_the_batch() -> None:
    probabilities = torch.tensor([[0.0, 0.1, 0.9], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    shapes = []

    def step(tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """End problem b for sure in round b + 1; go on with probability 0.9 before."""
        [length], [due] = state, memory
        assert due.shape == tokens.shape[:1]
        shapes.append(tuple(tokens.shape))
        log_probs = probabilities.log()[tokens]
        log_probs[length == due.unsqueeze(1)] = probabilities[1].log()
        return log_probs, (length + 1,)

    due = torch.tensor([3, 0, 4, 0, 2])
    lengths = torch.zeros(5, 1, dtype=torch.int64)
    results = beam_search(step, (lengths,), (due,), beam_size=2, start_id=0, end_id=1, max_steps=9)
    assert [h.tokens for [h] in results] == [[2] * n for n in due.tolist()]
    assert shapes == [(5, 1), (3, 2), (3, 2), (2, 2), (1, 2)]


def test_open_hypotheses_fill_up_only_where_too_few_have_ended() -> None:
    model, _ = chain([0.0, 0.4, 0.6], [0.0, 1.0, 0.0], [0.0, 0.4, 0.6])
    [one] = search(model, beam_size=2, max_steps=1)
    assert_same(one, [Hypothesis([], math.log(0.4), math.log(0.4), True)])
    [two] = search(model, beam_size=2, max_steps=2, n_best=9, length_penalty=1.0)
    assert [(h.tokens, h.ended) for h in two] == [([2], True), ([], True), ([2, 2], False)]
    assert two[-1].score == pytest.approx(math.log(0.36) / 2)


class NoTwice:
    """A constraint: no token twice in a row, none of the `forbidden`, and no `rejected` pairs."""

    def __init__(self, n_tokens: int, n_problems: int, rejected: set[tuple[int, int]] | None = None) -> None:
        self.n_tokens, self.n_problems, self.rejected = n_tokens, n_problems, rejected or set()

    def start(self) -> State:
        return (torch.full((self.n_problems, 1), START),)

    def allowed(self, state: State, n_left: int) -> Tensor:
        return state[0].unsqueeze(2) != torch.arange(self.n_tokens)

    def rejects(self, state: State, tokens: Tensor) -> Tensor:
        assert state[0].shape == tokens.shape
        pairs = zip(state[0].flatten().tolist(), tokens.flatten().tolist(), strict=True)
        return torch.tensor([pair in self.rejected for pair in pairs]).view(tokens.shape)

    def advance(self, state: State, tokens: Tensor) -> State:
        assert state[0].shape == tokens.shape
        return (tokens,)


class ConstrainedModel(RandomModel):
    """A random model with the constraint built in: the probability of what is forbidden is 0."""

    def __init__(self, model: RandomModel, rejected: set[tuple[int, int]]) -> None:
        self.table, self.keys, self.rejected = model.table, model.keys, rejected

    def next(self, history: int, key: int, token: int) -> tuple[list[float], int]:
        log_probs, history = super().next(history, key, token)
        for following in range(len(log_probs)):
            if following == token or (token, following) in self.rejected:
                log_probs[following] = -math.inf
        return log_probs, history


@pytest.mark.parametrize("beam_size", [1, 2, 5, 60])
@pytest.mark.parametrize("seed", range(5))
def test_a_constrained_search_is_a_search_of_the_constrained_model(seed: int, beam_size: int) -> None:
    """What is rejected on a closer look is as if it had probability 0: the next best takes its place."""
    model = RandomModel(n_tokens=7, n_problems=4, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.rand(7, 7, generator=generator) < 0.4
    pairs[:, END] = False
    rejected = {(a, b) for a, b in pairs.nonzero().tolist()}
    options = {"beam_size": beam_size, "max_steps": 8, "n_best": 4}
    results = search(model, **options, constraint=NoTwice(7, 4, rejected))
    for result, key in zip(results, model.keys.tolist(), strict=True):
        assert_same(result, search_slowly(ConstrainedModel(model, rejected), key, **options))


def test_nothing_is_returned_where_the_constraint_leaves_no_way_on() -> None:
    model = RandomModel(n_tokens=4, n_problems=2)
    everything = set(itertools.product(range(4), range(4)))
    assert search(model, beam_size=3, max_steps=5, constraint=NoTwice(4, 2, everything)) == [[], []]
    assert len(model.shapes) == 1


class RejectsPairs(NoTwice):
    """A constraint that allows all, and rejects pairs on a closer look."""

    def allowed(self, state: State, n_left: int) -> Tensor:
        return torch.ones(*state[0].shape, self.n_tokens, dtype=torch.bool)


def test_a_beam_wider_than_the_vocabulary_loses_nothing_to_a_rejection() -> None:
    # The likeliest token has the number 0, which the slots that stay empty have, too.
    table = torch.tensor([0.4, 0.3, 0.3, 0.0]).log()

    def step(tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        return table.expand(*tokens.shape, 4).clone(), state

    state = (torch.zeros(1, 1),)
    options: dict[str, Any] = {"beam_size": 6, "start_id": 3, "end_id": 1, "max_steps": 1, "n_best": 9}
    [found] = beam_search(step, state, (torch.zeros(1),), **options, constraint=RejectsPairs(4, 1, {(START, 2)}))
    assert [(h.tokens, h.ended) for h in found] == [([], True), ([0], False)]


def test_slots_that_cannot_be_filled_hold_the_end_token() -> None:
    model, _ = chain(*GARDEN_PATH)
    fed = []

    def step(tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        fed.append(tokens.tolist())
        return model(tokens, state, memory)

    state, memory = model.start()
    beam_search(step, state, memory, beam_size=7, start_id=START, end_id=END, n_best=9, max_steps=6)
    assert fed[:2] == [[[START]], [[2, 3, END, END, END, END, END]]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_every_precision_is_added_up_in_float32(dtype: torch.dtype) -> None:
    model = RandomModel(n_tokens=9)
    model.table = model.table.to(dtype)
    [[best]] = search(model, beam_size=3, max_steps=40)
    total, history = 0.0, 0
    for token, following in itertools.pairwise([START, *best.tokens, END]):
        log_probs, history = model.next(history, 7, token)
        total += log_probs[following]
    assert best.log_probability == pytest.approx(total, abs=1e-5)


def test_a_model_that_gives_nan_is_an_error() -> None:
    model = RandomModel(n_tokens=4, n_problems=3)
    model.table[17 * START + 14] = math.nan  # what the second problem reads first
    with pytest.raises(ValueError, match="NaN or above 0, at token 1"):
        search(model, beam_size=2, max_steps=5)


def test_logits_are_not_taken_for_log_probabilities() -> None:
    model = RandomModel(n_tokens=4)
    model.table = model.table + 3.0
    with pytest.raises(ValueError, match="NaN or above 0, at token 1"):
        search(model, beam_size=2, max_steps=5)


def test_a_length_penalty_that_no_float_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="must leave 150 \\*\\* length_penalty finite, not be 30"):
        search(RandomModel(n_tokens=4), beam_size=2, max_steps=150, length_penalty=30)


def test_no_problems_no_results() -> None:
    model = RandomModel(n_tokens=4, n_problems=0)
    assert search(model, beam_size=3, max_steps=5) == []
    assert model.shapes == []


def test_the_search_needs_no_gradients_and_leaves_its_arguments_alone() -> None:
    model = RandomModel(n_tokens=6, n_problems=3)
    model.table.requires_grad_()
    state, memory = model.start()
    before = [tensor.clone() for tensor in (*state, *memory)]

    def run() -> list[list[Hypothesis]]:
        return beam_search(model, state, memory, beam_size=3, start_id=START, end_id=END, max_steps=6)

    first = run()
    with torch.inference_mode():
        second = run()
    assert first == second
    assert all(torch.equal(a, b) for a, b in zip(before, (*state, *memory), strict=True))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"beam_size": 0}, "beam_size must be at least 1, not 0"),
        ({"n_best": 0}, "n_best must be at least 1"),
        ({"max_steps": 0}, "max_steps must be at least 1"),
        ({"start_id": -1}, "start_id must be at least 0"),
        ({"end_id": 6}, "end_id is 6, but the model predicts 6 tokens"),
        ({"length_penalty": -0.5}, "length_penalty must be a finite number from 0, not -0.5"),
        ({"length_penalty": math.nan}, "length_penalty must be a finite number from 0, not nan"),
        ({"constraint": NoTwice(6, 2)}, "the same number of problems"),
        ({"state": (torch.zeros(3),)}, r"one hypothesis a problem"),
        ({"state": (torch.zeros(3, 2),)}, r"one hypothesis a problem: \(B, 1, \.\.\.\)"),
    ],
)
def test_wrong_arguments(wrong: dict[str, Any], message: str) -> None:
    model = RandomModel(n_tokens=6, n_problems=3)
    state, memory = model.start()
    arguments: dict[str, Any] = {
        "state": state,
        "memory": memory,
        "beam_size": 2,
        "start_id": 0,
        "end_id": 1,
        "max_steps": 4,
    }
    with pytest.raises(ValueError, match=message):
        beam_search(model, **(arguments | wrong))


def test_a_hypothesis_is_plain_data() -> None:
    hypothesis = Hypothesis([2], -1.0, -0.5, True)
    assert dataclasses.asdict(hypothesis) == {
        "tokens": [2],
        "log_probability": -1.0,
        "score": -0.5,
        "ended": True,
    }
