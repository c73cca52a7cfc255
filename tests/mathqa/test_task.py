"""Each kind of model learns eight problems by heart, and a model folder gives back what was saved."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from myna.config import MathConfig, TeacherForcingSection
from myna.engine.checkpoint import WEIGHTS
from myna.errors import UserError
from myna.mathqa.batches import collate, encode
from myna.mathqa.prediction import predict
from myna.mathqa.problems import Problem
from myna.mathqa.splits import generate_splits
from myna.mathqa.task import VOCABULARIES, MathModel, MathTask, forcing_ratio
from myna.mathqa.translator import sequence_loss
from myna.mathqa.vocabulary import PAD, SPECIAL_TOKENS, UNKNOWN, Vocabularies, Vocabulary
from myna.runs import CONFIG

CPU = torch.device("cpu")
FULL_FORCING = TeacherForcingSection(ratio=1.0)
SMALL = {"glove": "none", "learned_size": 16, "encoder_size": 24, "decoder_size": 48, "token_size": 16, "dropout": 0.0}
ATTENTIVE = [
    {"type": "lstm_lstm_attn", "attention": attention, "input_feeding": input_feeding}
    for attention in ("luong", "bahdanau")
    for input_feeding in (False, True)
]
WITHOUT_POINTER = {**ATTENTIVE[0], "pointer": False}


def make_config(model: dict[str, Any] | None = None, **sections: Any) -> MathConfig:
    values = {"data": {"min_word_count": 1}, "label_smoothing": 0.0, **sections}
    return MathConfig.model_validate({**values, "model": {**SMALL, **(model or {})}})


def make_problems(n: int = 8) -> list[Problem]:
    """Return problems of the generated sample, no two with the same program where there are enough programs."""
    by_formula = {problem.formula: problem for problem in reversed(generate_sample())}
    return [*by_formula.values(), *generate_sample()][:n]


@cache
def generate_sample() -> list[Problem]:
    return generate_splits().train


@pytest.mark.parametrize("form", ["parallel", "stepwise"])
@pytest.mark.parametrize(
    "model", [{"type": "lstm_lstm"}, *ATTENTIVE, WITHOUT_POINTER], ids=lambda model: "-".join(map(str, model.values()))
)
def test_learns_eight_problems_by_heart(model: dict[str, Any], form: str, learn: Callable[..., Any]) -> None:
    problems = make_problems()
    assert len({problem.formula for problem in problems}) == 8
    task = MathTask(make_config(model, teacher_forcing={"ratio": 0.6, "form": form}), problems, problems)
    before = task.evaluate(CPU)
    assert before["exact_match"] == 0
    learn(task, n_steps=40)
    after = task.evaluate(CPU)
    assert after["exact_match"] == after["token_match"] == after["execution_accuracy"] == 1
    assert 0 <= after["loss"] < 0.1 < before["loss"]


@pytest.fixture(scope="module")
def learned(learn: Callable[..., Any]) -> MathTask:
    """A model that has learned a little."""
    task = MathTask(make_config(ATTENTIVE[0], label_smoothing=0.1), make_problems(), make_problems(24))
    learn(task, n_steps=15)
    return task


def test_loss_is_finite_and_that_of_the_tokens_training_knows(learned: MathTask) -> None:
    strange = Problem("what is 3 to the power 2 ?", "power(n0,n1)|", 9.0)
    problems = [*learned.validation, learned.validation[0], strange]
    task = MathTask(learned.config, make_problems(), problems)
    task.translator.load_state_dict(learned.translator.state_dict())
    task.model.eval()
    total = n_tokens = 0.0
    for example in encode(problems, task.vocabularies, task.reader):
        if UNKNOWN not in example.tokens:
            batch = collate([example])
            with torch.no_grad():
                loss, weight = sequence_loss(task.translator(batch), batch.targets, batch.weights)
            total, n_tokens = total + loss.item(), n_tokens + weight.item()
    scores = task.evaluate(CPU)
    assert scores["loss"] == pytest.approx(total / n_tokens, rel=1e-4)
    assert set(scores) == {"loss", "exact_match", "execution_accuracy", "token_match"}
    assert scores[task.score_name] <= scores["token_match"]


def test_training_loss_does_not_depend_on_how_a_batch_is_cut(learned: MathTask) -> None:
    task = MathTask(
        learned.config.model_copy(update={"teacher_forcing": FULL_FORCING}), make_problems(24), make_problems()
    )
    whole = torch.stack(task.loss(task.model, range(len(task.examples)), CPU))
    parts = [torch.stack(task.loss(task.model, [index], CPU)) for index in range(len(task.examples))]
    torch.testing.assert_close(torch.stack(parts).sum(0), whole, rtol=1e-4, atol=0)
    assert whole[1] == sum(example.weight * (len(example.tokens) + 1) for example in task.examples)


def test_examples_are_folded_if_asked() -> None:
    twins = [Problem("Add 1 and 2", "add(n0,n1)|", 3.0), Problem("add 3 and 4", "add(n0,n1)|", 7.0)]
    folded = MathTask(make_config(), twins, twins)
    assert [example.weight for example in folded.examples] == [2]
    copies = MathTask(make_config(data={"fold": False, "min_word_count": 1}), twins, twins)
    assert [example.weight for example in copies.examples] == [1, 1]


def test_limit_takes_the_first_problems() -> None:
    problems = make_problems(20)
    task = MathTask(make_config(data={"limit": 3, "min_word_count": 1}), problems, problems)
    assert task.vocabularies.tokens.tokens == MathTask(make_config(), problems[:3], problems).vocabularies.tokens.tokens
    assert sum(example.weight for example in task.examples) == 3


def test_batches_follow_seed_and_epoch() -> None:
    problems = generate_sample()[:200]
    task = MathTask(make_config(training={"batch_size": 16, "seed": 5}), problems, problems[:1])
    groups = task.batches(0)
    assert sorted(index for group in groups for index in group) == list(range(len(task.examples)))
    assert max(map(len, groups)) == 16
    assert task.batches(0) == groups != task.batches(1)


def test_weights_follow_the_seed() -> None:
    def weights(seed: int) -> torch.Tensor:
        task = MathTask(make_config(training={"seed": seed}), make_problems(), make_problems())
        return torch.cat([parameter.flatten() for parameter in task.model.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_word_dropout_hides_words_but_no_number_and_no_padding() -> None:
    problems = make_problems(24)
    task = MathTask(make_config(data={"word_dropout": 0.25, "min_word_count": 1}), problems, problems)
    batch = collate(task.examples * 20)
    torch.manual_seed(0)
    dropped = task._drop_words(batch)
    [after], [before] = dropped.source, batch.source
    changed = after != before
    assert (after[changed] == UNKNOWN).all()
    assert torch.equal(after == PAD, before == PAD)
    numbers = torch.isin(before, torch.tensor(task.vocabularies.number_ids()))
    assert numbers.sum() > 100
    assert not changed[numbers].any()
    assert changed.sum().item() / (~numbers & (before != PAD)).sum().item() == pytest.approx(0.25, abs=0.02)
    assert torch.equal(dropped.inputs, batch.inputs)
    assert torch.equal(dropped.targets, batch.targets)


def test_model_folder_gives_back_the_model(learned: MathTask, tmp_path: Path, save_model: Callable[..., Any]) -> None:
    folder = save_model(learned, tmp_path / "model")
    model = MathModel.load(folder)
    assert model.config == learned.config
    assert not model.translator.training
    texts = [problem.text for problem in learned.validation]
    settings = {"beam_size": 3, "n_best": 3, "search": "execution"}
    expected = predict(learned.translator, learned.reader, texts, **settings)
    assert predict(model.translator, model.reader, texts, **settings) == expected
    assert len({best[0].text for best in expected if best}) > 1


def test_run_folder_gives_its_best_model(learned: MathTask, tmp_path: Path, save_model: Callable[..., Any]) -> None:
    save_model(learned, tmp_path / "run" / "best")
    model = MathModel.load(tmp_path / "run")
    weights = learned.translator.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.translator.state_dict().items())


def test_model_folder_with_glove_needs_glove_no_more(
    tmp_path: Path, learn: Callable[..., Any], save_model: Callable[..., Any]
) -> None:
    source = tmp_path / "glove.3d.txt"
    source.write_text("what 1 2 3\nis 4 5 6\n? 7 8 9\nof -1 -2 -3\n", encoding="utf-8")
    task = MathTask(make_config({"glove": str(source)}), make_problems(), make_problems())
    assert task.config.model.glove_size == 3
    learn(task, n_steps=3)
    row = task.vocabularies.words.ids(["what"])[0]
    assert task.translator.encoder.embedding.pretrained[row].tolist() == [1, 2, 3]
    folder = save_model(task, tmp_path / "model")
    source.unlink()
    model = MathModel.load(folder)
    before = model.translator.encoder.embedding.pretrained.detach().clone()
    assert torch.equal(before, task.translator.encoder.embedding.pretrained)
    # What was frozen is still frozen.
    task.translator = task.model = model.translator
    learn(task, n_steps=3)
    moved = (model.translator.encoder.embedding.pretrained != before).any(1)
    assert not moved[task.vocabularies.words.ids(["what", "is", "?", "of"])].any()
    assert moved.any()


def test_missing_glove_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.glove: .*none\.txt: cannot be read"):
        MathTask(make_config({"glove": str(tmp_path / "none.txt")}), make_problems(), make_problems())


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        (CONFIG, None, "no config.toml; expected the folder of a run or of a model"),
        (CONFIG, "study = ", "config.toml: not TOML"),
        (CONFIG, "[model]\ndecoder_sise = 8", "config.toml: model.decoder_sise: unknown; did you mean decoder_size?"),
        (VOCABULARIES, None, "vocab.json: no such file"),
        (VOCABULARIES, "{", "vocab.json: line 2, column 1: not JSON"),
        (VOCABULARIES, '{"words": []}', "vocab.json: tokens: expected a list of texts"),
        (VOCABULARIES, '{"words": ["a"], "tokens": ["b"]}', "model.safetensors: of another model or size"),
        (WEIGHTS, None, "model.safetensors: no such file"),
        (WEIGHTS, "{", "model.safetensors: not a safetensors file"),
    ],
)
def test_broken_model_folder_is_told_in_one_line(
    learned: MathTask, tmp_path: Path, file: str, content: str | None, reason: str, save_model: Callable[..., Any]
) -> None:
    folder = save_model(learned, tmp_path / "model")
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content + "\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        MathModel.load(folder)
    assert str(folder) in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_another_size_are_refused(learned: MathTask, tmp_path: Path, save_model: Callable[..., Any]) -> None:
    folder = save_model(learned, tmp_path / "model")
    text = (folder / CONFIG).read_text(encoding="utf-8")
    assert "decoder_size = 48" in text
    (folder / CONFIG).write_text(text.replace("decoder_size = 48", "decoder_size = 32"), encoding="utf-8")
    with pytest.raises(UserError, match="of another model or size: decoder"):
        MathModel.load(folder)


def test_settings_that_do_not_go_together_are_refused() -> None:
    problems = make_problems()
    with pytest.raises(UserError, match=r"model\.input_feeding: lstm_lstm has no attention"):
        MathTask(make_config({"type": "lstm_lstm", "input_feeding": True}), problems, problems)
    with pytest.raises(UserError, match=r"model\.learned_size: 0 with model\.glove = 'none'"):
        MathTask(make_config({"learned_size": 0}), problems, problems)


def test_problems_are_needed() -> None:
    problems = make_problems()
    for training, validation in (([], problems), (problems, [])):
        with pytest.raises(UserError, match="no problems"):
            MathTask(make_config(), training, validation)
    with pytest.raises(UserError, match="no linear_formula to learn from"):
        MathTask(make_config(), [*problems, Problem("why ?")], problems)
    with pytest.raises(UserError, match=r"no answer to score against in problem: 2 [+] 3"):
        MathTask(make_config(), problems, [*problems, Problem("2 + 3 ?", "add(n0,n1)|")])


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_constant_forcing_does_not_depend_on_progress(progress: float) -> None:
    assert forcing_ratio(TeacherForcingSection(ratio=0.6), progress) == 0.6


@pytest.mark.parametrize("ratio", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("schedule", ["linear", "inverse_sigmoid"])
def test_scheduled_forcing_comes_down_from_1_to_the_ratio(schedule: Any, ratio: float) -> None:
    section = TeacherForcingSection(ratio=ratio, schedule=schedule)
    ratios = [forcing_ratio(section, step / 20) for step in range(21)]
    assert (ratios[0], ratios[10], ratios[20]) == pytest.approx((1, (1 + ratio) / 2, ratio))
    if ratio < 1:
        assert all(before > after for before, after in pairwise(ratios))
    # Both sides of the middle are alike.
    assert [a + b for a, b in zip(ratios, ratios[::-1], strict=True)] == pytest.approx([1 + ratio] * 21)
    quarter = 0.75 if schedule == "linear" else 1 - (1 / (1 + math.exp(2.5)) - 1 / (1 + math.exp(5))) / math.tanh(2.5)
    assert ratios[5] == pytest.approx(ratio + (1 - ratio) * quarter)


def test_progress_decides_how_often_the_reference_is_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    forcing = {"ratio": 0.2, "schedule": "linear"}
    task = MathTask(make_config(teacher_forcing=forcing), make_problems(), make_problems())
    fed: list[float] = []
    forward = task.translator.forward
    monkeypatch.setattr(task.translator, "forward", lambda b, ratio, form: fed.append(ratio) or forward(b, ratio, form))
    for progress in (0.0, 0.5, 1.0):
        task.loss(task.model, [0], CPU, progress)
    assert fed == pytest.approx([1.0, 0.6, 0.2])


def test_a_training_starts_from_what_fits_of_another(
    tmp_path: Path, learn: Callable[..., Any], save_model: Callable[..., Any]
) -> None:
    problems = make_problems(24)
    first = MathTask(make_config(model={"decoder_size": 24}), problems, problems)
    learn(first, n_steps=2)
    folder = save_model(first, tmp_path / "first")
    task = MathTask(make_config(start_from=str(folder), training={"seed": 3}), problems, problems)
    fresh = MathTask(make_config(training={"seed": 3}), problems, problems).translator.state_dict()
    n_taken = 0
    for name, tensor in task.translator.state_dict().items():
        old = first.translator.state_dict()[name]
        n_taken += old.shape == tensor.shape
        assert torch.equal(tensor, old if old.shape == tensor.shape else fresh[name]), name
    assert 0 < n_taken < len(fresh)


def test_a_training_starts_from_no_model_of_other_words_or_tokens(
    tmp_path: Path, save_model: Callable[..., Any]
) -> None:
    problems = make_problems(24)
    folder = save_model(MathTask(make_config(), problems, problems), tmp_path / "first")
    vocabularies = Vocabularies.load(folder / VOCABULARIES)
    for kind in ("words", "tokens"):
        texts = list(getattr(vocabularies, kind).tokens[len(SPECIAL_TOKENS) :])
        # As many, in another order: all shapes are the same, and the rows stand for others.
        swapped = replace(vocabularies, **{kind: Vocabulary([*texts[1:], texts[0]])})
        swapped.save(folder / VOCABULARIES)
        with pytest.raises(UserError, match=rf"^start_from: .*first: knows \d+ {kind}, not the \d+ of the training"):
            MathTask(make_config(start_from=str(folder)), problems, problems)


def test_what_a_training_starts_from_must_be_finished(tmp_path: Path) -> None:
    (tmp_path / "base" / "best").mkdir(parents=True)
    (tmp_path / "base" / "best" / "config.toml").touch()
    with pytest.raises(UserError, match="base: this run is not finished"):
        MathTask(make_config(start_from=str(tmp_path / "base")), make_problems(), make_problems())


def test_what_a_training_starts_from_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        MathTask(make_config(start_from="nowhere"), make_problems(), make_problems())
