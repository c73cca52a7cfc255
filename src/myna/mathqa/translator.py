"""The whole sequence-to-sequence model: encoder, decoder, and how it is taught."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from myna.mathqa.batches import Batch
from myna.mathqa.decoder import LSTMDecoder, Memory, State
from myna.mathqa.vocabulary import PAD

FORMS = ("parallel", "stepwise")


class Translator(nn.Module):
    """Turns a problem's source into program token ids.

    Args:
        encoder: from (N,) lengths and the parts of a source, the first of them (N, S) word ids, to `Encoded`.
        decoder: from tokens so far to the next.
        initialise: give it weights to begin to learn with; takes seconds for nothing where others are loaded over them.
    """

    def __init__(self, encoder: nn.Module, decoder: LSTMDecoder, *, initialise: bool = True) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        if not initialise:
            return
        for module in decoder.modules():
            _initialise(module)
        # What is pretrained stays as it is.
        for module in getattr(encoder, "new_modules", encoder.modules)():
            _initialise(module)

    def start(self, source: Sequence[Tensor], lengths: Tensor) -> tuple[State, Memory]:
        """Encode problems, and return the decoder's first state and its memory."""
        return self.decoder.start(self.encoder(lengths, *source))

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """Return log-probabilities (B, K, V) of what follows each of K hypotheses: the step of an exported model."""
        logits, state = self.decoder.step(tokens, state, memory)
        return logits.float().log_softmax(-1), state

    def forward(self, batch: Batch, ratio: float = 1.0, form: str = "parallel") -> Tensor:
        """Predict each token of the references, fed the reference's token with probability `ratio`.

        The choice is drawn anew for each step of each problem. Where it falls against the reference, the decoder
        is fed its own most likely token:

        - parallel: a first pass without gradient is fed the reference throughout, and what it predicts
          at a step is fed to the second pass in its place (parallel scheduled sampling, Duckworth et al. 2019,
          arXiv 1906.04331, one pass). Both passes run over the whole sequence in one call.
        - stepwise: the step before says it, given what that was fed itself, as at inference (scheduled sampling,
          Bengio et al. 2015, arXiv 1506.03099).

        Returns:
            logits (N, T, V).

        Raises:
            ValueError: `form` is not one of FORMS.
        """
        if form not in FORMS:
            raise ValueError(f"form: {form!r}; choices: {', '.join(FORMS)}")
        state, memory = self.start(batch.source, batch.lengths)
        if ratio >= 1:
            return self._predict(batch.inputs, state, memory)
        keep = torch.rand(batch.inputs.shape, device=batch.inputs.device) < ratio
        keep |= batch.inputs == PAD
        if form == "stepwise":
            return self._stepwise(batch.inputs, keep, state, memory)
        own = self._own_tokens(batch.inputs, state, memory)
        return self._predict(torch.where(keep, batch.inputs, own), state, memory)

    def _predict(self, inputs: Tensor, state: State, memory: Memory) -> Tensor:
        """Return the logits (N, T, V) of what follows each token of a sequence (N, T)."""
        logits: Tensor = self.decoder(inputs, state, memory)[0]
        return logits

    @torch.no_grad()
    def _own_tokens(self, inputs: Tensor, state: State, memory: Memory) -> Tensor:
        """Return what the model would feed itself at each position (N, T), given the references before it."""
        own = self._predict(inputs[:, :-1], state, memory).argmax(-1)  # (N, T - 1)
        # Older torch keeps the casts made here, which have no gradient, for the pass that needs one (issue 65766).
        torch.clear_autocast_cache()
        return torch.cat([inputs[:, :1], own], 1)

    def _stepwise(self, inputs: Tensor, keep: Tensor, state: State, memory: Memory) -> Tensor:
        """Predict step by step, feeding the model's own last token where `keep` is False."""
        all_logits: list[Tensor] = []
        for t in range(inputs.shape[1]):
            tokens = inputs[:, t]
            if t:
                tokens = torch.where(keep[:, t], tokens, all_logits[-1].detach().argmax(-1).squeeze(1))
            logits, state = self.decoder.step(tokens.unsqueeze(1), state, memory)
            all_logits.append(logits)
        return torch.cat(all_logits, 1)


def _initialise(module: nn.Module) -> None:
    """Give LSTMs orthogonal recurrent weights and an open forget gate (Jozefowicz et al. 2015), linear maps Glorot's.

    torch's own start, uniform within 1 / sqrt(hidden size) everywhere, lets a gradient fade over a long text.
    """
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
    if not isinstance(module, nn.LSTM):
        return
    size = module.hidden_size
    for name, parameter in module.named_parameters():
        if "weight_ih" in name:
            nn.init.xavier_uniform_(parameter)
        elif "weight_hh" in name:
            for gate in torch.split(parameter.data, size):
                nn.init.orthogonal_(gate)
        else:
            nn.init.zeros_(parameter)
            if "bias_ih" in name:
                # Gates stand in the order input, forget, cell, output.
                parameter.data[size : 2 * size] = 1.0


def sequence_loss(
    logits: Tensor, targets: Tensor, weights: Tensor, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Sum the cross-entropy over all tokens, each problem's times its weight.

    Shape:
        logits (N, T, V); targets (N, T), padding ignored; weights (N,).

    Returns:
        the weighted sum in nats, and the weighted count of tokens.
    """
    losses = nn.functional.cross_entropy(
        logits.float().transpose(1, 2),
        targets,
        ignore_index=PAD,
        label_smoothing=label_smoothing,
        reduction="none",
    )  # (N, T)
    return (losses * weights.unsqueeze(1)).sum(), ((targets != PAD) * weights.unsqueeze(1)).sum()
