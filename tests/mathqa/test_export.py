"""A translator as two ONNX graphs."""

import json
import re

import numpy as np
import pytest

from myna.config import MathConfig, check
from myna.engine.onnx import ABOUT, TOLERANCE
from myna.mathqa.export import ENCODER, README, STEP, export
from myna.mathqa.prediction import predict
from myna.mathqa.problems import mask
from myna.mathqa.splits import generate_splits
from myna.mathqa.task import MathModel, MathTask

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

SIZES = {"glove": "none", "learned_size": 12, "encoder_size": 16, "decoder_size": 24, "token_size": 8, "dropout": 0.0}
KINDS = {
    "plain": {"type": "lstm_lstm"},
    "luong": {"type": "lstm_lstm_attn", "encoder_layers": 2},
    "bahdanau": {"type": "lstm_lstm_attn", "attention": "bahdanau", "pointer": False, "input_feeding": True},
    "retrieval": {"type": "retrieval_lstm_attn", "neighbours": {"n": 2, "size": 8}},
    "unpointed": {"type": "retrieval_lstm_attn", "neighbours": {"n": 2, "size": 8}, "pointer": False},
}


def make_task(problems, **model):
    config = check(MathConfig, {"model": {**SIZES, **model}, "training": {"batch_size": 8}}, "test")
    return MathTask(config, problems, problems)


def as_model(task):
    return MathModel(task.config, task.reader, task.translator.eval())


def decode(folder, source, n_steps=12):
    """Write a program greedily with onnxruntime and NumPy alone; return its tokens."""
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    encoder, step = (onnxruntime.InferenceSession(folder / name) for name in (ENCODER, STEP))
    rows = [[len(source[0])], *([row] for row in source)]
    inputs = dict(zip(about["encoder_inputs"], map(np.array, rows), strict=True))
    parts = dict(zip(about["encoder_outputs"], encoder.run(None, inputs), strict=True))
    token_id, program = about["start_id"], []
    while len(program) < n_steps:
        log_probabilities, *state = step.run(None, {"token_ids": np.array([[token_id]]), **parts})
        parts |= dict(zip(about["state"], state, strict=True))
        token_id = int(log_probabilities.argmax())
        if token_id == about["end_id"]:
            break
        program.append(about["tokens"][token_id])
    return program


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_greedy_decoding_in_onnxruntime_writes_the_programs_of_torch(kind, eight_problems, learn, tmp_path):
    task = make_task(eight_problems, **KINDS[kind])
    learn(task, 40)
    model = as_model(task)
    assert export(model, tmp_path / "out") <= TOLERANCE
    texts = [problem.text for problem in eight_problems[:4]] + [problem.text for problem in generate_splits().dev[:4]]
    expected = [list(found[0].tokens) for found in predict(model.translator, model.reader, texts, beam_size=1)]
    assert len({tuple(tokens) for tokens in expected}) > 2
    for text, tokens in zip(texts, expected, strict=True):
        program = decode(tmp_path / "out", model.reader(mask(text).split()))
        assert program[:12] == tokens[:12]


@pytest.mark.parametrize("model_type", ["bert_lstm_attn_frozen", "bert_lstm_attn_tuned"])
def test_all_layers_of_a_bert_are_in_its_graph(model_type, eight_problems, tiny_bert, learn, tmp_path):
    pytest.importorskip("transformers")
    bert = {"source": str(tiny_bert), "frozen_layers": 1}
    task = make_task(eight_problems, type=model_type, bert=bert)
    learn(task, 20)
    model = as_model(task)
    assert export(model, tmp_path / "out") <= TOLERANCE
    texts = [problem.text for problem in eight_problems]
    for text, found in zip(texts, predict(model.translator, model.reader, texts, beam_size=1), strict=True):
        assert decode(tmp_path / "out", model.reader(mask(text).split())) == list(found[0].tokens)[:12]


def test_the_readme_writes_a_program(eight_problems, tmp_path, monkeypatch):
    model = as_model(make_task(eight_problems, **KINDS["luong"]))
    export(model, tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    readme = (tmp_path / "out" / README).read_text(encoding="utf-8")
    names = {"print": lambda program: None}
    exec(re.search(r"```python\n(.*?)```", readme, re.DOTALL)[1], names)
    assert names["program"] == decode(tmp_path / "out", model.reader(names["words"]), n_steps=150)


def test_the_readme_of_a_model_that_reads_more_lets_myna_read(
    eight_problems, save_model, write_training, tmp_path, monkeypatch
):
    task = make_task(eight_problems, **KINDS["retrieval"])
    folder = save_model(task, tmp_path / "model")
    monkeypatch.setenv("MYNA_DATA", str(write_training(tmp_path / "data", eight_problems)))
    model = MathModel.load(folder)
    export(model, tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    readme = (tmp_path / "out" / README).read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL)[1].replace("the folder of the model", str(folder))
    names = {"print": lambda program: None}
    exec(code, names)
    source = model.reader(["how", "much", "is", "n0", "percent", "of", "n1", "?"])
    assert names["program"] == decode(tmp_path / "out", source, n_steps=150)
