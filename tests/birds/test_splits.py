"""Which photo is in which split."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from myna.birds import drawn
from myna.birds.splits import SPLITS, BirdSplits, PhotoFile, list_photos, load_splits
from myna.errors import UserError

SAMPLE = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(autouse=True)
def _no_other_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MYNA_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def write_photos(folder: Path, names: Iterable[str]) -> None:
    """Make files that are called photos; a list of splits opens none of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def write_splits(folder: Path, splits: Iterable[str] = SPLITS, classes: Iterable[str] = ("Myna", "Crow")) -> Path:
    for split in splits:
        for name in classes:
            write_photos(folder / "birds" / split / name, (f"{split}-{letter}.jpg" for letter in SAMPLE))
    return folder


def names(photos: Iterable[PhotoFile]) -> list[str]:
    return [f"{photo.path.parent.name}/{photo.path.name}" for photo in photos]


def test_folders_become_splits_in_order(tmp_path: Path) -> None:
    splits = load_splits(write_splits(tmp_path / "data"))
    assert splits.classes == ("Crow", "Myna")
    assert names(splits.val) == [f"{name}/val-{letter}.jpg" for name in ("Crow", "Myna") for letter in SAMPLE]
    assert [photo.class_id for photo in splits.test] == [0] * 26 + [1] * 26
    assert splits.source == "the photos found in birds/ (2 classes; 52 / 52 / 52)"
    assert not splits.is_generated
    assert str(tmp_path) not in splits.source


def test_folder_of_the_environment_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYNA_DATA", str(write_splits(tmp_path / "elsewhere")))
    assert len(load_splits().train) == 52


def test_without_a_test_folder_half_of_val_becomes_test(tmp_path: Path) -> None:
    splits = load_splits(write_splits(tmp_path / "data", ("train", "val")))
    assert splits.source.endswith("; test cut from val)")
    assert sorted(names(splits.val) + names(splits.test)) == sorted(
        f"{name}/val-{letter}.jpg" for name in ("Crow", "Myna") for letter in SAMPLE
    )
    assert 15 < len(splits.test) < 37
    assert {photo.class_id for photo in splits.val} == {photo.class_id for photo in splits.test} == {0, 1}
    assert len(splits.train) == 52


def test_a_photo_is_cut_to_test_or_not_whatever_lies_beside_it(tmp_path: Path) -> None:
    before = names(load_splits(write_splits(tmp_path / "data", ("train", "val"))).test)
    for path in sorted((tmp_path / "data" / "birds" / "val" / "Crow").iterdir())[::2]:
        path.unlink()
    write_photos(tmp_path / "data" / "birds" / "val" / "Myna", (f"new-{letter}.png" for letter in SAMPLE))
    moved = (tmp_path / "data").rename(tmp_path / "moved")
    splits = load_splits(moved)
    left = set(names(splits.val) + names(splits.test))
    old = [name for name in names(splits.test) if "new" not in name]
    assert old == [name for name in before if name in left]
    assert any("new" in name for name in names(splits.test))
    # Of all times: what is test today was test in every run before.
    assert before[:3] == ["Crow/val-b.jpg", "Crow/val-c.jpg", "Crow/val-d.jpg"]


def test_hidden_files_and_other_kinds_are_passed_over(tmp_path: Path) -> None:
    kept = ["B.JPG", "a.jpeg", "c.png", "d.webp", "e.tiff", "f.gif", "g.bmp"]
    write_photos(
        tmp_path / "photos", [*kept, ".hidden.jpg", "notes.txt", "Thumbs.db", "figure.eps", "paper.pdf", "jpg"]
    )
    (tmp_path / "photos" / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "photos" / "pipe.jpg")
    assert [path.name for path in list_photos(tmp_path / "photos")] == kept


def test_hidden_folders_are_no_classes(tmp_path: Path) -> None:
    folder = write_splits(tmp_path / "data")
    for split in SPLITS:
        write_photos(folder / "birds" / split / ".ipynb_checkpoints", ["a.jpg"])
        write_photos(folder / "birds" / split, ["README.md", "stray.jpg"])
    splits = load_splits(folder)
    assert splits.classes == ("Crow", "Myna")
    assert len(splits.train) == 52


def test_class_that_training_never_sees_is_refused(tmp_path: Path) -> None:
    folder = write_splits(tmp_path / "data")
    write_photos(folder / "birds" / "val" / "Owl", ["a.jpg"])
    with pytest.raises(UserError, match=r"val/Owl: a class that train/ does not have; expected Crow, Myna"):
        load_splits(folder)


def test_class_without_photos_in_val_keeps_its_place(tmp_path: Path) -> None:
    folder = write_splits(tmp_path / "data")
    write_photos(folder / "birds" / "train" / "Dove", ["a.jpg"])
    splits = load_splits(folder)
    assert splits.classes == ("Crow", "Dove", "Myna")
    assert {photo.class_id for photo in splits.val} == {0, 2}


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ((), r"birds/train: no such folder; expected train/<class>/<photo> there"),
        (("train",), r"birds/val: no such folder; expected val/<class>/<photo> there"),
        (("val",), r"birds/train: no such folder"),
    ],
)
def test_missing_folders_are_named_in_one_line(splits: tuple[str, ...], message: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(UserError, match=message) as caught:
        load_splits(write_splits(tmp_path / "data", splits))
    assert "\n" not in str(caught.value)


def test_empty_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "data" / "birds" / "train").mkdir(parents=True)
    (tmp_path / "data" / "birds" / "val").mkdir()
    with pytest.raises(UserError, match=r"train: no class folders; expected train/<class>/<photo>"):
        load_splits(tmp_path / "data")
    (tmp_path / "data" / "birds" / "train" / "Crow").mkdir()
    with pytest.raises(UserError, match=r"train: no photos"):
        load_splits(tmp_path / "data")
    write_photos(tmp_path / "data" / "birds" / "train" / "Crow", ["a.jpg"])
    with pytest.raises(UserError, match=r"val: no photos"):
        load_splits(tmp_path / "data")
    with pytest.raises(UserError, match=r"--data: .*nowhere: no such folder"):
        load_splits(tmp_path / "nowhere")


def test_splits_by_name() -> None:
    photos = [PhotoFile(Path(name), 0) for name in SPLITS]
    splits = BirdSplits(("Crow",), [photos[0]], [photos[1]], [photos[2]], "made up")
    assert [splits.named(name) for name in SPLITS] == [[photo] for photo in photos]
    with pytest.raises(UserError, match="split: 'dev'; choices: train, val, test"):
        splits.named("dev")


def test_where_there_is_no_data_birds_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn, "N_PHOTOS", {"train": 2, "val": 1, "test": 1})
    splits = load_splits()
    assert splits.is_generated
    assert splits.source == "a GENERATED sample of drawn birds, not real photos (8 classes; 16 / 8 / 8)"
    assert splits.classes == tuple(drawn.KINDS)
    with Image.open(splits.train[0].path) as photo:
        assert min(photo.size) >= 96


@pytest.mark.data
def test_real_photos_are_all_there(data_dir: Path) -> None:
    splits = load_splits(data_dir)
    assert [len(splits.named(name)) for name in SPLITS] == [4726, 1076, 1076]
    assert len(splits.classes) == 25
