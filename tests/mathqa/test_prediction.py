"""From problems to programs: the searches, their order, and what they promise."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from myna.config import MathModelSection
from myna.mathqa import prediction
from myna.mathqa.language.execute import execute_text
from myna.mathqa.language.numbers import find_numbers
from myna.mathqa.language.program import from_tokens
from myna.mathqa.prediction import SEARCHES, Prediction, predict
from myna.mathqa.problems import mask
from myna.mathqa.readers import WordReader
from myna.mathqa.splits import generate_splits
from myna.mathqa.task import build_translator
from myna.mathqa.translator import Translator
from myna.mathqa.vocabulary import END, START, Vocabularies

KINDS = [
    {"type": "lstm_lstm"},
    {"type": "lstm_lstm_attn", "attention": "luong", "input_feeding": True},
    {"type": "lstm_lstm_attn", "attention": "bahdanau"},
]
VOCABULARIES = Vocabularies.build(generate_splits().train, min_word_count=1)
TEXTS = [
    "ravi has 20 apples and buys 7 more . how many apples are there now ?",
    "what is 5 percent of 300 ?",
    "the sides of a box are 2 , 3.5 and 40 cm . what is its volume ?",
    "how many ?",
    "what is the greatest common factor of 1,200 and 18 ?",
    "0 , 0 and 0",
]

READER = WordReader(VOCABULARIES)


def make_translator(seed: int = 0, dropout: float = 0.0, **kind: object) -> Translator:
    """Return a model that has learnt nothing, but has its own opinion of each problem."""
    torch.manual_seed(seed)
    sizes = {"glove": "none", "learned_size": 8, "encoder_size": 8, "decoder_size": 12, "token_size": 8}
    section = MathModelSection(**{**sizes, "dropout": dropout, **(kind or KINDS[2])})  # type: ignore[arg-type]
    translator = build_translator(section, VOCABULARIES)
    nn.init.normal_(translator.decoder.output.weight, std=2.0)
    nn.init.normal_(translator.encoder.embedding.learned, std=2.0)
    return translator


@pytest.fixture(autouse=True)
def _short_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Untrained models seldom end a program."""
    monkeypatch.setattr(prediction, "MAX_STEPS", 20)


def texts_of(predictions: list[list[Prediction]]) -> list[list[str]]:
    return [[found.text for found in best] for best in predictions]


def write_greedily(translator: Translator, text: str) -> tuple[list[str], float, bool]:
    """Decode by hand: the likeliest token, fed back, until the end."""
    words = VOCABULARIES.word_ids(mask(text).split())
    state, memory = translator.start([torch.tensor([words])], torch.tensor([len(words)]))
    token, written, total = START, [], 0.0
    for _ in range(prediction.MAX_STEPS):
        logits, state = translator.decoder.step(torch.tensor([[token]]), state, memory)
        log_probs = logits[0, 0].log_softmax(-1)
        token = int(log_probs.argmax())
        total += float(log_probs[token])
        if token == END:
            return written, total, True
        written.append(VOCABULARIES.tokens.tokens[token])
    return written, total, False


@pytest.mark.parametrize("kind", KINDS)
def test_beam_of_one_is_greedy_decoding(kind: dict[str, object]) -> None:
    translator = make_translator(**kind)
    predictions = predict(translator, READER, TEXTS, beam_size=1)
    with torch.no_grad():
        for text, [found] in zip(TEXTS, predictions, strict=True):
            written, log_probability, ended = write_greedily(translator, text)
            assert (list(found.tokens), found.ended) == (written, ended)
            assert found.probability == pytest.approx(math.exp(log_probability), rel=1e-4)
    assert len({found.tokens for [found] in predictions}) > 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("search", SEARCHES)
def test_company_changes_no_prediction(kind: dict[str, object], search: str) -> None:
    """Problems come back in their order, and neither padding nor a neighbour nor a repetition reaches them."""
    translator = make_translator(**kind)
    settings = {"beam_size": 3, "n_best": 2, "search": search}
    together = predict(translator, READER, TEXTS + TEXTS[::-1], **settings)
    assert texts_of(together[len(TEXTS) :]) == texts_of(together[: len(TEXTS)])[::-1]
    for text, best in zip(TEXTS, together, strict=False):
        [alone] = predict(translator, READER, [text], **settings)
        assert texts_of([alone]) == texts_of([best])
        assert [p.probability for p in best] == pytest.approx([p.probability for p in alone], rel=1e-4)


def test_small_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    translator = make_translator()
    expected = predict(translator, READER, TEXTS, beam_size=3)
    monkeypatch.setattr(prediction, "BATCH_SIZE", 2)
    assert texts_of(predict(translator, READER, TEXTS, beam_size=3)) == texts_of(expected)


def count_decoded(translator: Translator, texts: list[str], search: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many problems the encoder is given."""
    n_encoded: list[int] = []
    with monkeypatch.context() as patch:
        start = translator.start
        patch.setattr(translator, "start", lambda source, n: n_encoded.append(len(n)) or start(source, n))
        predict(translator, READER, texts, beam_size=2, search=search)
    return sum(n_encoded)


def test_equal_queries_are_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    translator = make_translator()
    texts = ["Add 1 and 2", "add 1 and 2", "add 3 and 4"]  # the same masked text
    assert count_decoded(translator, texts, "plain", monkeypatch) == 1
    assert count_decoded(translator, texts, "grammar", monkeypatch) == 1
    assert count_decoded(translator, texts, "execution", monkeypatch) == 2  # the numbers matter


def test_numbers_decide_what_runs() -> None:
    """Programs that divide by zero are passed over where the numbers make them do so."""
    translator = make_translator()
    translator.decoder.output.bias.data[VOCABULARIES.tokens.ids(["divide", "n1"])] += 30.0
    same_words = ["what is 6 of 3 ?", "what is 6 of 0 ?"]
    [three], [zero] = predict(translator, READER, same_words, beam_size=4, search="execution")
    assert three.text.startswith("divide(n1,n1)|")
    assert "divide(n1,n1)" not in zero.text


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_grammar_writes_programs_and_execution_running_ones(kind: dict[str, object], seed: int) -> None:
    translator = make_translator(seed, **kind)
    for search in ("grammar", "execution"):
        predictions = predict(translator, READER, TEXTS, beam_size=3, search=search, n_best=3)
        for text, best in zip(TEXTS, predictions, strict=True):
            for found in best:
                assert found.ended
                program = from_tokens(found.tokens)  # raises unless well-formed
                numbers = [number.value for number in find_numbers(text)]
                if search == "execution":
                    assert execute_text(str(program), numbers).value is not None
                assert all(
                    int(token[1:]) < len(numbers) for token in found.tokens if token[0] == "n" and token[1:].isdigit()
                )


def test_plain_search_of_an_untrained_model_writes_nonsense() -> None:
    """Else the promises of the other two would hold by themselves."""
    found = [best[0].text for best in predict(make_translator(), READER, TEXTS, beam_size=3)]
    assert any(execute_text(text, [1.0, 2.0, 3.0]).value is None for text in found)


@pytest.mark.parametrize("search", SEARCHES)
def test_best_come_first_and_differ(search: str) -> None:
    translator = make_translator()
    # An end that is likely soon, so that there are many to choose from.
    translator.decoder.output.bias.data[END] += 8.0
    for best in predict(translator, READER, TEXTS, beam_size=6, n_best=4, search=search):
        probabilities = [found.probability for found in best]
        assert probabilities == sorted(probabilities, reverse=True)
        assert all(0 <= probability <= 1 for probability in probabilities)
        assert len({found.tokens for found in best}) == len(best) > 1


def test_length_penalty_ranks_by_the_mean() -> None:
    translator = make_translator()
    translator.decoder.output.bias.data[END] += 8.0
    for best in predict(translator, READER, TEXTS, beam_size=6, n_best=4, length_penalty=1.0):
        means = [math.log(found.probability) / (len(found.tokens) + 1) for found in best if found.ended]
        assert len(means) > 1
        assert means == sorted(means, reverse=True)


def test_progress_counts_problems() -> None:
    done: list[int] = []
    predict(make_translator(), READER, TEXTS + TEXTS[:2], beam_size=1, tick=done.append)
    assert sum(done) == len(TEXTS) + 2


@pytest.mark.parametrize("training", [True, False])
def test_dropout_rests_and_the_mode_is_given_back(training: bool) -> None:
    translator = make_translator(dropout=0.5).train(training)
    first, second = (predict(translator, READER, TEXTS, beam_size=2) for _ in range(2))
    assert first == second
    assert translator.training == translator.encoder.training == training


def test_after_an_error_all_is_as_before() -> None:
    translator, n_threads = make_translator().train(), torch.get_num_threads()
    with torch.no_grad():
        translator.decoder.output.bias.fill_(math.nan)
    torch.set_num_threads(2)
    try:
        with pytest.raises(ValueError, match="NaN"):
            predict(translator, READER, TEXTS, beam_size=2)
        assert (translator.training, torch.get_num_threads()) == (True, 2)
    finally:
        torch.set_num_threads(n_threads)


def test_unknown_words_and_empty_texts_are_read() -> None:
    predictions = predict(make_translator(), READER, ["", "???", "ÿ 𝟛 zebra"], beam_size=2)
    assert all(len(best) == 1 for best in predictions)
    assert predict(make_translator(), READER, [], beam_size=2) == []


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="search: 'gramar'; choices: plain, grammar, execution"):
        predict(make_translator(), READER, TEXTS, beam_size=1, search="gramar")
    with pytest.raises(ValueError, match="beam_size must be at least 1, not 0"):
        predict(make_translator(), READER, TEXTS, beam_size=0)


def test_text_of_a_prediction() -> None:
    assert Prediction(("add", "n0", "n1", "sqrt", "#0"), 0.5, True).text == "add(n0,n1)|sqrt(#0)|"
    assert Prediction((), 0.5, True).text == ""
