"""The LSTM decoder: from an encoded problem and the tokens so far to the next token."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from myna.mathqa.attention import ATTENTIONS, Attention, LuongAttention, attend
from myna.mathqa.dropout import Dropout
from myna.mathqa.encoders import Encoded
from myna.mathqa.vocabulary import START

POINTERS = ("sum", "mixture")
_SMALLEST = 1e-12  # probability whose logarithm is still taken
_MATCH_DECAY = 0.75  # of an earlier token's part in a match

State = tuple[Tensor, ...]
Memory = tuple[Tensor, ...]


class LSTMDecoder(nn.Module):
    """An LSTM over program tokens that starts from the encoder's summary, with attention by choice.

    A vector tanh(W [context; state]) makes each prediction (Luong et al. 2015, arXiv 1508.04025, eq. 5). With
    attention the context is an average of the memory, and with input feeding (section 3.3 there) the vector joins
    the next input. Without attention the context is the encoder's summary at every step (Cho et al. 2014,
    arXiv 1406.1078), which is all that the decoder knows of the problem.

    A pointer (Vinyals et al. 2015, arXiv 1506.03134) looks at the rows of the memory that stand for a token, such as
    the words n0, n1, ... of the problem, so that a number can be chosen for its place in the text, not for its index
    alone. As a "sum" it adds a row's score to the logit of its token (Gu et al. 2016, arXiv 1603.06393, before the
    softmax). As a "mixture" it copies from programs in the memory: a gate divides the probability between the
    vocabulary and the rows (See et al. 2017, arXiv 1704.04368, eq. 9), and a row is the likelier the better the tokens
    before it match those that were just written, so that a program is followed, and found again after a change. The
    match m of row j after token y is m'[j + 1] = 0.75 m[j] + (1 if row j stands for y, else 0); it counts as much as
    the encoder trusts the row and the decoder matches at this step. Ours.

    Args:
        n_tokens: size of the program vocabulary, V.
        memory_size: width of the encoder's memory, M.
        token_size: width of a token's embedding, E.
        hidden_size: units, H.
        attention: "luong", "bahdanau" or None.
        input_feeding: feed the attentional vector back; the decoder then goes step by step.
        pointer: "sum", "mixture" or None; needs attention.
        dropout: on embeddings and on what makes the prediction.
    """

    def __init__(
        self,
        n_tokens: int,
        memory_size: int,
        token_size: int,
        hidden_size: int,
        attention: str | None,
        input_feeding: bool = False,
        pointer: str | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if attention is not None and attention not in ATTENTIONS:
            raise ValueError(f"attention: {attention!r}; choices: {', '.join(ATTENTIONS)}, None")
        if pointer not in (*POINTERS, None):
            raise ValueError(f"pointer: {pointer!r}; choices: {', '.join(POINTERS)}, None")
        if attention is None and (input_feeding or pointer):
            raise ValueError("input_feeding and pointer: there is nothing to feed or point at without attention")
        self.hidden_size = hidden_size
        self.input_feeding = input_feeding
        self.embedding = nn.Embedding(n_tokens, token_size)
        self.bridge = nn.ModuleList(nn.Linear(memory_size, hidden_size) for _ in ("hidden", "cell"))
        self.lstm = nn.LSTM(token_size + hidden_size * input_feeding, hidden_size, batch_first=True)
        self.attention: Attention | None = ATTENTIONS[attention](hidden_size, memory_size) if attention else None
        self.combine = nn.Linear(hidden_size + memory_size, hidden_size)
        self.output = nn.Linear(hidden_size, n_tokens)
        self.pointer = LuongAttention(hidden_size, memory_size) if pointer else None
        self.gate = nn.Linear(hidden_size, 1) if pointer == "mixture" else None
        self.trust = nn.Linear(hidden_size, 1) if pointer == "mixture" else None
        if self.trust is not None:
            # To begin with, a match is something to go by.
            nn.init.constant_(self.trust.bias, 3.0)
        self.dropout = Dropout(dropout)

    def start(self, encoded: Encoded) -> tuple[State, Memory]:
        """Return the state before the first token, with one hypothesis (N, 1, ...), and the search's memory."""
        state: State = tuple(torch.tanh(bridge(encoded.summary)).unsqueeze(1) for bridge in self.bridge)  # (N, 1, H)
        if self.attention is None:
            return state, (encoded.summary.unsqueeze(1),)
        if self.input_feeding:
            state = (*state, torch.zeros_like(state[0]))
        parts: Memory = (self.attention.keys(encoded.memory), encoded.memory, encoded.mask)
        if self.pointer is None:
            return state, parts
        parts = (*parts, self.pointer.keys(encoded.memory), encoded.copied)
        if self.gate is None:
            return state, parts
        if encoded.programs is None or encoded.trust is None:
            raise ValueError("pointer: a mixture needs programs in the memory")
        # Before the first token, the beginning of every program matches as well as it ever can.
        matches = (encoded.programs == 1).float().unsqueeze(1) / (1 - _MATCH_DECAY)  # (N, 1, S)
        return (*state, matches), (*parts, encoded.programs, encoded.trust)

    def forward(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """Predict what follows each token of a sequence.

        Shape:
            tokens (N, T) long; state as from `start`.

        Returns:
            logits (N, T, V), and the state after the last token.
        """
        if not self.input_feeding:
            return self._predict(tokens, state, memory)
        logits = []
        for column in torch.split(tokens, 1, dim=1):
            step_logits, state = self.step(column, state, memory)
            logits.append(step_logits)
        return torch.cat(logits, 1), state

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """Predict what follows the last token of each of K hypotheses.

        Shape:
            tokens (N, K) long; state tensors (N, K, ...); memory tensors (N, ...).

        Returns:
            logits (N, K, V), and the new state.
        """
        n, k = tokens.shape
        rows = tuple(part.reshape(n * k, 1, -1) for part in state[: 2 + self.input_feeding])
        embedded = self.dropout(self.embedding(tokens)).view(n * k, 1, -1)
        if self.input_feeding:
            embedded = torch.cat([embedded, rows[2]], -1)
        hidden, (last, cell) = self.lstm(embedded, _as_lstm_state(rows))
        # The K hypotheses of a problem attend as if they were K positions of one sequence.
        vector = self._attend(hidden.view(n, k, -1), memory)
        new: State = (last.view(n, k, -1), cell.view(n, k, -1))
        if self.input_feeding:
            new = (*new, vector)
        if self.gate is None:
            return self.score(vector, memory), new
        matches = follow(tokens, state[-1], memory)
        return self.score(vector, memory, matches), (*new, matches)

    def attention_weights(self, tokens: Tensor, state: State, memory: Memory) -> Tensor:
        """Return how each prediction of a sequence (N, T) spreads over the words: (N, T, S).

        Raises:
            ValueError: this decoder has no attention, or feeds it back.
        """
        if self.attention is None or self.input_feeding:
            raise ValueError("attention_weights: needs attention, without input feeding")
        hidden, _ = self.lstm(self.embedding(tokens), _as_lstm_state(state))
        keys, words, mask = memory[:3]
        return attend(self.attention.scores(hidden, keys), words, mask)[1]

    def _predict(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """Run over a whole sequence (N, T) in one call."""
        hidden, (last, cell) = self.lstm(self.dropout(self.embedding(tokens)), _as_lstm_state(state))
        vector, new = self._attend(hidden, memory), (last.transpose(0, 1), cell.transpose(0, 1))
        if self.gate is None:
            return self.score(vector, memory), new
        matches = [state[-1]]
        for column in torch.split(tokens, 1, dim=1):
            matches.append(follow(column, matches[-1], memory))
        return self.score(vector, memory, torch.cat(matches[1:], 1)), (*new, matches[-1])

    def score(self, vector: Tensor, memory: Memory, matches: Tensor | None = None) -> Tensor:
        """Turn what makes the prediction (N, T, H) into logits (N, T, V).

        A mixture also takes how well each row's place matches what was written, (N, T, S).
        """
        logits: Tensor = self.output(vector)
        if self.pointer is None:
            return logits
        keys, copied = memory[3:5]
        scores = self.pointer.scores(vector, keys)  # (N, T, S)
        index = copied.unsqueeze(1).expand(-1, logits.shape[1], -1)  # (N, T, S)
        if self.gate is None:
            extended = nn.functional.pad(logits, (0, 1))  # (N, T, V + 1): words that are no token go to the last
            return extended.scatter_add(2, index, scores.to(extended.dtype))[:, :, :-1]
        n_tokens = logits.shape[2]
        if self.trust is None or matches is None:
            raise ValueError("matches: a mixture needs them")
        scores = scores + self.trust(vector) * matches * memory[6].unsqueeze(1)
        # Where no row stands for a token, all weights are equal, and go to the last place.
        none = torch.finfo(torch.float32).min
        weights = scores.float().masked_fill(index == n_tokens, none).softmax(-1)  # (N, T, S)
        copying = weights.new_zeros(*logits.shape[:2], n_tokens + 1).scatter_add(2, index, weights)[:, :, :-1]
        gate = self.gate(vector).float()  # (N, T, 1)
        written = nn.functional.logsigmoid(-gate) + logits.float().log_softmax(-1)  # (N, T, V)
        return torch.logaddexp(written, nn.functional.logsigmoid(gate) + copying.clamp(min=_SMALLEST).log())

    def _attend(self, hidden: Tensor, memory: Memory) -> Tensor:
        """Return the vector (N, T, H) that makes the prediction: the context and the state (N, T, H), combined."""
        if self.attention is None:
            context = memory[0].expand(-1, hidden.shape[1], -1)
        else:
            keys, words, mask = memory[:3]
            context, _ = attend(self.attention.scores(hidden, keys), words, mask)
        vector: Tensor = self.dropout(torch.tanh(self.combine(torch.cat([context, hidden], -1))))
        return vector


def follow(tokens: Tensor, matches: Tensor, memory: Memory) -> Tensor:
    """Return how well each row of the memory matches what was written, once `tokens` (N, K) are: (N, K, S)."""
    copied, programs = memory[4:6]
    hits = copied.unsqueeze(1) == tokens.unsqueeze(2)  # (N, K, S)
    moved = nn.functional.pad(_MATCH_DECAY * matches + hits, (1, -1)) * (programs == 2).unsqueeze(1)
    return torch.where((tokens == START).unsqueeze(2), matches, moved)


class IncrementalDecoder:
    """What `LSTMDecoder.step` computes, for a search: the same predictions with less work, without dropout.

    - What a token adds to the gates of the LSTM is looked up, not computed.
    - What a state adds to them is computed once for all hypotheses that grew from it.
    - `combine` is linear, so its part for the context is taken of the memory, once a problem, before the averaging.

    Checked against: `LSTMDecoder.step` (tests/mathqa/test_incremental.py).

    Args:
        decoder: a trained decoder; its weights of now are used.
    """

    def __init__(self, decoder: LSTMDecoder) -> None:
        self.decoder = decoder
        weights = dict(decoder.lstm.named_parameters())
        token_size, hidden_size = decoder.embedding.embedding_dim, decoder.hidden_size
        of_token, of_vector = weights["weight_ih_l0"].tensor_split([token_size], 1)  # (4H, E) and (4H, H), or (4H, 0)
        bias = weights["bias_ih_l0"] + weights["bias_hh_l0"]
        self._token_gates = linear(decoder.embedding.weight, of_token, bias)  # (V, 4H)
        self._recurrent = torch.cat([weights["weight_hh_l0"], of_vector], 1)  # (4H, R)
        self._of_context, self._of_hidden = decoder.combine.weight.tensor_split([-hidden_size], 1)  # (H, M), (H, H)

    def start(self, state: State, memory: Memory) -> tuple[State, Memory]:
        """Turn what `LSTMDecoder.start` returned into a state and a memory of this class.

        The state holds what recurs, (N, K, R): the hidden state, and with input feeding the attentional vector;
        the cell (N, K, H); from which of its problem's last hypotheses each one grew, (N, K); and of a mixture the
        matches (N, K, S).
        """
        n_recurring = 2 + self.decoder.input_feeding
        hidden, cell, *vector = state[:n_recurring]
        recurring = torch.cat([hidden, *vector], -1)  # (N, 1, R)
        origins = torch.zeros_like(hidden[:, :, 0], dtype=torch.int64)  # (N, 1)
        place = 0 if self.decoder.attention is None else 1
        values = linear(memory[place], self._of_context, self.decoder.combine.bias)  # (N, S, H), or (N, 1, H)
        new = (recurring, cell, origins, *state[n_recurring:])
        return new, (*memory[:place], values, *memory[place + 1 :])

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """Predict what follows the last token of each of K hypotheses.

        Shape:
            tokens (N, K) long; state tensors (N, K, ...); memory tensors (N, ...).

        Returns:
            log-probabilities (N, K, V), and the new state.
        """
        n, k = tokens.shape
        recurring, cell, origins, *matches = state
        gates = self._project(recurring, origins)  # (N * K, 4H)
        gates += self._token_gates.index_select(0, tokens.flatten())
        enter, forget, new, leave = gates.chunk(4, 1)
        cell = forget.sigmoid_() * cell.flatten(0, 1) + enter.sigmoid_() * _tanh(new)  # (N * K, H)
        hidden = (leave.sigmoid_() * _tanh(cell)).view(n, k, -1)  # (N, K, H)
        vector = _tanh(linear(hidden, self._of_hidden) + self._context(hidden, memory))  # (N, K, H)
        matches = [follow(tokens, before, memory) for before in matches]
        logits = self.decoder.score(vector, memory, *matches)
        recurring = torch.cat([hidden, vector], -1) if self.decoder.input_feeding else hidden  # (N, K, R)
        origins = torch.arange(k, device=tokens.device).expand(n, k)
        return logits.float().log_softmax(-1), (recurring, cell.view(n, k, -1), origins, *matches)

    def _project(self, recurring: Tensor, origins: Tensor) -> Tensor:
        """Return what the states (N, K, R) add to the gates, (N * K, 4H)."""
        rows = recurring.flatten(0, 1)  # (N * K, R)
        n, k = origins.shape
        if k == 1:
            return linear(rows, self._recurrent)
        index = torch.arange(n * k, device=origins.device)
        groups = (origins + index.view(n, k)[:, :1]).flatten()  # (N * K,) equal for equal states
        members = torch.zeros_like(index).scatter_(0, groups, index)  # one of each group
        distinct, group_of_row = torch.unique(groups, return_inverse=True)
        once = linear(rows.index_select(0, members[distinct]), self._recurrent)  # (distinct, 4H)
        return once.index_select(0, group_of_row)

    def _context(self, hidden: Tensor, memory: Memory) -> Tensor:
        """Return the projected context of each hidden state (N, K, H), or (N, 1, H) if it is the same for all."""
        if self.decoder.attention is None:
            return memory[0]
        keys, values, mask = memory[:3]
        return attend(self.decoder.attention.scores(hidden, keys), values, mask)[0]


def _tanh(x: Tensor) -> Tensor:
    """Return tanh(x) to within 2e-7; on a CPU torch.tanh takes four times as long."""
    return (2 * x).sigmoid_().mul_(2).sub_(1)


def _as_lstm_state(state: State) -> tuple[Tensor, Tensor]:
    """Turn (N, 1, H) tensors into what nn.LSTM wants, (1, N, H)."""
    return state[0].transpose(0, 1).contiguous(), state[1].transpose(0, 1).contiguous()
