"""The assignment's command for part 1, and shipped models."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from myna import runs
from myna.birds.assessment import assess
from myna.birds.infer import main
from myna.birds.shipping import ship
from myna.birds.splits import BirdSplits
from myna.birds.task import BirdModel, BirdTask
from myna.config import save
from myna.engine.checkpoint import WEIGHTS
from myna.engine.loop import Trainer
from myna.errors import UserError


@pytest.fixture
def run_folder(bird_splits, make_bird_config):
    """A finished run."""
    config = make_bird_config({"norm": "gn"}, epochs=4)
    folder = runs.create("gn")
    save(config, folder / runs.CONFIG)
    runs.write_environment(folder)
    at = Trainer(BirdTask(config, bird_splits), config.training, folder).train()
    runs.write_summary(folder, n_parameters=1, minutes=at.seconds / 60, best_score=at.best_score)
    return folder


def call(model, photos, output, norm="gn", n=1):
    arguments = ("--model_file", model, "--normalization", norm, "--n", n, "--test_data_file", photos)
    return main([str(argument) for argument in (*arguments, "--output_file", output)])


@pytest.fixture
def photo_list(bird_folder, tmp_path):
    """A CSV of two photos of each class, relative to it."""
    for split_folder in sorted((bird_folder / "birds" / "test").iterdir()):
        for name in ("0.png", "1.png"):
            with Image.open(split_folder / name) as image:
                image.save(tmp_path / f"{split_folder.name}-{name}")
    path = tmp_path / "list.csv"
    path.write_text("Roller-0.png\nCrow-1.png\nEgret-0.png\n")
    return path


def test_line_i_is_the_class_id_of_photo_i(run_folder, photo_list, tmp_path, monkeypatch):
    output = tmp_path / "out.txt"
    assert call(run_folder / "best" / WEIGHTS, photo_list, output) == 0
    first = output.read_text()
    assert len(first.splitlines()) == 3
    assert set(first.splitlines()) <= {"0", "1", "2"}
    photo_list.write_text("image\nCrow-1.png,ignored\nRoller-0.png\nEgret-0.png\n")
    assert call(run_folder, photo_list, output) == 0
    roller, crow, egret = first.splitlines()
    assert output.read_text().splitlines() == [crow, roller, egret]
    # As tables with a number for each row are written, with paths seen from here.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists").mkdir()
    elsewhere = tmp_path / "lists" / "numbered.csv"
    elsewhere.write_text(f",image\n0,Egret-0.png\n1,{tmp_path}/Crow-1.png\n\n")
    assert call(run_folder, elsewhere, output) == 0
    assert output.read_text().splitlines() == [egret, crow]
    # As spreadsheets save it, with a mark before the text.
    photo_list.write_text("Egret-0.png\nCrow-1.png\n", encoding="utf-8-sig")
    assert call(run_folder, photo_list, output) == 0
    assert output.read_text().splitlines() == [egret, crow]


def test_a_folder_is_taken_by_name(run_folder, bird_folder, tmp_path):
    output = tmp_path / "out.txt"
    assert call(run_folder, bird_folder / "birds" / "test" / "Crow", output) == 0
    assert len(output.read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("Crow-1.png\nnowhere.png\n", "line 2: nowhere.png: no such file"),
        ("Crow-1.png\n\nCrow-0.png\n", "line 2: empty"),
        ("\nCrow-0.png\n", "line 1: empty"),
        ("missing/Crow-9\nCrow-0.png\n", "line 1: missing/Crow-9: no such file, neither beside the CSV nor here"),
        ("Crow-9.png\nCrow-0.png\n", "line 1: Crow-9.png: no such file"),
        ("", "no photos"),
        ("Crow-1.png\nlist.csv\n", "no image that can be read"),
        (f"Crow-1.png\n{'x' * 5000}\n", "line 2: xxx"),
        (f'Crow-1.png\n"{"x" * 140_000}"\n', "line 2: not CSV: field larger than field limit"),
    ],
)
def test_a_mistake_is_one_line_and_the_old_output_stays(run_folder, photo_list, tmp_path, capsys, lines, expected):
    output = tmp_path / "out.txt"
    output.write_text("old")
    photo_list.write_text(lines)
    assert call(run_folder, photo_list, output) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("infer.py: ")
    assert expected in error
    assert output.read_text() == "old"


def test_an_output_that_cannot_be_written_is_told_first(run_folder, photo_list, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("myna.birds.infer.predict", lambda *_: pytest.fail("has begun"))
    assert call(run_folder, photo_list, tmp_path) == 2
    assert capsys.readouterr().err == f"infer.py: {tmp_path}: cannot be written: Is a directory\n"


@pytest.mark.parametrize(("norm", "n", "expected"), [("bn", 1, "has the norm gn"), ("gn", 2, "has n = 1")])
def test_a_model_of_another_norm_or_n_is_refused(run_folder, photo_list, tmp_path, capsys, norm, n, expected):
    assert call(run_folder, photo_list, tmp_path / "out.txt", norm, n) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.txt").exists()


def test_the_script_runs(run_folder, photo_list, tmp_path):
    script = Path(__file__).parents[2] / "course" / "part1" / "infer.py"
    arguments = ["--model_file", run_folder, "--normalization", "gn", "--n", "1"]
    arguments += ["--test_data_file", photo_list, "--output_file", tmp_path / "out.txt"]
    subprocess.run([sys.executable, str(script), *map(str, arguments)], check=True, cwd=tmp_path)
    assert len((tmp_path / "out.txt").read_text().splitlines()) == 3


def test_a_shipped_model_scores_as_its_card_says(run_folder, bird_splits, tmp_path):
    destination = tmp_path / "models" / "gn"
    ship(run_folder, destination, bird_splits)
    written = json.loads((destination / "scores.json").read_text())
    again = assess(BirdModel.load(destination), bird_splits, "test", tmp_path / "predictions.json")
    for score in (written["test"], again):
        del score["seconds"], score["photos_per_second"]
    assert written["test"] == again
    for name in ("summary.json", "environment.json", "metrics.jsonl"):
        assert (destination / name).read_bytes() == (run_folder / name).read_bytes()
    assert not list(run_folder.rglob("shipped*"))
    card = (destination / "README.md").read_text()
    assert f"| test | 12 | {100 * again['accuracy']:.1f} (" in card
    predictions = json.loads((tmp_path / "predictions.json").read_text())
    right = [photo["class"] == photo["predicted"] for photo in predictions]
    assert sum(right) / len(right) == pytest.approx(again["accuracy"])


def test_train_is_what_the_net_was_trained_on(bird_splits, make_bird_config, tmp_path, save_model):
    config = make_bird_config({"norm": "gn"}, data={"limit": 2})
    model = BirdModel.load(save_model(BirdTask(config, bird_splits), tmp_path / "model"))
    assess(model, bird_splits, "train", tmp_path / "predictions.json")
    seen = [photo["class"] for photo in json.loads((tmp_path / "predictions.json").read_text())]
    assert seen == [name for name in bird_splits.classes for _ in range(2)]


def test_data_of_other_classes_is_refused(run_folder, bird_splits, tmp_path):
    other = BirdSplits(("Crow", "Egret", "Owl"), bird_splits.train, bird_splits.val, bird_splits.test, "other")
    with pytest.raises(UserError, match=r"knows 3 classes, the data has 3: 'Owl'"):
        assess(BirdModel.load(run_folder), other, "test", tmp_path / "p.json")
