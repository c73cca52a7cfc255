"""Scores against hand computation, and the properties of the weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from myna.mathqa.attention import ATTENTIONS, BahdanauAttention, LuongAttention, attend


def test_luong_scores_by_hand() -> None:
    attention = LuongAttention(query_size=2, memory_size=3)
    attention.memory_projection.weight.data = torch.tensor([[1.0, 0.0, 2.0], [0.0, -1.0, 1.0]])
    queries = torch.tensor([[[1.0, 2.0], [0.0, 3.0]]])
    memory = torch.tensor([[[1.0, 1.0, 1.0], [2.0, 0.0, -1.0]]])
    # W m is [3, 0] for the first row and [0, -1] for the second.
    assert attention.scores(queries, attention.keys(memory)).tolist() == [[[3.0, -2.0], [0.0, -3.0]]]


def test_bahdanau_scores_by_hand() -> None:
    attention = BahdanauAttention(query_size=2, memory_size=1)
    attention.query_projection.weight.data = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    attention.memory_projection.weight.data = torch.tensor([[1.0], [-1.0]])
    attention.memory_projection.bias.data = torch.tensor([0.5, 0.0])
    attention.score.weight.data = torch.tensor([[2.0, -3.0]])
    queries, memory = torch.tensor([[[0.1, 0.2]]]), torch.tensor([[[0.3], [-0.4]]])
    expected = [
        2 * math.tanh(0.1 + 0.3 + 0.5) - 3 * math.tanh(0.4 - 0.3),
        2 * math.tanh(0.1 - 0.4 + 0.5) - 3 * math.tanh(0.4 + 0.4),
    ]
    assert attention.scores(queries, attention.keys(memory))[0, 0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_each_pair_is_scored_by_itself(name: str) -> None:
    torch.manual_seed(0)
    attention = ATTENTIONS[name](4, 6)
    queries, memory = torch.randn(2, 3, 4), torch.randn(2, 5, 6)
    scores = attention.scores(queries, attention.keys(memory))
    assert scores.shape == (2, 3, 5)
    for n, t, s in ((0, 0, 0), (1, 2, 4), (1, 0, 3)):
        alone = attention.scores(queries[n : n + 1, t : t + 1], attention.keys(memory[n : n + 1, s : s + 1]))
        torch.testing.assert_close(scores[n, t, s], alone[0, 0, 0])


def test_weights_sum_to_one_and_are_zero_on_padding() -> None:
    torch.manual_seed(0)
    scores, memory = 5 * torch.randn(3, 4, 6), torch.randn(3, 6, 2)
    mask = torch.arange(6) < torch.tensor([[6], [3], [1]])
    contexts, weights = attend(scores, memory, mask)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 4))
    assert not weights.masked_select(~mask.unsqueeze(1)).any()
    assert (weights.masked_select(mask.unsqueeze(1)) > 0).all()
    # Of a single word the context is that word.
    torch.testing.assert_close(contexts[2], memory[2, :1].expand(4, -1))
    expected = sum(weights[1, 2, s] * memory[1, s] for s in range(3))
    torch.testing.assert_close(contexts[1, 2], expected)


def test_padding_does_not_reach_the_context() -> None:
    scores, memory = torch.tensor([[[0.0, 0.0, 1e4]]]), torch.tensor([[[1.0], [3.0], [1e9]]])
    contexts, _ = attend(scores, memory, torch.tensor([[True, True, False]]))
    assert contexts.item() == 2.0


@pytest.mark.parametrize("name", ATTENTIONS)
def test_gradients(name: str) -> None:
    torch.manual_seed(0)
    attention = ATTENTIONS[name](3, 2).double()
    mask = torch.tensor([[True, True, False, False], [True, True, True, True]])

    def contexts(queries: Tensor, memory: Tensor) -> Tensor:
        return attend(attention.scores(queries, attention.keys(memory)), memory, mask)[0]

    queries = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    memory = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(contexts, (queries, memory))
    (gradient,) = torch.autograd.grad(contexts(queries, memory).sum(), memory)
    assert not gradient[~mask].any()
    assert gradient[mask].all()
