"""The encoder of a problem and its neighbours' programs, by hand; and the model that copies from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from myna.config import MathConfig
from myna.errors import UserError
from myna.mathqa.batches import Example, collate, collate_sources
from myna.mathqa.decoder import LSTMDecoder
from myna.mathqa.encoders import BiLSTMEncoder, Encoded, WordEmbedding
from myna.mathqa.prediction import predict
from myna.mathqa.problems import Problem, mask, program_tokens
from myna.mathqa.readers import NeighbourReader, Source
from myna.mathqa.retrieval import RetrievalEncoder
from myna.mathqa.task import MathModel, MathTask
from myna.mathqa.translator import Translator
from myna.mathqa.vocabulary import END

CPU = torch.device("cpu")
N_WORDS, N_TOKENS, SIZE = 12, 9, 5
COPIED = torch.full((N_WORDS,), N_TOKENS).index_copy(0, torch.tensor([5, 8]), torch.tensor([4, 7]))
SOURCES: list[Source] = [
    # Words; then tokens, ranks, degrees, and the words left and right.
    ((4, 5, 6), (5, 4, END, 6, END), (1, 1, 1, 2, 2), (12, 12, 12, 3, 3), (0, 7, 0, 0, 0), (0, 8, 0, 0, 0)),
    ((8, 9), (7, END), (1, 1), (1, 1), (9, 0), (0, 0)),
    ((8,), (END,), (0,), (0,), (0,), (0,)),
]


def make_encoder(dropout: float = 0.0) -> RetrievalEncoder:
    torch.manual_seed(0)
    words = BiLSTMEncoder(WordEmbedding(N_WORDS, 3), hidden_size=2, n_layers=1, dropout=dropout, copied=COPIED)
    encoder = RetrievalEncoder(words, N_TOKENS, 2, SIZE, dropout)
    for embedding in (encoder.tokens, encoder.ranks, encoder.degrees):
        nn.init.normal_(embedding.weight)
    nn.init.normal_(words.embedding.learned)
    return encoder.double()


def encode(encoder: RetrievalEncoder, sources: list[Source]) -> Encoded:
    parts, lengths = collate_sources(sources)
    encoded: Encoded = encoder(lengths, *parts)
    return encoded


def rows_by_hand(encoder: RetrievalEncoder, source: Source) -> Tensor:
    """Return the memory's rows of the programs of one problem, (P, M)."""
    learned = encoder.words.embedding.learned
    rows = []
    for token, rank, degree, left, right in zip(*source[1:], strict=True):
        row = encoder.tokens.weight[token] + encoder.ranks.weight[rank] + encoder.degrees.weight[degree]
        if left:
            row = row + encoder.left.weight @ learned[left]
        if right:
            row = row + encoder.right.weight @ learned[right]
        rows.append(row)
    nothing = torch.zeros(SIZE, dtype=torch.float64)
    around = [nothing, *rows, nothing]
    filters, bias = encoder.beside.weight, encoder.beside.bias
    memory = []
    for place, row in enumerate(rows):
        beside = sum((filters[:, :, i] @ around[place + i] for i in range(3)), start=bias)
        memory.append(torch.tanh(encoder.widen(torch.cat([row, torch.relu(beside)]))))
    return torch.stack(memory)


# The encoder


@pytest.mark.parametrize("row", range(len(SOURCES)))
def test_rows_by_hand(row: int) -> None:
    encoder = make_encoder()
    encoded = encode(encoder, [SOURCES[row]])
    n_words = len(SOURCES[row][0])
    words = encoder.words(torch.tensor([n_words]), torch.tensor([SOURCES[row][0]]))
    assert encoder.memory_size == encoded.memory.shape[2] == 4
    torch.testing.assert_close(encoded.memory[:, :n_words], words.memory)
    torch.testing.assert_close(encoded.memory[0, n_words:], rows_by_hand(encoder, SOURCES[row]))
    # The summary also says how near the nearest program is.
    torch.testing.assert_close(encoded.summary, words.summary + encoder.nearest.weight[SOURCES[row][3][0]])
    assert encoded.mask.all()


def test_rows_stand_for_their_tokens_and_programs_begin_at_a_new_rank() -> None:
    encoded = encode(make_encoder(), SOURCES)
    none = N_TOKENS
    assert encoded.copied.tolist() == [
        [none, 4, none, 5, 4, END, 6, END],
        [7, none, none, 7, END, none, none, none],
        [7, none, none, END, none, none, none, none],
    ]
    assert encoded.programs is not None
    assert encoded.programs.tolist() == [[0, 0, 0, 1, 2, 2, 1, 2], [0, 0, 0, 1, 2, 0, 0, 0], [0, 0, 0, 2, 0, 0, 0, 0]]
    assert encoded.mask.tolist() == [
        [True] * 8,
        [True, True, False, True, True, False, False, False],
        [True, False, False, True, False, False, False, False],
    ]


def test_a_program_is_trusted_by_its_degree() -> None:
    encoder = make_encoder()
    encoded = encode(encoder, SOURCES)
    assert encoded.trust is not None
    expected = [[0, 0, 0, 1, 1, 1, 0.25, 0.25], [0, 0, 0, 1 / 12, 1 / 12, 0, 0, 0], [0] * 8]
    torch.testing.assert_close(encoded.trust, torch.tensor(expected, dtype=torch.float64))
    # How far it is trusted is learned.
    encoded.trust.sum().backward()
    assert encoder.trust.weight.grad is not None
    assert encoder.trust.weight.grad.flatten().nonzero().flatten().tolist() == [0, 1, 3, 12]


def test_padding_and_company_change_nothing() -> None:
    encoder = make_encoder()
    together = encode(encoder, SOURCES)
    for row, source in enumerate(SOURCES):
        alone = encode(encoder, [source])
        parts, lengths = collate_sources([source])
        wider = encoder(lengths, *(nn.functional.pad(part, (0, 3)) for part in parts))
        for found, place in ((together, row), (wider, 0)):
            assert found.programs is not None
            assert alone.programs is not None
            real = found.mask[place]
            torch.testing.assert_close(found.memory[place][real], alone.memory[0], rtol=0, atol=1e-12)
            torch.testing.assert_close(found.summary[place], alone.summary[0], rtol=0, atol=1e-12)
            assert torch.equal(found.copied[place][real], alone.copied[0])
            assert torch.equal(found.programs[place][real], alone.programs[0])
            assert (found.copied[place][~real] == N_TOKENS).all()
            assert not found.programs[place][~real].any()
            assert found.trust is not None
            assert alone.trust is not None
            assert torch.equal(found.trust[place][real], alone.trust[0])
            assert not found.trust[place][~real].any()


def test_dropout_acts_in_training_alone() -> None:
    encoder = make_encoder(dropout=0.5)
    assert not torch.allclose(encode(encoder, SOURCES).memory, encode(encoder, SOURCES).memory)
    encoder.eval()
    assert torch.equal(encode(encoder, SOURCES).memory, encode(encoder, SOURCES).memory)


def test_a_whole_model_step_by_step_and_whatever_its_company() -> None:
    encoder = make_encoder()
    decoder = LSTMDecoder(N_TOKENS, encoder.memory_size, 4, 6, "luong", pointer="mixture")
    translator = Translator(encoder, decoder).double()
    examples = [
        Example(source, tokens) for source, tokens in zip(SOURCES, [(5, 4, 5), (7,), (4, 4, 8, 5)], strict=True)
    ]
    batch = collate(examples)
    logits = translator(batch)
    torch.testing.assert_close(translator(batch, 1 - 1e-9, "stepwise"), logits)
    for row, example in enumerate(examples):
        alone = translator(collate([example]))[0]
        torch.testing.assert_close(logits[row, : len(alone)], alone)


# The model


def make_config(**sections: Any) -> MathConfig:
    model = {"type": "retrieval_lstm_attn", "glove": "none", "learned_size": 16, "encoder_size": 24}
    sizes = {"decoder_size": 48, "token_size": 16, "dropout": 0.0}
    neighbours = {"n": 2, "size": 16, **sections.pop("neighbours", {})}
    values = {"data": {"min_word_count": 1}, "label_smoothing": 0.0, **sections}
    return MathConfig.model_validate({**values, "model": {**model, **sizes, "neighbours": neighbours}})


def twice(problems: list[Problem], n: int) -> list[Problem]:
    """Return problems and, for each of the first n, another that reads the same but for its numbers."""
    others = [Problem(p.text.translate(str.maketrans("123456789", "234567891")), p.formula) for p in problems[:n]]
    assert [mask(other.text) for other in others] == [mask(problem.text) for problem in problems[:n]]
    return [*problems, *others]


def shown_programs(task: MathTask, source: Source) -> list[tuple[tuple[str, ...], int]]:
    """Return the programs that a source shows, and the degree of each."""
    names = task.vocabularies.tokens.tokens
    programs: dict[int, list[str]] = {}
    degrees: dict[int, int] = {}
    for token, rank, degree in zip(*source[1:4], strict=True):
        programs.setdefault(rank, []).append(names[token])
        degrees[rank] = degree
    assert all(tokens.pop() == names[END] for tokens in programs.values())
    return [(tuple(tokens), degrees[rank]) for rank, tokens in programs.items()]


def test_training_never_shows_a_text_that_occurs_once_its_own_program(eight_problems: list[Problem]) -> None:
    task = MathTask(make_config(neighbours={"exact_ratio": 1.0}), eight_problems, eight_problems)
    assert not task._exact
    for problem, example in zip(eight_problems, task.examples, strict=True):
        own = tuple(program_tokens(problem))
        shown = shown_programs(task, example.source)
        assert len({tokens for tokens, _ in shown}) == len(shown) == 2
        assert own not in {tokens for tokens, _ in shown}
        assert all(1 <= degree < 12 for _, degree in shown)
        # Of the validation, and in use, it does.
        assert shown_programs(task, task.reader(mask(problem.text).split()))[0] == (own, 12)
    assert task._show_exact(task.examples) is task.examples


def test_a_text_that_occurs_twice_sees_its_program_at_the_ratio(eight_problems: list[Problem]) -> None:
    training = twice(eight_problems, 4)
    for ratio in (0.0, 1.0):
        task = MathTask(make_config(neighbours={"exact_ratio": ratio}), training, eight_problems)
        assert len(task.examples) == 8
        assert [example.weight for example in task.examples] == [2, 2, 2, 2, 1, 1, 1, 1]
        torch.manual_seed(0)
        for number, example in enumerate(task._show_exact(task.examples)):
            own = tuple(program_tokens(eight_problems[number]))
            exact = [tokens for tokens, degree in shown_programs(task, example.source) if degree == 12]
            assert exact == ([own] if ratio and number < 4 else [])
            assert (example.tokens, example.weight) == (task.examples[number].tokens, task.examples[number].weight)


def test_the_ratio_is_drawn_anew_for_each_example(eight_problems: list[Problem]) -> None:
    task = MathTask(make_config(neighbours={"exact_ratio": 0.25}), twice(eight_problems, 4), eight_problems)
    torch.manual_seed(0)
    shown = task._show_exact(task.examples[:4] * 500)
    exact = [example.source[3][0] == 12 for example in shown]
    assert sum(exact) / 2000 == pytest.approx(0.25, abs=0.03)
    assert len({tuple(exact[start : start + 4]) for start in range(0, 2000, 4)}) == 16


@pytest.mark.parametrize("pointer", [True, False])
def test_learns_eight_problems_by_heart_and_is_saved_with_what_it_looks_up(
    tmp_path: Path,
    eight_problems: list[Problem],
    pointer: bool,
    learn: Callable[..., Any],
    save_model: Callable[..., Any],
    write_training: Callable[..., Any],
) -> None:
    config = make_config()
    config = config.model_copy(update={"model": config.model.model_copy(update={"pointer": pointer})})
    task = MathTask(config, twice(eight_problems, 8), eight_problems)
    assert task.translator.decoder.gate is not None if pointer else task.translator.decoder.pointer is None
    before = task.evaluate(CPU)
    # One that copies knows what it sees to begin with.
    assert pointer or before["exact_match"] == 0
    learn(task, n_steps=100)
    after = task.evaluate(CPU)
    assert after["exact_match"] == after["token_match"] == after["execution_accuracy"] == 1
    assert 0 <= after["loss"] < 0.1 < before["loss"]

    folder = save_model(task, tmp_path / "model")
    data = write_training(tmp_path / "data", twice(eight_problems, 8))
    model = MathModel.load(folder, data)
    assert model.config == task.config
    assert isinstance(model.reader, NeighbourReader)
    assert model.config.model.neighbours.sha256 == model.reader.index.fingerprint()
    texts = [problem.text for problem in eight_problems] + ["how many 3 apples and 4 ?"]
    settings: dict[str, Any] = {"beam_size": 3, "n_best": 3, "search": "grammar"}
    expected = predict(task.translator, task.reader, texts, **settings)
    assert predict(model.translator, model.reader, texts, **settings) == expected


def test_other_training_problems_are_refused(
    tmp_path: Path, eight_problems: list[Problem], save_model: Callable[..., Any], write_training: Callable[..., Any]
) -> None:
    task = MathTask(make_config(), eight_problems, eight_problems)
    folder = save_model(task, tmp_path / "model")
    with pytest.raises(UserError) as caught:
        MathModel.load(folder, write_training(tmp_path / "data", eight_problems[:7]))
    message, expected = str(caught.value), task.config.model.neighbours.sha256[:12]
    assert message.startswith("model.neighbours: the training problems here have the hash ")
    assert f"the model looks up those of {expected}, the ones that it was trained on" in message
    assert message.endswith("name their folder with --data or $MYNA_DATA")


def test_limit_limits_what_is_looked_up(eight_problems: list[Problem]) -> None:
    task = MathTask(make_config(data={"limit": 3, "min_word_count": 1}), eight_problems, eight_problems)
    assert isinstance(task.reader, NeighbourReader)
    programs = {tuple(program_tokens(problem)) for problem in eight_problems[:3]}
    shown = {tokens for example in task._validation_examples for tokens, _ in shown_programs(task, example.source)}
    assert shown == programs
