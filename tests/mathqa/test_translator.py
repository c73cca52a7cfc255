"""Teacher forcing in both forms, the loss, and the whole model's indifference to padding."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from myna.engine import loop
from myna.mathqa.batches import Batch, Example, collate, fold
from myna.mathqa.beam import beam_search
from myna.mathqa.decoder import LSTMDecoder, Memory, State
from myna.mathqa.encoders import BiLSTMEncoder, WordEmbedding
from myna.mathqa.translator import FORMS, Translator, sequence_loss
from myna.mathqa.vocabulary import END, PAD, START

KINDS = [
    {"attention": None},
    {"attention": "luong"},
    {"attention": "luong", "input_feeding": True},
    {"attention": "bahdanau", "pointer": "sum"},
    {"attention": "bahdanau", "input_feeding": True, "pointer": "sum"},
]
N_WORDS, N_TOKENS = 12, 10
COPIED = torch.full((N_WORDS,), N_TOKENS).index_copy(0, torch.tensor([5, 8]), torch.tensor([4, 7]))
EXAMPLES = [
    Example(((4, 5, 6, 7),), (4, 5, 6)),
    Example(((8, 9),), (7, 4, 5, 7, 8, 4)),
    Example(((5, 6, 10, 11, 4, 4),), (4, 6, 4, 8, 5)),
]


def make_translator(**kind: Any) -> Translator:
    torch.manual_seed(3)
    encoder = BiLSTMEncoder(WordEmbedding(N_WORDS, 5), hidden_size=4, n_layers=2, dropout=0.0, copied=COPIED)
    decoder = LSTMDecoder(N_TOKENS, encoder.memory_size, 4, 6, **(kind or KINDS[3]))
    translator = Translator(encoder, decoder).double()
    # Far from uniform, so that which token is likeliest leaves no doubt.
    nn.init.normal_(translator.decoder.output.weight, std=2.0)
    return translator


def record_inputs(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Return the list to which every call of the decoder adds the tokens that it is fed."""
    fed: list[Tensor] = []
    step = translator.decoder.step

    def recording_step(tokens: Tensor, state: State, memory: Memory) -> Any:
        fed.append(tokens)
        return step(tokens, state, memory)

    monkeypatch.setattr(translator.decoder, "step", recording_step)
    translator.decoder.register_forward_pre_hook(lambda module, inputs: fed.append(inputs[0]))
    return fed


@pytest.mark.parametrize("kind", KINDS)
def test_full_teacher_forcing_is_a_plain_forward_pass(kind: dict[str, Any]) -> None:
    translator = make_translator(**kind)
    batch = collate(EXAMPLES)
    expected, _ = translator.decoder(batch.inputs, *translator.start(batch.source, batch.lengths))
    assert expected.shape == (3, 7, N_TOKENS)
    random_state = torch.get_rng_state()
    for form in FORMS:
        torch.testing.assert_close(translator(batch, 1.0, form), expected)
    # Nothing is drawn where nothing is left to chance.
    assert torch.equal(torch.get_rng_state(), random_state)


def test_stepwise_with_all_tokens_kept_equals_the_whole_sequence() -> None:
    translator = make_translator()
    batch = collate(EXAMPLES)
    # So close to 1 that no draw falls against it.
    torch.testing.assert_close(translator(batch, 1 - 1e-9, "stepwise"), translator(batch))


@pytest.mark.parametrize("kind", KINDS)
def test_parallel_without_forcing_feeds_what_the_first_pass_predicts(kind: dict[str, Any]) -> None:
    translator = make_translator(**kind)
    batch = collate(EXAMPLES)
    first = translator(batch).argmax(-1)
    inputs = torch.cat([batch.inputs[:, :1], first[:, :-1]], 1)
    inputs[batch.inputs == PAD] = PAD
    assert not torch.equal(inputs, batch.inputs)
    expected, _ = translator.decoder(inputs, *translator.start(batch.source, batch.lengths))
    torch.testing.assert_close(translator(batch, 0.0, "parallel"), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_stepwise_without_forcing_is_greedy_decoding(kind: dict[str, Any]) -> None:
    translator = make_translator(**kind)
    n_steps = 12
    batch = collate([Example(example.source, (4,) * (n_steps - 1)) for example in EXAMPLES])
    with torch.inference_mode():
        written = translator(batch, 0.0, "stepwise").argmax(-1)
        state, memory = translator.start(batch.source, batch.lengths)
    found = beam_search(translator.step, state, memory, beam_size=1, start_id=START, end_id=END, max_steps=n_steps)
    for row, [hypothesis] in zip(written.tolist(), found, strict=True):
        expected = row[: row.index(END)] if END in row else row
        assert hypothesis.tokens == expected
        assert hypothesis.ended == (END in row)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ratio", [0.3, 0.6, 0.9])
def test_references_are_kept_at_the_ratio(form: str, ratio: float, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = make_translator()
    own = N_TOKENS - 1  # what the model always predicts; no reference holds it
    translator.decoder.output.bias.data[own] = 1e3
    example = EXAMPLES[0]
    batch = collate([Example(example.source, (4, 5, 6, 7) * 10)] * 100 + [example])
    fed = record_inputs(translator, monkeypatch)
    torch.manual_seed(0)
    translator(batch, ratio, form)
    inputs = fed[-1] if form == "parallel" else torch.cat(fed, 1)
    assert len(fed) == (2 if form == "parallel" else 41)
    assert (inputs[:, 0] == START).all()
    assert (inputs[100, 4:] == PAD).all()
    kept = inputs[:100, 1:] == batch.inputs[:100, 1:]
    assert (inputs[:100, 1:][~kept] == own).all()
    # 4,000 draws: the standard deviation of the share is below 0.008. Each row and column has its own draws.
    assert kept.double().mean().item() == pytest.approx(ratio, abs=0.03)
    assert kept.any(0).all()
    assert not kept.all(0).any()
    assert len({tuple(row) for row in kept.tolist()}) > 90


def test_parallel_draws_are_seeded() -> None:
    translator, batch = make_translator(), collate(EXAMPLES * 4)
    logits = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        logits.append(translator(batch, 0.5))
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=0)
    assert not torch.allclose(logits[0], logits[2])


def test_first_pass_sends_no_gradient() -> None:
    translator, batch = make_translator(), collate(EXAMPLES)
    with torch.no_grad():
        first = translator(batch).argmax(-1)
    inputs = torch.cat([batch.inputs[:, :1], first[:, :-1]], 1).where(batch.inputs != PAD, PAD)

    def gradient(logits: Tensor) -> Tensor:
        translator.zero_grad()
        sequence_loss(logits, batch.targets, batch.weights)[0].backward()
        assert translator.decoder.embedding.weight.grad is not None
        return translator.decoder.embedding.weight.grad.clone()

    expected, _ = translator.decoder(inputs, *translator.start(batch.source, batch.lengths))
    torch.testing.assert_close(gradient(translator(batch, 0.0)), gradient(expected))


def test_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="form: 'paralel'; choices: parallel, stepwise"):
        make_translator()(collate(EXAMPLES), 0.5, "paralel")


@pytest.mark.parametrize("kind", KINDS)
def test_padding_and_company_change_no_logit(kind: dict[str, Any]) -> None:
    translator = make_translator(**kind)
    batch = collate(EXAMPLES)
    wider = Batch(
        source=(nn.functional.pad(batch.source[0], (0, 4), value=PAD),),
        lengths=batch.lengths,
        inputs=nn.functional.pad(batch.inputs, (0, 2), value=PAD),
        targets=nn.functional.pad(batch.targets, (0, 2), value=PAD),
        weights=batch.weights,
    )
    logits = {name: translator(b) for name, b in (("together", batch), ("wider", wider))}
    for row, example in enumerate(EXAMPLES):
        alone = translator(collate([example]))[0]
        for others in logits.values():
            torch.testing.assert_close(others[row, : len(alone)], alone, rtol=0, atol=1e-12)
    losses = [sequence_loss(logits[name], b.targets, b.weights) for name, b in (("together", batch), ("wider", wider))]
    torch.testing.assert_close(losses[0], losses[1])


def test_step_gives_log_probabilities() -> None:
    translator, batch = make_translator(), collate(EXAMPLES)
    state, memory = translator.start(batch.source, batch.lengths)
    log_probs, _ = translator.step(batch.inputs[:, :1], state, memory)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(3, 1))
    torch.testing.assert_close(log_probs, translator(batch)[:, :1].float().log_softmax(-1))


def test_loss_by_hand() -> None:
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    targets, weights = torch.tensor([[4, 1, 2], [3, 2, PAD]]), torch.tensor([1.0, 3.0])
    for smoothing in (0.0, 0.1):
        total = 0.0
        for n, t in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1)):
            exponentials = [math.exp(logit) for logit in logits[n, t].tolist()]
            surprises = [-math.log(e / sum(exponentials)) for e in exponentials]
            smooth = (1 - smoothing) * surprises[int(targets[n, t])] + smoothing * sum(surprises) / 5
            total += float(weights[n]) * smooth
        loss, weight = sequence_loss(logits, targets, weights, smoothing)
        assert loss.item() == pytest.approx(total, rel=1e-5)
        assert weight.item() == 3 + 3 * 2


def test_folded_examples_give_the_gradient_of_their_copies() -> None:
    translator = make_translator(**KINDS[4])
    copies = [EXAMPLES[0], EXAMPLES[1], EXAMPLES[0], EXAMPLES[2], EXAMPLES[0], EXAMPLES[1]]
    gradients = []
    for examples in (copies, fold(copies)):
        batch = collate(examples)
        translator.zero_grad()
        loss, weight = sequence_loss(translator(batch), batch.targets, batch.weights, 0.1)
        (loss / weight).backward()
        gradients.append({name: p.grad.clone() for name, p in translator.named_parameters() if p.grad is not None})
    assert len(fold(copies)) == 3
    for name, gradient in gradients[0].items():
        # The loss itself is in single precision.
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-7)


@pytest.mark.skipif(loop.emulates_bf16(), reason="this processor has no LSTM in bf16")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_mixed_precision_gives_nearly_the_same_gradients(kind: dict[str, Any], form: str) -> None:
    """Autocast must not keep the casts that the first pass, which has no gradient, makes of the weights."""
    translator, batch = make_translator(**kind).float(), collate(EXAMPLES)
    gradients = []
    for enabled in (False, True):
        translator.zero_grad()
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = translator(batch, 0.8, form)
        sequence_loss(logits, batch.targets, batch.weights)[0].backward()
        missing = [name for name, parameter in translator.named_parameters() if parameter.grad is None]
        assert not missing
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in translator.parameters()]))
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99


def test_recurrent_weights_start_orthogonal_with_open_forget_gates() -> None:
    encoder = BiLSTMEncoder(WordEmbedding(N_WORDS, 5), hidden_size=4, n_layers=2, dropout=0.0, copied=COPIED)
    translator = Translator(encoder, LSTMDecoder(N_TOKENS, 8, 4, 6, "luong"))
    lstms = [module for module in translator.modules() if isinstance(module, nn.LSTM)]
    assert len(lstms) == 5
    for lstm in lstms:
        size = lstm.hidden_size
        bias = (lstm.bias_ih_l0 + lstm.bias_hh_l0).view(4, size)
        assert bias.tolist() == [[0.0] * size, [1.0] * size, [0.0] * size, [0.0] * size]
        for gate in torch.split(lstm.weight_hh_l0, size):
            torch.testing.assert_close(gate @ gate.T, torch.eye(size))
