"""The math half on a device of its own: the same losses, scores, programs and maps as on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from myna.config import MathConfig, check
from myna.mathqa import prediction
from myna.mathqa.attention_maps import delete_words, map_attention
from myna.mathqa.bert import BertEncoder
from myna.mathqa.problems import Problem
from myna.mathqa.task import MathModel, MathTask

CPU = torch.device("cpu")
SMALL = {"glove": "none", "learned_size": 8, "encoder_size": 8, "decoder_size": 16, "token_size": 8, "dropout": 0.0}
MODELS: dict[str, dict[str, Any]] = {
    "lstm_lstm": {"type": "lstm_lstm"},
    "luong": {"type": "lstm_lstm_attn", "attention": "luong"},
    "bahdanau, fed back": {"type": "lstm_lstm_attn", "attention": "bahdanau", "input_feeding": True},
    "retrieval": {"type": "retrieval_lstm_attn"},
    "frozen": {"type": "bert_lstm_attn_frozen"},
    "tuned": {"type": "bert_lstm_attn_tuned"},
}


@pytest.fixture(autouse=True)
def _soon_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Untrained models seldom close a program."""
    monkeypatch.setattr(prediction, "MAX_STEPS", 12)


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def task(request: pytest.FixtureRequest, eight_problems: list[Problem], tiny_bert: Path) -> MathTask:
    """A model that has learned nothing, and may be fed its own tokens while it learns."""
    model = {**SMALL, **request.param}
    if model["type"].startswith("bert"):
        model["bert"] = {"source": str(tiny_bert), "frozen_layers": 2}
    values = {"model": model, "data": {"min_word_count": 1}, "teacher_forcing": {"ratio": 1.0}}
    return MathTask(check(MathConfig, values, "test"), eight_problems, eight_problems)


def test_learns_the_same(task: MathTask, far: torch.device, learn: Callable[..., list[float]]) -> None:
    losses = {}
    start = {name: tensor.clone() for name, tensor in task.model.state_dict().items()}
    for device in (CPU, far):
        task.model.load_state_dict(start)
        losses[device] = learn(task, device, [range(8)] * 3, 0.02)
    assert losses[CPU][2] < losses[CPU][0]
    assert losses[far] == pytest.approx(losses[CPU], rel=1e-3)


@pytest.mark.parametrize("form", ["parallel", "stepwise"])
def test_feeds_and_drops_words_there(task: MathTask, form: str, far: torch.device) -> None:
    forcing = task.config.teacher_forcing.model_copy(update={"ratio": 0.5, "form": form})
    dropped = 0.3 if task.config.model.type == "lstm_lstm" else 0.0
    data = task.config.data.model_copy(update={"word_dropout": dropped})
    task.config = task.config.model_copy(update={"teacher_forcing": forcing, "data": data})
    task.model.to(far)
    loss, n_tokens = task.loss(task.model, range(8), far, 0.5)
    (loss / n_tokens).backward()
    assert 1 < float((loss / n_tokens).detach()) < 10


def test_encodes_the_texts_of_a_training_there(
    eight_problems: list[Problem], tiny_bert: Path, far: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = []
    compute = BertEncoder._compute

    def note(encoder: BertEncoder, texts: Any) -> Any:
        devices.append(encoder.copied.device)
        return compute(encoder, texts)

    monkeypatch.setattr(BertEncoder, "_compute", note)
    monkeypatch.setattr("myna.mathqa.task.find_device", lambda: far)
    model = {**SMALL, "type": "bert_lstm_attn_frozen", "bert": {"source": str(tiny_bert)}}
    MathTask(check(MathConfig, {"model": model}, "test"), eight_problems, eight_problems)
    assert set(devices) == {far}


def test_scores_the_same(task: MathTask, far: torch.device) -> None:
    task.model.eval()
    expected = task.evaluate(CPU)
    task.model.to(far)
    assert task.evaluate(far) == pytest.approx(expected, rel=1e-3)


@pytest.fixture
def there(
    task: MathTask,
    tmp_path: Path,
    far: torch.device,
    save_model: Callable[[MathTask, Path], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> MathModel:
    """The task's model, saved and loaded."""
    monkeypatch.setattr("myna.mathqa.task.load_index", lambda *_: getattr(task.reader, "index", None))
    model = MathModel.load(save_model(task, tmp_path))
    assert model.device == far
    return model


@pytest.mark.parametrize("search", prediction.SEARCHES)
def test_a_loaded_model_writes_the_same(task: MathTask, there: MathModel, search: str) -> None:
    texts = [problem.text for problem in task.validation]
    here = MathModel(there.config, task.reader, task.translator.eval())
    answers = [model.predict(texts, beam_size=3, search=search, n_best=3) for model in (there, here)]
    for found, expected in zip(*answers, strict=True):
        assert [each.tokens for each in found] == [each.tokens for each in expected]
        assert [each.probability for each in found] == pytest.approx([each.probability for each in expected], rel=1e-3)


def test_attends_to_the_same(task: MathTask, there: MathModel) -> None:
    if task.config.model.type == "lstm_lstm" or task.config.model.input_feeding:
        pytest.skip("has no attention whose weights can be had")
    here = MathModel(there.config, task.reader, task.translator.eval())
    text, tokens = task.validation[0].text, ["add", "n0", "n1"]
    maps = [map_attention(model, text, tokens).weights for model in (there, here)]
    torch.testing.assert_close(*maps, rtol=1e-3, atol=1e-3)
    areas = [delete_words(model, [text], [tokens], n_steps=2)["areas"] for model in (there, here)]
    assert areas[0] == pytest.approx(areas[1], abs=1e-3)
