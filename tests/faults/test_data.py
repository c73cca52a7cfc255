"""Data that changes or vanishes while a run is under way: the run does not notice, or refuses in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from myna import runs
from myna.birds import cache
from myna.birds.cache import prepare
from myna.birds.photos import read_photo
from myna.birds.splits import load_splits
from myna.birds.task import BirdTask
from myna.config import BirdsConfig, check

Train = Callable[..., tuple[int, str]]


def change(path: Path, **fields: Any) -> None:
    """Change the first item of a file of problems."""
    items = json.loads(path.read_text())
    items[0] |= fields
    path.write_text(json.dumps(items))


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_run_is_not_resumed_on_problems_that_changed(
    split: str, train: Train, weights: Callable[[str], bytes], problem_folder: Path
) -> None:
    assert train("--name", "whole")[0] == 0
    assert train("--set", "training.epochs=1")[0] == 0
    path, before = problem_folder / "mathqa" / f"{split}.json", weights("small")
    kept = path.read_text()
    # The same words and the same program: nothing that a model is built of differs.
    change(path, Problem=json.loads(kept)[0]["Problem"].replace("  ", " ") + " .")
    status, said = train("--resume")
    assert status == 2
    assert said == (
        f"myna: {runs.runs_folder() / 'small'}: its data changed since then; resume it with what it began with, or "
        "--name another\n"
    )
    assert weights("small") == before
    path.write_text(kept)
    assert train("--set", "training.epochs=2", "--resume")[0] == 0
    assert len(runs.read_metrics(runs.runs_folder() / "small")) == len(runs.read_metrics(runs.runs_folder() / "whole"))


def test_problems_that_vanished_are_named(train: Train, weights: Callable[[str], bytes], problem_folder: Path) -> None:
    assert train("--set", "training.epochs=1")[0] == 0
    before = weights("small")
    (problem_folder / "mathqa" / "dev.json").unlink()
    status, said = train("--resume")
    assert status == 2
    assert said.startswith(f"myna: {problem_folder / 'mathqa' / 'dev.json'}: no such file")
    assert said.count("\n") == 1
    assert weights("small") == before


def test_a_run_without_a_checkpoint_takes_any_data(train: Train, problem_folder: Path) -> None:
    """There is nothing yet that could be spoilt, as after a first try on the wrong folder."""
    assert train("--set", "training.epochs=1")[0] == 0
    shutil.rmtree(runs.runs_folder() / "small" / "last")
    change(problem_folder / "mathqa" / "train.json", linear_formula="add(n0,n0)|")
    assert train("--set", "training.epochs=1", "--resume")[0] == 0


SETTINGS = check(BirdsConfig, {"data": {"size": 8}, "model": {"n": 1}}, "test")


@pytest.fixture
def photos(bird_folder: Path, tmp_path: Path) -> Path:
    """A data folder of photos that may be spoilt."""
    return shutil.copytree(bird_folder, tmp_path / "photos")


def test_photos_have_another_fingerprint_once_one_of_them_changed_or_vanished(photos: Path) -> None:
    first = BirdTask(SETTINGS, load_splits(photos)).fingerprint()
    assert BirdTask(SETTINGS, load_splits(photos)).fingerprint() == first
    path = next((photos / "birds" / "val").rglob("*.png"))
    kept, found = path.read_bytes(), {first}
    Image.new("RGB", (20, 20)).save(path)
    found.add(BirdTask(SETTINGS, load_splits(photos)).fingerprint())
    path.unlink()
    found.add(BirdTask(SETTINGS, load_splits(photos)).fingerprint())
    other = path.parents[1] / ("Crow" if path.parent.name != "Crow" else "Egret") / "moved.png"
    other.write_bytes(kept)
    found.add(BirdTask(SETTINGS, load_splits(photos)).fingerprint())
    assert len(found) == 4
    other.unlink()
    path.write_bytes(kept)
    assert BirdTask(SETTINGS, load_splits(photos)).fingerprint() == first


def test_a_training_that_has_begun_needs_the_photos_no_more(photos: Path) -> None:
    task, expected = (BirdTask(SETTINGS, load_splits(photos)) for _ in range(2))
    shutil.rmtree(photos)
    for batch in task.batches(0):
        assert (task.photos[batch[0]] == expected.photos[batch[0]]).all()


def test_a_photo_that_vanishes_while_others_are_decoded_is_named(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = sorted((photos / "birds" / "train" / "Crow").iterdir())
    victim = paths[-1]

    def read(path: Path) -> Image.Image:
        victim.unlink(missing_ok=True)
        return read_photo(path)

    monkeypatch.setattr(cache, "read_photo", read)
    assert prepare(paths, 10).paths == paths[:-1]
    assert f"skipped: {victim}: no such file" in capsys.readouterr().err


def test_a_photo_that_changes_while_it_is_read_is_left_out_and_tried_again(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the new pixels would be found for the old bytes whenever they come back."""
    paths = sorted((photos / "birds" / "train" / "Crow").iterdir())[:2]
    old = paths[0].read_bytes()

    def read(path: Path) -> Image.Image:
        if path == paths[0]:
            path.write_bytes(paths[1].read_bytes())
        return read_photo(path)

    with monkeypatch.context() as patch:
        patch.setattr(cache, "read_photo", read)
        assert prepare(paths, 10).paths == paths[1:]
    assert f"skipped: {paths[0]}: changed while it was read" in capsys.readouterr().err
    paths[0].write_bytes(old)
    first, second = prepare(paths, 10)
    assert first.shape != second.shape or (first != second).any()
