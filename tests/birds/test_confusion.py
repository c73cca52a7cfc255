from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from myna.birds.confusion import show_confused
from myna.birds.photos import BrokenPhotoError
from myna.birds.splits import PhotoFile, load_splits
from myna.birds.thumbnails import make_thumbnail


def opened(data_uri: str) -> Image.Image:
    assert data_uri.startswith("data:image/jpeg;base64,")
    return Image.open(BytesIO(base64.b64decode(data_uri.partition(",")[2])))


def said(photo: str, predicted: str, probability: float) -> dict[str, Any]:
    return {"photo": photo, "class": photo.partition("/")[0], "predicted": predicted, "probability": probability}


@pytest.fixture
def photos(bird_folder: Path) -> list[PhotoFile]:
    return load_splits(bird_folder).val


PREDICTIONS = [
    said("Crow/0.png", "Egret", 0.4),
    said("Crow/1.png", "Egret", 0.9),
    said("Crow/2.png", "Roller", 0.8),
    said("Crow/3.png", "Crow", 0.7),
    said("Egret/0.png", "Egret", 0.5),
    said("Egret/1.png", "Egret", 0.6),
    said("Roller/0.png", "Roller", 0.9),
]


def test_the_most_frequent_pair_comes_first_with_the_surest_photos(photos: list[PhotoFile]) -> None:
    first, second = show_confused(PREDICTIONS, photos)
    assert (first["truth"], first["predicted"], first["n"], first["n_truth"]) == ("Crow", "Egret", 2, 4)
    assert [photo["name"] for photo in first["photos"]] == ["Crow/1.png", "Crow/0.png"]
    assert [photo["name"] for photo in first["typical"]] == ["Egret/1.png"]
    assert first["photos"][0]["probability"] == 0.9
    assert (second["predicted"], second["n"]) == ("Roller", 1)
    colour: Any = opened(first["typical"][0]["data_uri"]).resize((1, 1)).getpixel((0, 0))
    assert min(colour) > 180  # egrets are white


def test_no_more_are_shown_than_asked_for(photos: list[PhotoFile]) -> None:
    (pair,) = show_confused(PREDICTIONS, photos, n_pairs=1, n_photos=1)
    assert [photo["name"] for photo in pair["photos"]] == ["Crow/1.png"]


def test_photos_that_are_not_there_or_broken_are_passed_over(photos: list[PhotoFile], tmp_path: Path) -> None:
    broken = tmp_path / "Crow" / "1.png"
    broken.parent.mkdir()
    broken.write_bytes(b"no photo")
    others = [photo for photo in photos if photo.path.name != "1.png"]
    pair = show_confused(PREDICTIONS, [*others, PhotoFile(broken, 0)])[0]
    assert [photo["name"] for photo in pair["photos"]] == ["Crow/0.png"]
    assert [photo["name"] for photo in pair["typical"]] == ["Egret/0.png"]
    assert show_confused(PREDICTIONS, [])[0]["photos"] == []


def test_a_net_without_mistakes_confuses_nothing(photos: list[PhotoFile]) -> None:
    assert show_confused(PREDICTIONS[3:], photos) == []


def test_a_thumbnail_is_the_square_in_the_middle(tmp_path: Path) -> None:
    wide = Image.new("RGB", (300, 100), "blue")
    wide.paste("red", (100, 0, 200, 100))
    wide.save(tmp_path / "wide.png")
    thumbnail = opened(make_thumbnail(tmp_path / "wide.png", side=40))
    assert thumbnail.size == (40, 40)
    red, green, blue = thumbnail.getpixel((20, 20))  # type: ignore[misc]
    assert red > 200
    assert max(green, blue) < 60
    both = opened(make_thumbnail(tmp_path / "wide.png", tmp_path / "wide.png", side=40))
    assert both.size == (40, 82)
    with pytest.raises(BrokenPhotoError, match="no such file"):
        make_thumbnail(tmp_path / "nowhere.png")
