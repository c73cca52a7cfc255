"""Attention over a problem's words, with the score functions of Luong et al. and Bahdanau et al."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LuongAttention(nn.Module):
    """Multiplicative attention: score(q, m) = q . W m.

    Source: Luong et al. 2015, arXiv 1508.04025, eq. 8 ("general").

    Args:
        query_size: size of a query, Q.
        memory_size: size of a memory row, M.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.memory_projection = nn.Linear(memory_size, query_size, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """Project the memory (N, S, M) to keys (N, S, Q), once a problem."""
        projected: Tensor = self.memory_projection(memory)
        return projected

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Score each query (N, T, Q) against each key (N, S, Q): (N, T, S)."""
        return torch.bmm(queries, keys.transpose(1, 2))


class BahdanauAttention(nn.Module):
    """Additive attention: score(q, m) = v . tanh(W q + U m).

    Source: Bahdanau et al. 2015, arXiv 1409.0473, appendix A.1.2. Difference: the query is the decoder's
    new state, as in Luong's decoder, not the one before, so that both score functions swap.

    Args:
        query_size: size of a query, Q; also that of the hidden layer.
        memory_size: size of a memory row, M.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.query_projection = nn.Linear(query_size, query_size, bias=False)
        self.memory_projection = nn.Linear(memory_size, query_size)
        self.score = nn.Linear(query_size, 1, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """Project the memory (N, S, M) to keys (N, S, Q), once a problem."""
        projected: Tensor = self.memory_projection(memory)
        return projected

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Score each query (N, T, Q) against each key (N, S, Q): (N, T, S)."""
        hidden = torch.tanh(self.query_projection(queries).unsqueeze(2) + keys.unsqueeze(1))  # (N, T, S, Q)
        scores: Tensor = self.score(hidden).squeeze(-1)
        return scores


Attention = LuongAttention | BahdanauAttention
ATTENTIONS: dict[str, type[Attention]] = {"luong": LuongAttention, "bahdanau": BahdanauAttention}


def attend(scores: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Average the memory by the softmax of the scores.

    Shape:
        scores (N, T, S); memory (N, S, M); mask (N, S) bool, True on words, False on padding.

    Returns:
        contexts (N, T, M) and weights (N, T, S), whose rows sum to 1 and are 0 on padding.
    """
    weights = scores.masked_fill(~mask.unsqueeze(1), float("-inf")).softmax(-1)
    return torch.bmm(weights, memory), weights
