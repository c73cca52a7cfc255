"""An encoder that reads the programs of the nearest training problems beside the problem's words."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from myna.mathqa.dropout import Dropout
from myna.mathqa.encoders import BiLSTMEncoder, Encoded

N_DEGREES = 13  # of likeness, 0 for padding


class RetrievalEncoder(nn.Module):
    """The words' memory, followed by a row for each token of the neighbours' programs.

    A row holds its token and the two beside it, how near and the how-manieth its program is. For a number it also holds
    the words on both sides of that number in the neighbour's own text: they say what the number was, so that its
    counterpart can be found. Every row stands for its token, so that the decoder's pointer can copy it and follow the
    program from there.

    Source: our own; the memory of neighbours follows Khandelwal et al. 2020, arXiv 1911.00172, the editing of a
    retrieved example Hashimoto et al. 2018, arXiv 1812.01194.

    Args:
        words: encoder of the problem's words.
        n_tokens: size of the program vocabulary, V.
        n_neighbours: programs at most.
        size: width of what a row is made of.
        dropout: on it, and on the rows.
    """

    def __init__(self, words: BiLSTMEncoder, n_tokens: int, n_neighbours: int, size: int, dropout: float) -> None:
        super().__init__()
        self.words = words
        self.memory_size = words.memory_size
        self.tokens = nn.Embedding(n_tokens, size)
        self.ranks = nn.Embedding(n_neighbours + 1, size)
        self.degrees = nn.Embedding(N_DEGREES, size)
        self.left, self.right = (nn.Linear(words.embedding.size, size, bias=False) for _ in range(2))
        self.beside = nn.Conv1d(size, size, 3, padding=1)
        for embedding in (self.tokens, self.ranks, self.degrees):
            # As small as the other vectors that meet in the memory.
            nn.init.normal_(embedding.weight, std=0.1)
        # How near a program is says how far to trust it; the decoder learns of the nearest one from the summary, too.
        self.trust = nn.Embedding(N_DEGREES, 1, _weight=torch.arange(N_DEGREES).unsqueeze(1) / (N_DEGREES - 1))
        self.nearest = nn.Embedding(N_DEGREES, self.memory_size)
        nn.init.normal_(self.nearest.weight, std=0.1)
        self.widen = nn.Linear(2 * size, self.memory_size)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        lengths: Tensor,
        words: Tensor,
        tokens: Tensor,
        ranks: Tensor,
        degrees: Tensor,
        lefts: Tensor,
        rights: Tensor,
    ) -> Encoded:
        """Encode words (N, S) of which the first `lengths` (N,) are no padding, and programs (N, P): see the reader."""
        encoded = self.words(lengths, words)
        mask = tokens != 0  # (N, P)
        rows = self.tokens(tokens) + self.ranks(ranks) + self.degrees(degrees)  # (N, P, E)
        for side, neighbours in ((self.left, lefts), (self.right, rights)):
            rows = rows + side(self.words.embedding(neighbours) * (neighbours != 0).unsqueeze(2))
        # Padding is as nothing is, so that a program's end does not see it.
        rows = self.dropout(rows) * mask.unsqueeze(2)  # (N, P, E)
        beside = self.beside(rows.transpose(1, 2)).transpose(1, 2)  # (N, P, E)
        memory = self.dropout(torch.tanh(self.widen(torch.cat([rows, torch.relu(beside)], -1))))  # (N, P, M)
        n_tokens = self.tokens.num_embeddings
        begins = nn.functional.pad(ranks[:, :-1], (1, 0)) != ranks  # (N, P)
        programs = torch.where(begins, 1, 2) * mask
        return Encoded(
            torch.cat([encoded.memory, memory], 1),  # (N, S + P, M)
            torch.cat([encoded.mask, mask], 1),  # (N, S + P)
            encoded.summary + self.nearest(degrees[:, 0]),
            torch.cat([encoded.copied, tokens.masked_fill(~mask, n_tokens)], 1),  # (N, S + P)
            torch.cat([torch.zeros_like(encoded.copied), programs], 1),  # (N, S + P)
            nn.functional.pad(self.trust(degrees).squeeze(2) * mask, (words.shape[1], 0)),  # (N, S + P)
        )
