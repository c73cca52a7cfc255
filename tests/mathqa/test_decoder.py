"""The decoder: a step at a time as in the search, a sequence at once as in training, and plain equations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from myna.mathqa.attention import ATTENTIONS, attend
from myna.mathqa.decoder import LSTMDecoder, Memory, State
from myna.mathqa.encoders import Encoded

KINDS = [(None, False), ("luong", False), ("luong", True), ("bahdanau", False), ("bahdanau", True)]
N_TOKENS, HIDDEN_SIZE = 9, 5
LENGTHS = (4, 2, 6)


def make_decoder(attention: str | None, input_feeding: bool = False, dropout: float = 0.0) -> LSTMDecoder:
    torch.manual_seed(0)
    return LSTMDecoder(N_TOKENS, 6, 3, HIDDEN_SIZE, attention, input_feeding, dropout).double()


def make_encoded() -> Encoded:
    generator = torch.Generator().manual_seed(1)
    memory = torch.randn(3, 6, 6, generator=generator, dtype=torch.float64)
    summary = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    return Encoded(memory, torch.arange(6) < torch.tensor(LENGTHS).unsqueeze(1), summary)


def make_tokens(*shape: int) -> Tensor:
    return torch.randint(N_TOKENS, shape, generator=torch.Generator().manual_seed(2))


def expand(state: State, k: int) -> State:
    """Give each problem K hypotheses with equal states."""
    return tuple(part.expand(-1, k, -1) for part in state)


@pytest.mark.parametrize(("attention", "input_feeding"), KINDS)
def test_step_by_step_equals_the_whole_sequence(attention: str | None, input_feeding: bool) -> None:
    decoder = make_decoder(attention, input_feeding)
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


@pytest.mark.parametrize(("attention", "input_feeding"), KINDS)
def test_hypotheses_do_not_meet(attention: str | None, input_feeding: bool) -> None:
    decoder = make_decoder(attention, input_feeding)
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


@pytest.mark.parametrize(("attention", "input_feeding"), KINDS)
def test_problems_and_padding_do_not_meet(attention: str | None, input_feeding: bool) -> None:
    decoder = make_decoder(attention, input_feeding)
    encoded, tokens = make_encoded(), make_tokens(3, 5)
    expected, _ = decoder(tokens, *decoder.start(encoded))
    for row, length in enumerate(LENGTHS):
        one = slice(row, row + 1)
        alone = Encoded(encoded.memory[one, :length], encoded.mask[one, :length], encoded.summary[one])
        logits, _ = decoder(tokens[one], *decoder.start(alone))
        torch.testing.assert_close(logits[0], expected[row])


@pytest.mark.parametrize(("attention", "input_feeding"), KINDS)
def test_equations(attention: str | None, input_feeding: bool) -> None:
    decoder = make_decoder(attention, input_feeding)
    encoded, tokens = make_encoded(), make_tokens(3, 4)
    logits, _ = decoder(tokens, *decoder.start(encoded))
    hidden, cell = (torch.tanh(bridge(encoded.summary)) for bridge in decoder.bridge)
    vector = torch.zeros(3, HIDDEN_SIZE, dtype=torch.float64)
    for t in range(4):
        embedded = decoder.embedding.weight[tokens[:, t]]
        inputs = torch.cat([embedded, vector], 1) if input_feeding else embedded
        hidden, cell = lstm_cell(decoder, inputs, hidden, cell)
        vector = attentional_vector(decoder, hidden, encoded) if attention else hidden
        torch.testing.assert_close(logits[:, t], vector @ decoder.output.weight.T + decoder.output.bias)


def lstm_cell(decoder: LSTMDecoder, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Hochreiter and Schmidhuber's cell with a forget gate, from the weights of nn.LSTM."""
    weights = decoder.lstm
    gates = inputs @ weights.weight_ih_l0.T + weights.bias_ih_l0 + hidden @ weights.weight_hh_l0.T + weights.bias_hh_l0
    enter, forget, new, leave = gates.chunk(4, 1)
    cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
    return leave.sigmoid() * cell.tanh(), cell


def attentional_vector(decoder: LSTMDecoder, hidden: Tensor, encoded: Encoded) -> Tensor:
    """Luong et al. 2015, eq. 5, a problem at a time, on its own words."""
    assert decoder.attention is not None
    assert decoder.combine is not None
    rows = []
    for row, length in enumerate(LENGTHS):
        words = encoded.memory[row : row + 1, :length]
        weights = decoder.attention.scores(hidden[row].view(1, 1, -1), decoder.attention.keys(words)).softmax(-1)
        context = (weights[0, 0].unsqueeze(1) * words[0]).sum(0)
        rows.append(torch.tanh(decoder.combine(torch.cat([context, hidden[row]]))))
    return torch.stack(rows)


def test_without_attention_the_summary_is_all_it_knows() -> None:
    decoder = make_decoder(None)
    encoded, tokens = make_encoded(), make_tokens(3, 4)
    state, memory = decoder.start(encoded)
    assert memory == ()
    logits, _ = decoder(tokens, state, memory)
    other_words, _ = decoder(tokens, *decoder.start(encoded._replace(memory=encoded.memory + 1)))
    torch.testing.assert_close(other_words, logits, rtol=0, atol=0)
    other_summary, _ = decoder(tokens, *decoder.start(encoded._replace(summary=encoded.summary + 1)))
    assert not torch.allclose(other_summary, logits)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_attention_weights_are_those_of_the_predictions(attention: str) -> None:
    decoder = make_decoder(attention)
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


@pytest.mark.parametrize(("attention", "input_feeding"), [(None, False), ("luong", True)])
def test_attention_weights_need_attention_without_feeding(attention: str | None, input_feeding: bool) -> None:
    decoder = make_decoder(attention, input_feeding)
    with pytest.raises(ValueError, match="needs attention, without input feeding"):
        decoder.attention_weights(make_tokens(3, 2), *decoder.start(make_encoded()))


def test_unknown_attention_is_refused() -> None:
    with pytest.raises(ValueError, match="attention: 'loung'; choices: luong, bahdanau, None"):
        make_decoder("loung")
    with pytest.raises(ValueError, match="input_feeding: there is no attentional vector without attention"):
        make_decoder(None, input_feeding=True)


@pytest.mark.parametrize(("attention", "input_feeding"), KINDS)
def test_dropout_acts_in_training_alone(attention: str | None, input_feeding: bool) -> None:
    decoder = make_decoder(attention, input_feeding, dropout=0.5)
    tokens = make_tokens(3, 4)

    def logits() -> Tensor:
        return decoder(tokens, *decoder.start(make_encoded()))[0]

    assert not torch.allclose(logits(), logits())
    decoder.eval()
    torch.testing.assert_close(logits(), logits(), rtol=0, atol=0)


@pytest.mark.parametrize(("attention", "input_feeding"), KINDS)
def test_every_weight_learns(attention: str | None, input_feeding: bool) -> None:
    decoder = make_decoder(attention, input_feeding)
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
    if attention:
        assert encoded.memory.grad is not None
        assert torch.equal(encoded.memory.grad.any(-1), encoded.mask)
