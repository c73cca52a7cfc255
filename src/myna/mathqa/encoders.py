"""Encoders: from the words of a problem to one vector a word, and a summary for the decoder to start from."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from myna.mathqa.dropout import Dropout


class Encoded(NamedTuple):
    """A batch of encoded problems.

    Attributes:
        memory: (N, S, M), a vector for each word.
        mask: (N, S) bool, True on words, False on padding.
        summary: (N, M), of the whole problem.
        copied: (N, S) long, the program token that a word stands for, such as n0; V where it stands for none.
        programs: (N, S) long, where rows of the memory are the tokens of whole programs: 1 at the first token of each
            program, 2 at its others, 0 elsewhere.
        trust: (N, S), how much the match of such a row counts; 0 elsewhere.
    """

    memory: Tensor
    mask: Tensor
    summary: Tensor
    copied: Tensor
    programs: Tensor | None = None
    trust: Tensor | None = None


class WordEmbedding(nn.Module):
    """A pretrained vector and a learned one for each word, side by side.

    Words without a pretrained vector get a learned one in its place; those that have one keep it
    (`frozen`) or go on learning from it.

    Args:
        n_words: size of the vocabulary, V.
        learned_size: length of the part learned from scratch; 0 for none.
        pretrained: (V, D) vectors, or None.
        known: (V,) bool, which rows of `pretrained` are real.
        frozen: keep known rows as they are.
    """

    # Weight decay would pull even rows without a gradient towards zero.
    no_weight_decay = ("pretrained", "learned")
    frozen_rows: Tensor

    def __init__(
        self,
        n_words: int,
        learned_size: int,
        pretrained: Tensor | None = None,
        known: Tensor | None = None,
        frozen: bool = True,
    ) -> None:
        super().__init__()
        if pretrained is None:
            pretrained, known = torch.zeros(n_words, 0), torch.zeros(n_words, dtype=torch.bool)
        if known is None or len(pretrained) != n_words or len(known) != n_words:
            raise ValueError(f"pretrained and known: expected {n_words} rows each")
        self.size = pretrained.shape[1] + learned_size
        unknown_rows = torch.randn_like(pretrained) * (pretrained[known].std() if known.any() else 1.0)
        self.pretrained = nn.Parameter(torch.where(known.unsqueeze(1), pretrained, unknown_rows))
        self.register_buffer("frozen_rows", known if frozen else torch.zeros_like(known))
        self.learned = nn.Parameter(torch.randn(n_words, learned_size) * 0.1)

    def forward(self, words: Tensor) -> Tensor:
        """Look up ids (N, S): vectors (N, S, size)."""
        pretrained = nn.functional.embedding(words, self.pretrained)  # (N, S, P)
        # Not by a hook on the parameter, which copies and pickles of a model would lack.
        pretrained = torch.where(self.frozen_rows[words].unsqueeze(2), pretrained.detach(), pretrained)
        return torch.cat([pretrained, nn.functional.embedding(words, self.learned)], -1)


class BiLSTM(nn.Module):
    """A bidirectional LSTM over padded sequences.

    The backward direction reads each sequence from its own last row: its rows are turned round within their length, so
    that padding stays at the end, where it changes nothing. On a CPU this trains a fifth faster than packed sequences.
    Checked against: torch.nn.LSTM(bidirectional=True) on packed sequences (tests/mathqa/test_encoders.py).

    Args:
        input_size: width of a row, E.
        hidden_size: units of each direction, M / 2.
        n_layers: stacked layers.
        dropout: on what each layer gives.
    """

    def __init__(self, input_size: int, hidden_size: int, n_layers: int, dropout: float) -> None:
        super().__init__()
        sizes = [input_size, *[2 * hidden_size] * (n_layers - 1)]
        self.forwards = nn.ModuleList(nn.LSTM(size, hidden_size, batch_first=True) for size in sizes)
        self.backwards = nn.ModuleList(nn.LSTM(size, hidden_size, batch_first=True) for size in sizes)
        self.dropout = Dropout(dropout)

    def run(self, rows: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Run over rows (N, S, E) of which the first `lengths` (N,), each at least 1, are no padding.

        Returns:
            the states of all rows (N, S, M), and the last state of each direction (N, M).
        """
        lengths = lengths.unsqueeze(1)  # (N, 1)
        positions = torch.arange(rows.shape[1], device=rows.device)  # (S,)
        turned = torch.where(positions < lengths, lengths - 1 - positions, positions)  # (N, S)
        for ahead, back in zip(self.forwards, self.backwards, strict=True):
            first, second = ahead(rows)[0], back(_take(rows, turned))[0]  # (N, S, M / 2) each
            rows = self.dropout(torch.cat([first, _take(second, turned)], -1))  # (N, S, M)
        return rows, torch.cat([_take(part, lengths - 1).squeeze(1) for part in (first, second)], -1)  # (N, M)


class BiLSTMEncoder(BiLSTM):
    """A bidirectional LSTM over word embeddings.

    The summary adds up the last hidden states of both directions and the maximum over all words (max pooling,
    Conneau et al. 2017, arXiv 1705.02364), which lets a gradient reach each word directly.

    Args:
        embedding: the words' vectors.
        hidden_size: units of each direction; the memory is twice as wide.
        n_layers: stacked layers.
        dropout: on the embeddings, between layers and on the memory.
        copied: (W,) long, the program token that each word of the vocabulary stands for; V for none.
    """

    copied: Tensor

    def __init__(
        self, embedding: WordEmbedding, hidden_size: int, n_layers: int, dropout: float, copied: Tensor
    ) -> None:
        super().__init__(embedding.size, hidden_size, n_layers, dropout)
        self.embedding = embedding
        self.register_buffer("copied", copied)
        self.memory_size = 2 * hidden_size

    def forward(self, lengths: Tensor, words: Tensor) -> Encoded:
        """Encode ids (N, S) of which the first `lengths` (N,) are words and the rest <pad>."""
        memory, last = self.run(self.dropout(self.embedding(words)), lengths)  # (N, S, M), (N, M)
        mask = torch.arange(words.shape[1], device=words.device) < lengths.unsqueeze(1)  # (N, S)
        return Encoded(memory, mask, self.dropout(last + largest(memory, mask)), self.copied[words])


def largest(memory: Tensor, mask: Tensor) -> Tensor:
    """Return the maximum of each number over the words of a problem, (N, M); `mask` (N, S) is False on padding."""
    return memory.masked_fill(~mask.unsqueeze(-1), torch.finfo(memory.dtype).min).amax(1)


def _take(rows: Tensor, positions: Tensor) -> Tensor:
    """Pick rows (N, S, D) of each problem by position (N, T): (N, T, D)."""
    n, s, _ = rows.shape
    firsts = s * torch.arange(n, device=rows.device).unsqueeze(1)  # (N, 1)
    # A look-up copies whole rows, where gather moves number by number.
    return nn.functional.embedding(firsts + positions, rows.flatten(0, 1))
