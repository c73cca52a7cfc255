"""Attention maps against the decoder's own weights, and the deletion test on a model whose needs are known."""

import json

import pytest
import torch

from myna.config import MathConfig, check
from myna.errors import UserError
from myna.mathqa.attention_maps import ORDERS, delete_words, explain, map_attention
from myna.mathqa.problems import Problem, mask
from myna.mathqa.splits import generate_splits
from myna.mathqa.task import MathModel, MathTask
from myna.mathqa.vocabulary import UNKNOWN

TINY = {"glove": "none", "learned_size": 8, "encoder_size": 8, "decoder_size": 16, "token_size": 8}


def build(**model):
    splits = generate_splits()
    task = MathTask(check(MathConfig, {"model": TINY | model}, "test"), splits.train[:80], splits.dev[:5])
    return MathModel(task.config, task.reader, task.translator.eval()), splits.dev[:5]


def test_a_map_has_a_row_for_each_token_and_its_rows_sum_to_1():
    model, (problem, *_) = build()
    found = map_attention(model, problem.text, ["add", "n0", "n1"])
    assert found.tokens == ["add", "n0", "n1", "</s>"]
    assert found.weights.shape == (4, len(found.words))
    torch.testing.assert_close(found.weights.sum(1), torch.ones(4))
    assert "n0" in found.words


def test_a_map_is_what_the_decoder_attends_to():
    model, (problem, *_) = build()
    found = map_attention(model, problem.text, ["add", "n0"])
    words = torch.tensor([model.vocabularies.word_ids(found.words)])
    with torch.inference_mode():
        state, memory = model.translator.start([words], torch.tensor([words.shape[1]]))
        decoder = model.translator.decoder
        hidden, _ = decoder.lstm(decoder.embedding(torch.tensor([[1]])), tuple(s.transpose(0, 1) for s in state))
        scores = decoder.attention.scores(hidden, memory[0])
    torch.testing.assert_close(found.weights[:1], scores[0].softmax(-1))


@pytest.mark.parametrize("settings", [{"type": "lstm_lstm"}, {"input_feeding": True}])
def test_a_model_without_attention_to_look_at_is_refused(settings):
    model, (problem, *_) = build(**settings)
    with pytest.raises(UserError, match="has no attention to look at"):
        map_attention(model, problem.text, ["add"])


def test_curves_start_together_and_end_together():
    model, problems = build()
    texts = [problem.text for problem in problems]
    found = delete_words(model, texts, [["add", "n0", "n1"]] * 5, n_steps=4)
    assert found["n"] == 5
    assert found["shares"] == [0, 0.25, 0.5, 0.75, 1]
    first, last = ({found["curves"][order][i] for order in ORDERS} for i in (0, -1))
    assert len(first) == len(last) == 1
    assert found == delete_words(model, texts, [["add", "n0", "n1"]] * 5, n_steps=4)


def test_hiding_what_alone_is_needed_hurts_first():
    model, (problem, *_) = build()
    ids = model.vocabularies.word_ids(mask(problem.text).split())
    needed = max(position for position, word_id in enumerate(ids[:-1]) if word_id != UNKNOWN)

    class NeedsOneWord(torch.nn.Module):
        """Stands for a translator that attends to one word alone, and believes in "add" while it can read it."""

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))  # says on which device it is

        @property
        def decoder(self):
            return self

        def start(self, source, lengths):
            return (), (source[0],)

        def attention_weights(self, tokens, state, memory):
            return torch.eye(memory[0].shape[1])[needed].expand(1, tokens.shape[1], -1)

        def forward(self, tokens, state, memory):
            logits = torch.zeros(*tokens.shape, len(model.vocabularies.tokens))
            logits[..., model.vocabularies.tokens.ids(["add"])[0]] = (
                5.0 * (memory[0][:, needed] != UNKNOWN).float()[:, None]
            )
            return logits, state

    fake = MathModel(model.config, model.reader, NeedsOneWord())
    areas = delete_words(fake, [problem.text], [["add"]], n_steps=len(ids))["areas"]
    assert areas["attention"] < areas["random"] < areas["reversed"]


def test_an_explanation_is_json_with_maps_and_the_deletion_test():
    model, problems = build()
    found = json.loads(json.dumps(explain(model, problems, n_maps=2)))
    assert found["deletion"]["n"] == 5
    assert 1 <= len(found["maps"]) <= 4
    for one in found["maps"]:
        assert len(one["weights"]) == len(one["tokens"])
        assert all(len(row) == len(one["words"]) for row in one["weights"])
        assert one["right"] in (True, False)


def test_problems_to_explain_need_answers(monkeypatch):
    model, (problem, *_) = build()
    monkeypatch.setattr("myna.mathqa.attention_maps.predict", lambda *_, **__: pytest.fail("solved"))
    with pytest.raises(UserError, match="no answer to score against"):
        explain(model, [Problem(problem.text, problem.formula)])


def test_a_model_that_sees_neighbours_has_columns_for_their_programs():
    model, (problem, *_) = build(type="retrieval_lstm_attn")
    found = map_attention(model, problem.text, ["add", "n0"])
    words = mask(problem.text).split()
    assert found.words[: len(words)] == words
    assert found.words[len(words) :][-1] == "</s>"
    assert found.weights.shape == (3, len(found.words))
    torch.testing.assert_close(found.weights.sum(1), torch.ones(3))
    curves = delete_words(model, [problem.text], [["add", "n0"]], n_steps=3)["curves"]
    assert len({curves[order][0] for order in ORDERS}) == 1


@pytest.mark.parametrize("kind", ["bert_lstm_attn_frozen", "bert_lstm_attn_tuned"])
def test_a_model_on_bert_has_a_column_for_each_word_not_for_each_piece(tiny_bert, kind):
    model, problems = build(type=kind, bert={"source": str(tiny_bert)})
    found = map_attention(model, problems[0].text, ["add", "n0"])
    assert found.words == mask(problems[0].text).split()
    assert found.weights.shape == (3, len(found.words))
    torch.testing.assert_close(found.weights.sum(1), torch.ones(3))
    # Hidden words have other numbers of pieces than they had, and all hidden is the same for each order.
    curves = delete_words(model, [problem.text for problem in problems], [["add", "n0"]] * 5, n_steps=3)["curves"]
    first, middle, last = ({curves[order][place] for order in ORDERS} for place in (0, 1, -1))
    assert len(first) == len(last) == 1
    assert len(middle) > 1


def test_hidden_words_are_hidden_from_bert_too(tiny_bert):
    """Of two texts with as many words nothing is left that differs once all are hidden."""
    model, _ = build(type="bert_lstm_attn_frozen", bert={"source": str(tiny_bert)})
    texts = ("how many apples has 3", "what is 3 % of", "what is 3 % of 4")
    a, b, longer = (delete_words(model, [text], [["add", "n0"]], n_steps=2)["curves"]["random"] for text in texts)
    assert a[-1] == b[-1] != longer[-1]
    assert a[0] != b[0]
