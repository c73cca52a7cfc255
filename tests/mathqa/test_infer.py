import json
import subprocess
import sys
from pathlib import Path

import pytest

from myna.config import MathConfig, check, save
from myna.engine.checkpoint import WEIGHTS, save_weights
from myna.mathqa.infer import main
from myna.mathqa.splits import generate_splits
from myna.mathqa.task import MathTask
from myna.runs import CONFIG

TINY = {"glove": "none", "learned_size": 8, "encoder_size": 8, "decoder_size": 16, "token_size": 8}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    splits = generate_splits()
    task = MathTask(check(MathConfig, {"model": TINY}, "test"), splits.train[:60], splits.dev[:10])
    save_weights(folder / WEIGHTS, task.model.state_dict(), half=True)
    task.save(folder)
    return folder


def call(model, test_file, model_type="lstm_lstm_attn", beam_size=1):
    arguments = [
        "--model_file",
        model,
        "--beam_size",
        beam_size,
        "--model_type",
        model_type,
        "--test_data_file",
        test_file,
    ]
    return main([str(argument) for argument in arguments])


def test_predicted_is_added_and_all_else_kept(model_folder, tmp_path):
    items = [
        {"id": 7, "Problem": "what is 3 plus 4 ?", "note": "é", "linear_formula": "add(n0,n1)|", "answer": 7},
        {"Problem": "no number here"},
        {"Problem": ""},
    ]
    file = tmp_path / "test.json"
    file.write_text(json.dumps(items), encoding="utf-8")
    assert call(model_folder / WEIGHTS, file) == 0
    written = json.loads(file.read_text(encoding="utf-8"))
    assert [list(item) for item in written] == [[*item, "predicted"] for item in items]
    assert all(isinstance(item.pop("predicted"), str) for item in written)
    assert written == items


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[{", "line 1"),
        ("{}", "expected a list"),
        ('[{"Problem": 3}]', "item 0"),
        ('[{"Problem": "a"}, {}]', "item 1"),
    ],
)
def test_a_broken_file_is_one_line_and_stays_as_it_was(model_folder, tmp_path, capsys, text, expected):
    file = tmp_path / "test.json"
    file.write_text(text)
    assert call(model_folder, file) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert file.read_text() == text


def test_a_model_of_another_type_is_refused(model_folder, tmp_path, capsys):
    file = tmp_path / "test.json"
    file.write_text('[{"Problem": "what is 3 plus 4 ?"}]')
    assert call(model_folder, file, model_type="lstm_lstm") == 2
    assert "holds a lstm_lstm_attn, not the lstm_lstm" in capsys.readouterr().err
    assert "predicted" not in file.read_text()


def test_a_name_that_no_file_can_have_is_one_line(model_folder, tmp_path, capsys):
    file = tmp_path / "test.json"
    file.write_text('[{"Problem": "what is 3 plus 4 ?"}]')
    assert call(tmp_path / ("x" * 5000), file) == 2
    error = capsys.readouterr().err
    assert "File name too long" in error
    assert error.count("\n") == 1


def test_the_course_s_script_runs_it(model_folder, tmp_path):
    file = tmp_path / "test.json"
    file.write_text('[{"Problem": "what is 3 plus 4 ?"}]')
    script = Path(__file__).parents[2] / "course" / "part2" / "infer.py"
    arguments = [
        "--model_file",
        model_folder,
        "--beam_size",
        10,
        "--model_type",
        "lstm_lstm_attn",
        "--test_data_file",
        file,
    ]
    subprocess.run([sys.executable, str(script), *map(str, arguments)], check=True)
    assert "predicted" in json.loads(file.read_text())[0]


def test_weights_of_another_size_are_refused(model_folder, tmp_path, capsys):
    config = check(MathConfig, {"model": TINY | {"decoder_size": 8}}, "test")
    folder = tmp_path / "other"
    folder.mkdir()
    for name in (WEIGHTS, "vocab.json"):
        (folder / name).write_bytes((model_folder / name).read_bytes())
    save(config, folder / CONFIG)
    file = tmp_path / "test.json"
    file.write_text('[{"Problem": "what is 3 plus 4 ?"}]')
    assert call(folder, file) == 2
    assert "another model or size" in capsys.readouterr().err
