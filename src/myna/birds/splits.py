"""The photos of each split: folders of class folders where they are found, a drawn sample elsewhere."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from myna import runs
from myna.birds.photos import photo_formats
from myna.config import find_data
from myna.errors import UserError

SPLITS = ("train", "val", "test")
FOLDER = "birds"


@dataclass(frozen=True)
class PhotoFile:
    """A photo with its label.

    Attributes:
        path: of the file.
        class_id: position of its class in the sorted class names.
    """

    path: Path
    class_id: int


@dataclass(frozen=True)
class BirdSplits:
    """Photos to train, to choose and to report on.

    Attributes:
        classes: sorted names of the class folders; a class id is a position in it.
        train, val, test: in order of class and file name.
        source: what they are, for people; names no folder of this machine.
        is_generated: whether they are a stand-in for real photos.
    """

    classes: tuple[str, ...]
    train: list[PhotoFile]
    val: list[PhotoFile]
    test: list[PhotoFile]
    source: str
    is_generated: bool = False

    def named(self, split: str) -> list[PhotoFile]:
        """Return a split by its name.

        Raises:
            UserError: there is no such split.
        """
        if split not in SPLITS:
            raise UserError(f"split: {split!r}; choices: {', '.join(SPLITS)}")
        photos: list[PhotoFile] = getattr(self, split)
        return photos


def load_splits(option: Path | None = None) -> BirdSplits:
    """List the photos of the data folder's birds/, or draw a sample where there is no data.

    Where there is no test folder, half of val becomes test, chosen by a hash of each photo's name.

    Args:
        option: the data folder asked for; else $MYNA_DATA, then ./data.

    Raises:
        UserError: a folder was named, but holds no birds/train and birds/val with photos of the same classes.
    """
    folder = find_data(option)
    if folder is None:
        from myna.birds.drawn import draw_sample

        return _list_splits(draw_sample(runs.runs_folder() / "drawn-birds"), is_generated=True)
    return _list_splits(folder / FOLDER)


def list_photos(folder: Path) -> list[Path]:
    """Return the image files of a folder by name; hidden files and files of other kinds are passed over."""
    formats = Image.registered_extensions()
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and formats.get(path.suffix.lower()) in photo_formats() and not path.name.startswith(".")
    )


def _list_splits(root: Path, *, is_generated: bool = False) -> BirdSplits:
    """List the photos of every split below a folder."""
    for split in ("train", "val"):
        if not (root / split).is_dir():
            raise UserError(f"{root / split}: no such folder; expected {split}/<class>/<photo> there")
    classes = _class_names(root / "train")
    if not classes:
        raise UserError(f"{root / 'train'}: no class folders; expected train/<class>/<photo>")
    train, val = (_list_split(root / split, classes) for split in ("train", "val"))
    cut = "" if (root / "test").is_dir() else "; test cut from val"
    test = [photo for photo in val if _is_test(photo)] if cut else _list_split(root / "test", classes)
    if cut:
        val = [photo for photo in val if not _is_test(photo)]
    for split, photos in (("train", train), ("val", val)):
        if not photos:
            raise UserError(f"{root / split}: no photos; expected {split}/<class>/<photo>")
    counts = " / ".join(f"{len(photos):,}" for photos in (train, val, test))
    kind = "a GENERATED sample of drawn birds, not real photos" if is_generated else "the photos found in birds/"
    source = f"{kind} ({len(classes)} classes; {counts}{cut})"
    return BirdSplits(classes, train, val, test, source, is_generated)


def _class_names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))


def _list_split(folder: Path, classes: tuple[str, ...]) -> list[PhotoFile]:
    """List the photos of one split, whose classes must be among those of training."""
    unknown = [name for name in _class_names(folder) if name not in classes]
    if unknown:
        raise UserError(f"{folder / unknown[0]}: a class that train/ does not have; expected {', '.join(classes)}")
    return [
        PhotoFile(path, class_id)
        for class_id, name in enumerate(classes)
        if (folder / name).is_dir()
        for path in list_photos(folder / name)
    ]


def _is_test(photo: PhotoFile) -> bool:
    """Return whether a photo of val goes to test: a coin whose side depends on class and file name alone."""
    name = f"{photo.path.parent.name}/{photo.path.name}"
    return hashlib.sha256(os.fsencode(name)).digest()[0] % 2 == 0
