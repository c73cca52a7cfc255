"""The encoder against torch's own bidirectional LSTM, padding, and the frozen rows of GloVe."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from myna.config import OptimizerSection
from myna.engine.optim import build_optimizer
from myna.mathqa.batches import pad
from myna.mathqa.encoders import BiLSTMEncoder, WordEmbedding

N_WORDS, N_TOKENS = 12, 5
COPIED = torch.full((N_WORDS,), N_TOKENS).index_fill(0, torch.tensor([7, 9]), 4)


def make_encoder(n_layers: int = 1, dropout: float = 0.0) -> BiLSTMEncoder:
    torch.manual_seed(0)
    pretrained, known = torch.randn(N_WORDS, 3), torch.arange(N_WORDS) > 5
    embedding = WordEmbedding(N_WORDS, 2, pretrained, known)
    return BiLSTMEncoder(embedding, 4, n_layers, dropout, COPIED).double()


def make_words(lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randint(1, N_WORDS, (length,), generator=generator).tolist() for length in lengths]
    return pad(rows), torch.tensor(lengths)


def copy_to_torch(encoder: BiLSTMEncoder) -> nn.LSTM:
    """Return torch's LSTM with the encoder's weights."""
    n_layers, hidden_size = len(encoder.forwards), encoder.memory_size // 2
    reference = nn.LSTM(
        encoder.embedding.size, hidden_size, n_layers, batch_first=True, bidirectional=True, dtype=torch.float64
    )
    weights = {
        f"{name}_l{layer}{suffix}": lstm.get_parameter(f"{name}_l0").detach()
        for lstms, suffix in ((encoder.forwards, ""), (encoder.backwards, "_reverse"))
        for layer, lstm in enumerate(lstms)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    reference.load_state_dict(weights)
    return reference


@pytest.mark.parametrize("n_layers", [1, 2])
def test_equals_torch_on_packed_sequences(n_layers: int) -> None:
    encoder = make_encoder(n_layers)
    words, lengths = make_words([5, 1, 7, 3])
    memory, mask, summary, *_ = encoder(lengths, words)

    reference = copy_to_torch(encoder)
    packed = pack_padded_sequence(encoder.embedding(words), lengths, batch_first=True, enforce_sorted=False)
    outputs, (last, _) = reference(packed)
    expected, _ = pad_packed_sequence(outputs, batch_first=True)
    torch.testing.assert_close(memory[mask], expected[mask])
    # Max pooling, a problem at a time.
    largest = torch.stack([row[:length].amax(0) for row, length in zip(expected, lengths.tolist(), strict=True)])
    expected_summary = torch.cat([last[-2], last[-1]], 1) + largest
    torch.testing.assert_close(summary, expected_summary)
    assert mask.tolist() == [[i < length for i in range(7)] for length in (5, 1, 7, 3)]

    # The gradients too: of everything that a decoder could read.
    coefficients = torch.randn_like(expected) * mask.unsqueeze(2)
    leaves = (encoder.embedding.learned, encoder.embedding.pretrained)
    ours = torch.autograd.grad((memory * coefficients).sum() + summary.sum(), leaves)
    theirs = torch.autograd.grad((expected * coefficients).sum() + expected_summary.sum(), leaves)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their)


@pytest.mark.parametrize("n_layers", [1, 2])
def test_padding_changes_nothing(n_layers: int) -> None:
    encoder = make_encoder(n_layers)
    words, lengths = make_words([4, 6])
    together = encoder(lengths, words)
    padded = encoder(lengths, nn.functional.pad(words, (0, 3)))
    assert padded.memory.shape == (2, 9, 8)
    assert not padded.mask[:, 6:].any()
    for row, length in enumerate(lengths.tolist()):
        alone = encoder(lengths[row : row + 1], words[row : row + 1, :length])
        for encoded in (together, padded):
            torch.testing.assert_close(encoded.memory[row, :length], alone.memory[0], rtol=0, atol=1e-12)
            torch.testing.assert_close(encoded.summary[row], alone.summary[0], rtol=0, atol=1e-12)
            assert encoded.copied[row].tolist()[:length] == alone.copied[0].tolist()
            assert (encoded.copied[row, length:] == N_TOKENS).all()


def test_padding_gets_no_gradient() -> None:
    encoder = make_encoder(n_layers=2)
    words, lengths = make_words([2, 6])
    memory, mask, summary, *_ = encoder(lengths, words)
    (memory[mask].sum() + summary.sum()).backward()
    assert encoder.embedding.learned.grad is not None
    assert encoder.embedding.learned.grad[words[1]].all()
    assert not encoder.embedding.learned.grad[0].any()  # row of <pad>


def test_numbers_name_their_tokens() -> None:
    encoded = make_encoder()(torch.tensor([3]), torch.tensor([[9, 3, 7, 0]]))
    assert encoded.copied.tolist() == [[4, N_TOKENS, 4, N_TOKENS]]


def test_order_of_words_matters_to_both_ends() -> None:
    encoder = make_encoder()
    words = torch.tensor([[6, 7, 8], [8, 7, 6]])
    summary = encoder(torch.tensor([3, 3]), words).summary
    assert not torch.allclose(summary[0], summary[1])


def test_dropout_acts_in_training_alone() -> None:
    encoder = make_encoder(n_layers=2, dropout=0.5)
    words, lengths = make_words([30])
    memory = encoder(lengths, words).memory
    assert 0.3 < (memory == 0).double().mean() < 0.7
    encoder.eval()
    first, second = encoder(lengths, words), encoder(lengths, words)
    assert first.memory.all()
    torch.testing.assert_close(first.summary, second.summary, rtol=0, atol=0)


def test_embedding_is_pretrained_and_learned_side_by_side() -> None:
    torch.manual_seed(0)
    pretrained, known = 10 * torch.randn(200, 30), torch.arange(200) % 2 == 0
    embedding = WordEmbedding(200, 4, pretrained, known)
    assert embedding.size == 34
    vectors = embedding(torch.tensor([[0, 1], [2, 0]]))
    assert vectors.shape == (2, 2, 34)
    torch.testing.assert_close(vectors[1, 0, :30], pretrained[2])
    torch.testing.assert_close(vectors[0, 0], vectors[1, 1])
    # Words that GloVe lacks start as large as those that it has, and not alike.
    unknown = embedding.pretrained[~known]
    assert unknown.std().item() == pytest.approx(pretrained[known].std().item(), rel=0.05)
    assert not torch.allclose(unknown[0], unknown[1])


def test_embedding_without_pretrained_vectors() -> None:
    embedding = WordEmbedding(5, 4)
    assert embedding.size == 4
    assert embedding(torch.tensor([[1, 2, 3]])).shape == (1, 3, 4)


@pytest.mark.parametrize("n_rows", [4, 6])
def test_embedding_refuses_the_wrong_number_of_rows(n_rows: int) -> None:
    with pytest.raises(ValueError, match="expected 5 rows each"):
        WordEmbedding(5, 4, torch.zeros(n_rows, 3), torch.zeros(5, dtype=torch.bool))
    with pytest.raises(ValueError, match="expected 5 rows each"):
        WordEmbedding(5, 4, torch.zeros(5, 3), torch.zeros(n_rows, dtype=torch.bool))
    with pytest.raises(ValueError, match="expected 5 rows each"):
        WordEmbedding(5, 4, torch.zeros(5, 3), None)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("optimizer_name", ["adamw", "sgd"])
def test_frozen_rows_never_move(frozen: bool, optimizer_name: str) -> None:
    torch.manual_seed(0)
    known = torch.tensor([False, False, True, True, True])
    # A copy, as a training on several devices makes of a model.
    encoder = deepcopy(BiLSTMEncoder(WordEmbedding(5, 2, torch.randn(5, 3), known, frozen), 4, 1, 0.0, COPIED))
    embedding = encoder.embedding
    before, learned_before = embedding.pretrained.detach().clone(), embedding.learned.detach().clone()
    section = OptimizerSection(name=optimizer_name, learning_rate=0.1, weight_decay=0.5)
    optimizer = build_optimizer(encoder, section)
    words = torch.tensor([[1, 2, 3, 1]])  # neither 0 nor 4
    for _ in range(3):
        encoder(torch.tensor([4]), words).memory.pow(2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    moved = (embedding.pretrained != before).any(1)
    assert moved.tolist() == [False, True, not frozen, not frozen, False]
    assert (embedding.learned != learned_before).any(1).tolist() == [False, True, True, True, False]
