"""Beam search over a step function: batched over problems and hypotheses, for any model that predicts tokens.

The search knows no network and no language. The model is a function from the last tokens and a state to
log-probabilities and the next state; what may follow is decided by an optional `Constraint`.

What is searched, for one problem and a beam of K:

1. Every open hypothesis is extended by every token; of all extensions together the K likeliest are kept.
2. A kept extension that closes with the end token has ended: it leaves the beam for the problem's pool of
   the `n_best` best by score. The others stay open. (The slot that it leaves is filled again in the next
   round, when K extensions are chosen anew; so K = 1 is greedy decoding.)
3. The problem stops when none is open, when none that is open could still enter the pool, or after
   `max_steps` tokens.

Source: Sutskever, Vinyals and Le 2014, arXiv 1409.3215, section 3.2. Differences: the score may be normalised
by length, and stopping waits until it cannot change the result.
Checked against: a plain loop over problems and hypotheses, and brute force (tests/mathqa/test_beam.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

State = tuple[Tensor, ...]
"""Tensors of shape (B, K, ...), one row a hypothesis; the search picks rows and looks no further."""

Memory = tuple[Tensor, ...]
"""Tensors of shape (B, ...), one row a problem, shared by all hypotheses of the problem."""

_ROUNDING = 1e-3  # by which a sum of log-probabilities may stand above 0
_MOST_DIVISION = 88.0  # nats: float32 holds no more


class StepFunction(Protocol):
    """The model, one token further."""

    def __call__(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """Predict what follows each hypothesis.

        Shape:
            tokens: (B, K) int64, the last token of each hypothesis. K is 1 in the first call (start token)
                and the beam's size afterwards; B falls as problems are finished.
            returns: log-probabilities (B, K, V), none above 0, and the new state. They are added up in float32.
        """
        ...


class Constraint(Protocol):
    """Decides which tokens may follow; forbidden ones get probability 0, the others keep theirs.

    Its state is handled as the model's: tensors (B, K, ...), a row a hypothesis, picked by the search.
    """

    def start(self) -> State:
        """Return the state before the first token; tensors of shape (B, 1, ...)."""
        ...

    def allowed(self, state: State, n_left: int) -> Tensor:
        """Return the tokens that may follow, as a bool mask of shape (B, K, V).

        Args:
            state: of the open hypotheses.
            n_left: how many tokens a hypothesis may still grow by, the end token included.
        """
        ...

    def rejects(self, state: State, tokens: Tensor) -> Tensor:
        """Say which extensions fail a closer look, too costly to take at all V of each hypothesis.

        The search asks about the likeliest extensions alone, and strikes out those that are rejected until it
        has K that pass. Slots with nothing in them come with the end token, and it does not matter what is said
        of them.

        Args:
            state: of the hypothesis that is extended, for each of the K extensions: (B, K, ...).
            tokens: that extend it, (B, K).

        Returns:
            A bool mask of shape (B, K).
        """
        ...

    def advance(self, state: State, tokens: Tensor) -> State:
        """Return the state after the extensions that were chosen; arguments as for `rejects`."""
        ...


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One result of the search.

    Attributes:
        tokens: ids, without the start and the end token.
        log_probability: of the tokens, and of the end token if `ended`; natural logarithm.
        score: what hypotheses are ranked by, log_probability / length ** length_penalty.
        ended: whether the end token was reached within `max_steps`.
    """

    tokens: list[int]
    log_probability: float
    score: float
    ended: bool


@torch.inference_mode()
def beam_search(
    step: StepFunction,
    state: State,
    memory: Memory,
    *,
    beam_size: int,
    start_id: int,
    end_id: int,
    max_steps: int,
    n_best: int = 1,
    length_penalty: float = 0.0,
    constraint: Constraint | None = None,
) -> list[list[Hypothesis]]:
    """Find the likeliest token sequences of each problem.

    Args:
        step: the model.
        state: the model's state before the first token; tensors of shape (B, 1, ...).
        memory: what the model reads of each problem; tensors of shape (B, ...). Rows are dropped as problems
            finish, but never copied per hypothesis.
        beam_size: K, the open hypotheses kept for a problem; may exceed the vocabulary.
        start_id: fed to the first step.
        end_id: closes a hypothesis.
        max_steps: most tokens of a hypothesis, the end token included.
        n_best: most hypotheses returned for a problem.
        length_penalty: the exponent of the length (end token included) that divides the log-probability:
            0 ranks by probability, 1 by the mean log-probability of a token.
        constraint: which tokens may follow; None allows all.

    Returns:
        For each problem up to `n_best` hypotheses, best first: the ended ones and, only where these are fewer
        than `n_best`, the ones still open after `max_steps`. Empty if the constraint left no way on.

    Raises:
        ValueError: an argument is out of its range, the tensors disagree about the number of problems, or the
            model gives NaN, or logits in place of log-probabilities.
    """
    _check_arguments(beam_size, start_id, end_id, max_steps, n_best, length_penalty)
    rules = constraint.start() if constraint else ()
    n_problems, device = _inspect(state, memory, rules)
    if n_problems == 0:
        return []
    problems = torch.arange(n_problems, device=device)  # (B,) which problem each row is
    totals = torch.zeros(n_problems, 1, device=device)  # (B, K) log-probabilities; -inf marks an empty slot
    tokens = torch.full((n_problems, 1), start_id, device=device)  # (B, K)
    pool = _Pool.empty(n_problems, n_best, device)
    history = _History(beam_size)
    for length in range(1, max_steps + 1):
        log_probs, state = step(tokens, state, memory)  # (B, K, V)
        if end_id >= log_probs.shape[-1]:
            raise ValueError(f"end_id is {end_id}, but the model predicts {log_probs.shape[-1]} tokens")
        extended = totals.unsqueeze(2) + log_probs.float()  # (B, K, V)
        if constraint:
            extended.masked_fill_(~constraint.allowed(rules, max_steps - length + 1), -math.inf)
        totals, parents, tokens = _select(extended, beam_size, end_id, constraint, rules)  # (B, K) each
        if not (totals <= _ROUNDING).all():
            raise ValueError(f"the model gives log-probabilities that are NaN or above 0, at token {length}")
        places = history.add(problems, parents, tokens)

        ended_totals = totals.masked_fill(tokens != end_id, -math.inf)
        pool.add(problems, ended_totals / length**length_penalty, ended_totals, places)
        totals = totals.masked_fill(tokens == end_id, -math.inf)

        # Log-probabilities only fall, so no open hypothesis ends with a score above this.
        bounds = totals.amax(1) / max_steps**length_penalty  # (B,)
        open_rows = (bounds > pool.scores[problems, -1]).nonzero().squeeze(1)  # (B',)
        if length == max_steps or len(open_rows) == 0:
            break
        state = _pick(state, open_rows, parents)
        rules = _pick(rules, open_rows, parents)
        if len(open_rows) < len(problems):
            problems, totals, tokens = problems[open_rows], totals[open_rows], tokens[open_rows]
            memory = tuple(tensor.index_select(0, open_rows) for tensor in memory)
        if constraint:
            rules = constraint.advance(rules, tokens)
    n_ended = pool.scores.isfinite().sum(1)  # (B,)
    pool.fill(problems, totals / length**length_penalty, totals, places)
    return _read_out(pool, history, n_ended)


def _select(
    extended: Tensor, beam_size: int, end_id: int, constraint: Constraint | None, rules: State
) -> tuple[Tensor, Tensor, Tensor]:
    """Choose the K likeliest extensions of each problem among those that the constraint does not reject.

    Shape:
        extended: (B, K', V); rejected entries may be set to -inf in place.
        returns: log-probabilities, parents and tokens, (B, K) each. Where fewer than K are possible the rest
            is empty: log-probability -inf, parent 0, the end token.
    """
    n_tokens = extended.shape[2]
    flat = extended.flatten(1)  # (B, K' * V)
    if flat.shape[1] < beam_size:
        flat = functional.pad(flat, (0, beam_size - flat.shape[1]), value=-math.inf)
    totals, choices = flat.topk(beam_size, dim=1)  # (B, K)

    def split(totals: Tensor, choices: Tensor) -> tuple[Tensor, Tensor]:
        parents = choices.div(n_tokens, rounding_mode="floor")
        empty = totals == -math.inf
        return parents.masked_fill(empty, 0), (choices - parents * n_tokens).masked_fill(empty, end_id)

    parents, tokens = split(totals, choices)
    if constraint is None:
        return totals, parents, tokens
    rows = torch.arange(len(flat), device=flat.device)  # problems whose choice is not yet known to pass
    while True:
        rejected = constraint.rejects(_pick(rules, rows, parents), tokens[rows])  # (rows, K)
        rejected &= totals[rows] > -math.inf  # an empty slot has nothing to strike out
        failing = rejected.any(1)
        if not failing.any():
            return totals, parents, tokens
        rejected, rows = rejected[failing], rows[failing]
        struck = totals[rows].masked_fill(rejected, -math.inf)
        flat[rows] = flat[rows].scatter(1, choices[rows], struck)
        totals[rows], choices[rows] = flat[rows].topk(beam_size, dim=1)
        parents[rows], tokens[rows] = split(totals[rows], choices[rows])


def _pick(state: State, rows: Tensor, parents: Tensor) -> State:
    """Give each extension the state of its parent, for the problems of `rows` alone.

    Shape:
        state: (B, K', ...); rows: (B',) int64 into B, ascending; parents: (B, K) int64 into K'.
        returns: (B', K, ...).
    """
    n_rows, beam_size = parents.shape
    picked = []
    for tensor in state:
        width = tensor.shape[1]
        if width == beam_size == 1:  # greedy: each is its own parent
            picked.append(tensor if len(rows) == n_rows else tensor.index_select(0, rows))
            continue
        index = rows.unsqueeze(1) * width + parents.index_select(0, rows)  # (B', K) into B * K'
        chosen = tensor.flatten(0, 1).index_select(0, index.flatten())  # (B' * K, ...)
        picked.append(chosen.view(*index.shape, *tensor.shape[2:]))  # (B', K, ...)
    return tuple(picked)


@dataclass
class _Pool:
    """The best hypotheses of each problem, best first; a score of -inf marks a free place.

    Shape: (problems, n_best) each.
    """

    scores: Tensor
    totals: Tensor
    places: Tensor  # where in the history they close

    @classmethod
    def empty(cls, n_problems: int, n_best: int, device: torch.device) -> _Pool:
        free = torch.full((n_problems, n_best), -math.inf, device=device)
        return cls(free, free.clone(), torch.zeros_like(free, dtype=torch.int64))

    def add(self, problems: Tensor, scores: Tensor, totals: Tensor, places: Tensor) -> None:
        """Merge (B, K) hypotheses of `problems` (B,) by score; equal ones stay in the order of coming."""
        merged = torch.cat([self.scores[problems], scores], 1)  # (B, n_best + K)
        order = merged.argsort(dim=1, descending=True, stable=True)[:, : self.scores.shape[1]]  # (B, n_best)
        self._keep(problems, order, merged, totals, places)

    def fill(self, problems: Tensor, scores: Tensor, totals: Tensor, places: Tensor) -> None:
        """Put (B, K) hypotheses, best first, into the free places behind those that are there."""
        merged = torch.cat([self.scores[problems], scores], 1)  # (B, n_best + K)
        free = merged == -math.inf
        order = free.byte().argsort(dim=1, stable=True)[:, : self.scores.shape[1]]  # (B, n_best)
        self._keep(problems, order, merged, totals, places)

    def _keep(self, problems: Tensor, order: Tensor, merged: Tensor, totals: Tensor, places: Tensor) -> None:
        self.scores[problems] = merged.gather(1, order)
        self.totals[problems] = torch.cat([self.totals[problems], totals], 1).gather(1, order)
        self.places[problems] = torch.cat([self.places[problems], places], 1).gather(1, order)


class _History:
    """The tokens of every round with the way back.

    A place is the number of a slot among those of all rounds: round * K + slot.
    """

    def __init__(self, beam_size: int) -> None:
        self.beam_size = beam_size
        self.rounds: list[tuple[Tensor, Tensor, Tensor]] = []  # problems (B,), parents (B, K), tokens (B, K)

    def add(self, problems: Tensor, parents: Tensor, tokens: Tensor) -> Tensor:
        """Keep a round; return the places of its slots, (B, K)."""
        first = len(self.rounds) * self.beam_size
        self.rounds.append((problems, parents, tokens))
        return torch.arange(first, first + self.beam_size, device=tokens.device).expand_as(tokens)

    def walk_back(self, places: Tensor) -> Tensor:
        """Return the tokens that lead to `places` (problems, n): (problems, n, rounds), 0 beyond."""
        last = places.div(self.beam_size, rounding_mode="floor")  # (problems, n) round
        slots = places - last * self.beam_size  # (problems, n)
        paths = places.new_zeros(len(self.rounds), *places.shape)  # (rounds, problems, n)
        for index, (problems, parents, tokens) in reversed(list(enumerate(self.rounds))):
            inside = last[problems] >= index  # (B, n)
            row_slots = slots[problems]  # (B, n)
            paths[index, problems] = tokens.gather(1, row_slots).where(inside, 0)
            slots[problems] = parents.gather(1, row_slots).where(inside, row_slots)
        return paths.permute(1, 2, 0)  # (problems, n, rounds)


def _read_out(pool: _Pool, history: _History, n_ended: Tensor) -> list[list[Hypothesis]]:
    """Turn the pool into hypotheses; the first `n_ended` (problems,) of each problem have ended."""
    lengths = pool.places.div(history.beam_size, rounding_mode="floor") + 1  # (problems, n_best)
    ended = torch.arange(lengths.shape[1], device=lengths.device) < n_ended.unsqueeze(1)  # (problems, n_best)
    columns = (
        history.walk_back(pool.places).tolist(),
        (lengths - ended.long()).tolist(),
        pool.totals.tolist(),
        pool.scores.tolist(),
        ended.tolist(),
    )
    return [
        [
            Hypothesis(path[:n_tokens], total, score, end)
            for path, n_tokens, total, score, end in zip(*rows, strict=True)
            if score > -math.inf
        ]
        for rows in zip(*columns, strict=True)
    ]


def _inspect(state: State, memory: Memory, rules: State) -> tuple[int, torch.device]:
    """Return the number of problems, on which all tensors must agree, and the device."""
    tensors = (*state, *memory, *rules)
    sizes = sorted({tensor.shape[0] for tensor in tensors})
    if len(sizes) != 1:
        raise ValueError(f"state, memory and constraint must hold the same number of problems, not {sizes}")
    if any(tensor.shape[1:2] != (1,) for tensor in (*state, *rules)):
        raise ValueError("before the first token the state must hold one hypothesis a problem: (B, 1, ...)")
    return sizes[0], tensors[0].device


def _check_arguments(
    beam_size: int, start_id: int, end_id: int, max_steps: int, n_best: int, length_penalty: float
) -> None:
    """Raise ValueError for a number out of its range."""
    for name, value, least in (
        ("beam_size", beam_size, 1),
        ("start_id", start_id, 0),
        ("end_id", end_id, 0),
        ("max_steps", max_steps, 1),
        ("n_best", n_best, 1),
    ):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value}")
    if not 0 <= length_penalty < math.inf:
        raise ValueError(f"length_penalty must be a finite number from 0, not {length_penalty}")
    if length_penalty * math.log(max_steps) > _MOST_DIVISION:
        raise ValueError(f"length_penalty must leave {max_steps} ** length_penalty finite, not be {length_penalty}")
