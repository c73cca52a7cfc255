"""Which tokens may follow in a program: the two constraints that the beam search can be given.

`Grammar` lets well-formed programs alone through, `ExecutionGuide` those of them that run. Neither changes
the probability of what it lets through: the search looks for the likeliest of the programs that are left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from myna.mathqa.beam import State
from myna.mathqa.language.execute import Failure, Value, check_answer, run_step
from myna.mathqa.language.operations import OPERATIONS
from myna.mathqa.language.program import ARGUMENT

_FAILED = -1  # the node of a program that does not run
_NONE = -1  # the token of a place that is still free


class Grammar:
    """Well-formed programs: each operation with its number of arguments, all of them there to be used.

    - Where a step may begin, an operation may, or the end if there is a step already.
    - Within a step an argument must follow: a constant, a number of the problem, or a step that is complete.
    - An operation begins only if its arguments and the end token still fit in, so every program can be ended.
    - The other tokens of the vocabulary (padding, start, unknown) never follow.

    A problem without any argument to begin with (no number, no constant in the vocabulary) has no programs.

    Args:
        tokens: the vocabulary, by id.
        n_numbers: how many numbers each problem of the batch has.
        end_id: of the end token.
        device: where the search runs.

    Raises:
        ValueError: `end_id` is no id of the vocabulary.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        n_numbers: Sequence[int],
        *,
        end_id: int,
        device: torch.device | str = "cpu",
    ) -> None:
        if not 0 <= end_id < len(tokens):
            raise ValueError(f"end_id must be one of 0 to {len(tokens) - 1}, not {end_id}")
        arguments = [ARGUMENT.fullmatch(token) for token in tokens]
        operations = [OPERATIONS.get(token) for token in tokens]

        def table(values: Iterable[int]) -> Tensor:
            return torch.tensor(list(values), dtype=torch.int64, device=device)

        # What each token is or asks for, (V,)
        self._n_args = table(operation.n_args if operation else 0 for operation in operations)
        self._is_argument = table(match is not None for match in arguments).bool()
        self._is_end = table(range(len(tokens))) == end_id
        self._min_numbers = table(int(match["number"] or -1) + 1 if match else 0 for match in arguments)
        self._min_steps = table(int(match["step"] or -1) + 1 if match else 0 for match in arguments)
        self._min_steps[end_id] = 1
        self._n_numbers = table(n_numbers).unsqueeze(1)  # (B, 1)

    def start(self) -> State:
        """Return (arguments missing in this step, complete steps, numbers of the problem), (B, 1) each."""
        none = torch.zeros_like(self._n_numbers)
        return none, none, self._n_numbers

    def allowed(self, state: State, n_left: int) -> Tensor:
        """Return which tokens may follow where `n_left` are left, the end included: a (B, K, V) mask."""
        n_missing, n_steps, n_numbers = state[:3]
        begins = self._is_end | ((self._n_args > 0) & (self._n_args + 2 <= n_left))  # (V,)
        by_place = torch.stack([begins, self._is_argument])  # (2, V): between steps, within one
        allowed = by_place[(n_missing > 0).long()]  # (B, K, V)
        allowed &= self._min_numbers <= n_numbers[:, :1, None]  # the same for all hypotheses of a problem
        allowed &= self._min_steps <= n_steps.unsqueeze(2)
        return allowed

    def rejects(self, state: State, tokens: Tensor) -> Tensor:
        """Reject nothing: `allowed` has said it all. Shape (B, K)."""
        return torch.zeros_like(tokens, dtype=torch.bool)

    def advance(self, state: State, tokens: Tensor) -> State:
        """Return the state after `tokens` (B, K); the end token leaves it as it is."""
        n_missing, n_steps, n_numbers = state[:3]
        n_args, is_argument = self._n_args[tokens], self._is_argument[tokens]
        closes = is_argument & (n_missing == 1)
        return n_args.where(n_args > 0, n_missing - is_argument.long()), n_steps + closes, n_numbers


class ExecutionGuide(Grammar):
    """Well-formed programs that run: a hypothesis is dropped with the first step that has no real value.

    A step is run when it is complete, and only for extensions that are about to enter the beam; if it fails,
    the next best extension takes the place. So the search is a beam search over the programs that run. Where
    no argument is left that runs, a hypothesis dies; if all die, the problem keeps what has ended, if any.

    Stricter than the executor in one point: a complex, infinite or NaN value, or a whole number of more than 4,300
    digits, fails a program at any step, not at the last alone.
    (The executor's budget for a whole program is out of reach below some 290 tokens.)

    The programs of a problem form a tree, in which a node is a run of complete steps with their values. A
    hypothesis holds the number of its node, so those with a common beginning share its values, and no step is
    run twice.

    Args:
        tokens: the vocabulary, by id.
        numbers: the numbers of each problem of the batch.
        end_id: of the end token.
        device: where the search runs.

    Raises:
        ValueError: `end_id` is no id of the vocabulary.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        numbers: Sequence[Sequence[float]],
        *,
        end_id: int,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(tokens, [len(own) for own in numbers], end_id=end_id, device=device)
        self._tokens = tokens
        self._numbers = numbers
        # A node is (problem, values of the steps); the first ones are the empty programs.
        self._nodes: list[tuple[int, tuple[Value, ...]]] = [(problem, ()) for problem in range(len(numbers))]
        self._children: dict[tuple[int, ...], int] = {}  # by node and tokens of the step
        self._max_args = int(self._n_args.amax())

    def start(self) -> State:
        """Return the grammar's state, the node (B, 1) and the tokens of the step so far (B, 1, max_args)."""
        nodes = torch.arange(len(self._numbers), device=self._n_numbers.device).unsqueeze(1)  # (B, 1)
        return *super().start(), nodes, nodes.new_full((*nodes.shape, self._max_args), _NONE)

    def rejects(self, state: State, tokens: Tensor) -> Tensor:
        """Reject the extensions that close a step which fails. Shape (B, K)."""
        return self._follow(state, tokens) == _FAILED

    def advance(self, state: State, tokens: Tensor) -> State:
        """Return the state after `tokens` (B, K)."""
        steps = torch.cat([state[4], tokens.unsqueeze(2)], 2)[:, :, 1:]  # (B, K, max_args)
        begins = ~self._is_argument[tokens].unsqueeze(2)  # (B, K, 1)
        steps[:, :, :-1].masked_fill_(begins, _NONE)
        return *super().advance(state, tokens), self._follow(state, tokens), steps

    def _follow(self, state: State, tokens: Tensor) -> Tensor:
        """Return the nodes after `tokens` (B, K): others where a step closes, _FAILED where that fails."""
        n_missing, _, _, nodes, steps = state
        closes = (n_missing == 1) & self._is_argument[tokens]  # (B, K)
        closed = torch.cat([nodes[closes].unsqueeze(1), steps[closes], tokens[closes].unsqueeze(1)], 1)
        children = [self._run(node, step) for node, *step in closed.tolist()]
        return nodes.masked_scatter(closes, torch.tensor(children, dtype=nodes.dtype, device=nodes.device))

    def _run(self, node: int, step: list[int]) -> int:
        """Return the node that a complete step leads to, running it if it is new."""
        child = self._children.get((node, *step))
        if child is None:
            problem, values = self._nodes[node]
            operation, *arguments = (self._tokens[token] for token in step if token != _NONE)
            value = run_step(operation, arguments, self._numbers[problem], values)
            if isinstance(value, Failure) or check_answer(value) is not None:
                child = _FAILED
            else:
                child = len(self._nodes)
                self._nodes.append((problem, (*values, value)))
            self._children[node, *step] = child
        return child
