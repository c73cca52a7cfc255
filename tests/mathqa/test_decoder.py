"""The decoder: a step at a time as in the search, a sequence at once as in training, and plain equations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from myna.mathqa.attention import ATTENTIONS, LuongAttention, attend
from myna.mathqa.decoder import LSTMDecoder, Memory, State
from myna.mathqa.encoders import Encoded

KINDS = [
    {"attention": None},
    {"attention": "luong"},
    {"attention": "luong", "input_feeding": True, "pointer": "sum"},
    {"attention": "bahdanau", "pointer": "sum"},
    {"attention": "bahdanau", "input_feeding": True},
]
N_TOKENS, HIDDEN_SIZE = 9, 5
LENGTHS = (4, 2, 6)
# Which token each word stands for; N_TOKENS for none. The last problem names token 5 twice.
COPIED = [[9, 5, 9, 4, 9, 9], [6, 9, 9, 9, 9, 9], [5, 9, 5, 9, 9, 8]]


def make_decoder(**kind: Any) -> LSTMDecoder:
    torch.manual_seed(0)
    return LSTMDecoder(N_TOKENS, memory_size=6, token_size=3, hidden_size=HIDDEN_SIZE, **kind).double()


def make_encoded() -> Encoded:
    generator = torch.Generator().manual_seed(1)
    memory = torch.randn(3, 6, 6, generator=generator, dtype=torch.float64)
    summary = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    return Encoded(memory, torch.arange(6) < torch.tensor(LENGTHS).unsqueeze(1), summary, torch.tensor(COPIED))


def make_tokens(*shape: int) -> Tensor:
    return torch.randint(N_TOKENS, shape, generator=torch.Generator().manual_seed(2))


def expand(state: State, k: int) -> State:
    """Give each problem K hypotheses with equal states."""
    return tuple(part.expand(-1, k, -1) for part in state)


@pytest.mark.parametrize("kind", KINDS)
def test_step_by_step_equals_the_whole_sequence(kind: dict[str, Any]) -> None:
    decoder = make_decoder(**kind)
    state, memory = decoder.start(make_encoded())
    assert all(part.shape == (3, 1, HIDDEN_SIZE) for part in state)
    tokens = make_tokens(3, 7)
    expected, expected_state = decoder(tokens, state, memory)
    assert expected.shape == (3, 7, N_TOKENS)
    for t in range(7):
        logits, state = decoder.step(tokens[:, t : t + 1], state, memory)
        torch.testing.assert_close(logits[:, 0], expected[:, t])
    for part, expected_part in zip(state, expected_state, strict=True):
        torch.testing.assert_close(part, expected_part)


@pytest.mark.parametrize("kind", KINDS)
def test_hypotheses_do_not_meet(kind: dict[str, Any]) -> None:
    decoder = make_decoder(**kind)
    k = 4
    first, memory = decoder.start(make_encoded())
    tokens = make_tokens(3, k, 3)  # three steps, other tokens for each hypothesis
    state = expand(first, k)
    for t in range(3):
        logits, state = decoder.step(tokens[:, :, t], state, memory)
        assert logits.shape == (3, k, N_TOKENS)
    for hypothesis in range(k):
        alone, alone_state = decoder(tokens[:, hypothesis], first, memory)
        torch.testing.assert_close(logits[:, hypothesis], alone[:, -1])
        for part, alone_part in zip(state, alone_state, strict=True):
            torch.testing.assert_close(part[:, hypothesis], alone_part[:, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_problems_and_padding_do_not_meet(kind: dict[str, Any]) -> None:
    decoder = make_decoder(**kind)
    encoded, tokens = make_encoded(), make_tokens(3, 5)
    expected, _ = decoder(tokens, *decoder.start(encoded))
    for row, length in enumerate(LENGTHS):
        one = slice(row, row + 1)
        words = (part[one, :length] for part in (encoded.memory, encoded.mask))
        alone = Encoded(*words, encoded.summary[one], encoded.copied[one, :length])
        logits, _ = decoder(tokens[one], *decoder.start(alone))
        torch.testing.assert_close(logits[0], expected[row])


@pytest.mark.parametrize("kind", KINDS)
def test_equations(kind: dict[str, Any]) -> None:
    decoder = make_decoder(**kind)
    encoded, tokens = make_encoded(), make_tokens(3, 4)
    logits, _ = decoder(tokens, *decoder.start(encoded))
    hidden, cell = (torch.tanh(bridge(encoded.summary)) for bridge in decoder.bridge)
    vector = torch.zeros(3, HIDDEN_SIZE, dtype=torch.float64)
    for t in range(4):
        embedded = decoder.embedding.weight[tokens[:, t]]
        inputs = torch.cat([embedded, vector], 1) if kind.get("input_feeding") else embedded
        hidden, cell = lstm_cell(decoder, inputs, hidden, cell)
        vector = combine(decoder, hidden, encoded)
        expected = vector @ decoder.output.weight.T + decoder.output.bias
        if decoder.pointer is not None:
            expected = expected + point(decoder.pointer, vector, encoded)
        torch.testing.assert_close(logits[:, t], expected)


def lstm_cell(decoder: LSTMDecoder, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Hochreiter and Schmidhuber's cell with a forget gate, from the weights of nn.LSTM."""
    weights = decoder.lstm
    gates = inputs @ weights.weight_ih_l0.T + weights.bias_ih_l0 + hidden @ weights.weight_hh_l0.T + weights.bias_hh_l0
    enter, forget, new, leave = gates.chunk(4, 1)
    cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
    return leave.sigmoid() * cell.tanh(), cell


def combine(decoder: LSTMDecoder, hidden: Tensor, encoded: Encoded) -> Tensor:
    """Luong et al. 2015, eq. 5, a problem at a time, on its own words; on the summary without attention."""
    rows = []
    for row, length in enumerate(LENGTHS):
        context = encoded.summary[row]
        if decoder.attention is not None:
            words = encoded.memory[row : row + 1, :length]
            scores = decoder.attention.scores(hidden[row].view(1, 1, -1), decoder.attention.keys(words))
            context = (scores.softmax(-1)[0, 0].unsqueeze(1) * words[0]).sum(0)
        rows.append(torch.tanh(decoder.combine(torch.cat([context, hidden[row]]))))
    return torch.stack(rows)


def point(pointer: LuongAttention, vector: Tensor, encoded: Encoded) -> Tensor:
    """Add up, word by word, the scores of those that stand for a token: (N, V)."""
    scores = torch.zeros(3, N_TOKENS, dtype=torch.float64)
    for row, length in enumerate(LENGTHS):
        for position in range(length):
            token = COPIED[row][position]
            if token < N_TOKENS:
                scores[row, token] += vector[row] @ pointer.memory_projection(encoded.memory[row, position])
    return scores


def test_pointer_reaches_the_numbers_of_the_problem_alone() -> None:
    decoder = make_decoder(attention="luong", pointer="sum")
    encoded, tokens = make_encoded(), make_tokens(3, 4)
    logits, _ = decoder(tokens, *decoder.start(encoded))
    nothing_to_copy = encoded._replace(copied=torch.full_like(encoded.copied, N_TOKENS))
    without, _ = decoder(tokens, *decoder.start(nothing_to_copy))
    changed = (logits != without).all(1)
    assert changed.tolist() == [[token in copied for token in range(N_TOKENS)] for copied in COPIED]


def test_without_attention_the_summary_is_all_it_knows() -> None:
    decoder = make_decoder(attention=None)
    encoded, tokens = make_encoded(), make_tokens(3, 4)
    logits, _ = decoder(tokens, *decoder.start(encoded))
    other_words, _ = decoder(tokens, *decoder.start(encoded._replace(memory=encoded.memory + 1)))
    torch.testing.assert_close(other_words, logits, rtol=0, atol=0)
    other_summary, _ = decoder(tokens, *decoder.start(encoded._replace(summary=encoded.summary + 1)))
    assert not torch.allclose(other_summary, logits)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_attention_weights_are_those_of_the_predictions(attention: str) -> None:
    decoder = make_decoder(attention=attention)
    encoded, tokens = make_encoded(), make_tokens(3, 4)
    state, memory = decoder.start(encoded)
    weights = decoder.attention_weights(tokens, state, memory)
    assert weights.shape == (3, 4, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 4, dtype=torch.float64))
    assert not weights.masked_select(~encoded.mask.unsqueeze(1)).any()
    assert decoder.attention is not None
    hidden, _ = decoder.lstm(decoder.embedding(tokens), tuple(part.transpose(0, 1) for part in state))
    expected = attend(decoder.attention.scores(hidden, memory[0]), memory[1], memory[2])[1]
    torch.testing.assert_close(weights, expected)


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[4]])
def test_attention_weights_need_attention_without_feeding(kind: dict[str, Any]) -> None:
    decoder = make_decoder(**kind)
    with pytest.raises(ValueError, match="needs attention, without input feeding"):
        decoder.attention_weights(make_tokens(3, 2), *decoder.start(make_encoded()))


def test_parts_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValueError, match="attention: 'loung'; choices: luong, bahdanau, None"):
        make_decoder(attention="loung")
    for part, value in (("input_feeding", True), ("pointer", "sum")):
        with pytest.raises(ValueError, match="without attention"):
            make_decoder(attention=None, **{part: value})


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_acts_in_training_alone(kind: dict[str, Any]) -> None:
    decoder = make_decoder(**kind, dropout=0.5)
    tokens = make_tokens(3, 4)

    def logits() -> Tensor:
        return decoder(tokens, *decoder.start(make_encoded()))[0]

    assert not torch.allclose(logits(), logits())
    decoder.eval()
    torch.testing.assert_close(logits(), logits(), rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_learns(kind: dict[str, Any]) -> None:
    decoder = make_decoder(**kind)
    encoded = make_encoded()
    for part in (encoded.memory, encoded.summary):
        part.requires_grad_()
    state: tuple[State, Memory] = decoder.start(encoded)
    decoder(make_tokens(3, 4), *state)[0].log_softmax(-1)[:, :, 0].sum().backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    assert encoded.summary.grad is not None
    assert encoded.summary.grad.all()
    if kind["attention"]:
        assert encoded.memory.grad is not None
        assert torch.equal(encoded.memory.grad.any(-1), encoded.mask)
