"""An audit finds what was hidden in the photos, and nothing where nothing was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from myna.birds.audit import MAX_HAMMING, audit_splits, hash_thumbnails
from myna.birds.splits import SPLITS, BirdSplits, load_splits

CLASSES = ("Crow", "Myna", "Owl")
N_OF_EACH = {"train": 14, "val": 5, "test": 5}


def scene(seed: int, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """A picture of soft shapes that no other seed gives."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of splits whose photos are all different."""
    folder, seed = tmp_path / "data", 0
    for split, n_photos in N_OF_EACH.items():
        for name in CLASSES:
            (folder / "birds" / split / name).mkdir(parents=True)
            for number in range(n_photos):
                scene(seed).save(folder / "birds" / split / name / f"{number:02}.jpg", quality=90)
                seed += 1
    return folder / "birds"


def audit(root: Path) -> dict[str, Any]:
    facts = audit_splits(load_splits(root.parent))
    assert json.loads(json.dumps(facts)) == facts
    return facts


def test_clean_photos_are_called_clean(root: Path) -> None:
    facts = audit(root)
    assert facts["classes"] == list(CLASSES)
    assert facts["unreadable"] == facts["label_conflicts"] == facts["copies"]["pairs_between"] == []
    assert set(facts["copies"]["within"]) == set(SPLITS)
    assert list(facts["copies"]["between"]) == ["train-val", "train-test", "val-test"]
    for counts in [*facts["copies"]["within"].values(), *facts["copies"]["between"].values()]:
        assert counts == {"exact": 0, "near": 0}
    assert facts["copies"]["leaked"] == {"val": {"photos": 0, "share": 0}, "test": {"photos": 0, "share": 0}}
    assert {split: facts["splits"][split]["photos"] for split in SPLITS} == {"train": 42, "val": 15, "test": 15}
    assert facts["splits"]["val"]["class_counts"] == {"Crow": 5, "Myna": 5, "Owl": 5}
    assert facts["splits"]["val"]["formats"] == {"JPEG": 15}


def test_sizes_are_those_of_the_files(root: Path) -> None:
    for path, size in zip(sorted((root / "test" / "Owl").iterdir()), ((50, 100), (200, 100), (96, 64)), strict=False):
        scene(900 + size[0], size).save(path)
    sizes = audit(root)["splits"]["test"]["sizes"]
    assert sizes["distinct"] == 3
    assert sizes["commonest"][0] == [96, 64, 13]
    assert sizes["median_shorter_side"] == 64
    assert (sizes["aspect_ratio"]["min"], sizes["aspect_ratio"]["median"], sizes["aspect_ratio"]["max"]) == (
        0.5,
        1.5,
        2,
    )
    assert sizes["portrait_share"] == pytest.approx(1 / 15)


def test_files_that_are_no_photos_are_named(root: Path) -> None:
    (root / "val" / "Owl" / "03.jpg").write_text("no photo")
    facts = audit(root)
    assert facts["unreadable"] == [{"photo": "val/Owl/03.jpg", "reason": "no image that can be read"}]
    assert (facts["splits"]["val"]["photos"], facts["splits"]["val"]["unreadable"]) == (14, 1)


def test_exact_copies_are_found_within_and_between_splits(root: Path) -> None:
    photo = root / "train" / "Crow" / "00.jpg"
    for copy in (root / "train" / "Crow" / "99.jpg", root / "test" / "Crow" / "98.jpg"):
        shutil.copy(photo, copy)
    copies = audit(root)["copies"]
    assert copies["within"]["train"] == {"exact": 1, "near": 0}
    assert copies["between"]["train-test"] == {"exact": 2, "near": 0}
    assert copies["leaked"]["test"] == {"photos": 1, "share": 1 / 16}
    assert copies["leaked"]["val"]["photos"] == 0
    assert copies["pairs_between"][0] == {
        "photos": ["train/Crow/00.jpg", "test/Crow/98.jpg"],
        "classes": ["Crow", "Crow"],
        "kind": "exact",
        "correlation": 1.0,
    }


CHANGES = {
    "smaller": lambda image: image.resize((60, 40)),
    "squeezed": lambda image: image.resize((64, 64)),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside down": lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "turned by half": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "grey": lambda image: image.convert("L"),
    "cut": lambda image: image.crop((2, 1, image.width - 1, image.height - 1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_near_copies_are_found(change: str, root: Path) -> None:
    with Image.open(root / "val" / "Myna" / "01.jpg") as image:
        CHANGES[change](image).save(root / "test" / "Myna" / "77.jpg", quality=60)
    copies = audit(root)["copies"]
    assert copies["between"]["val-test"] == {"exact": 0, "near": 1}
    (pair,) = copies["pairs_between"]
    assert pair["photos"] == ["val/Myna/01.jpg", "test/Myna/77.jpg"]
    assert (pair["kind"], pair["correlation"] >= 0.9) == ("near", True)


def test_a_photo_with_two_labels_is_a_conflict(root: Path) -> None:
    shutil.copy(root / "train" / "Crow" / "05.jpg", root / "train" / "Owl" / "55.jpg")
    (conflict,) = audit(root)["label_conflicts"]
    assert conflict["photos"] == ["train/Crow/05.jpg", "train/Owl/55.jpg"]
    assert conflict["classes"] == ["Crow", "Owl"]


def test_plain_pictures_are_copies_only_where_their_bytes_are(root: Path) -> None:
    """A hash of nothing is no evidence: skies without a bird are not all one photo."""
    for name, colour in (("a", (200, 220, 240)), ("b", (201, 221, 240)), ("c", (90, 90, 90))):
        Image.new("RGB", (96, 64), colour).save(root / "val" / "Crow" / f"{name}.png")
    copies = audit(root)["copies"]
    assert copies["within"]["val"] == {"exact": 0, "near": 0}


def test_hashes_of_different_scenes_are_far_apart() -> None:
    thumbnails = np.stack([np.asarray(scene(seed, (32, 32)).convert("L"), dtype=np.float32) for seed in range(60)])
    bits = hash_thumbnails(thumbnails)
    assert bits.shape == (60, 64)
    assert (bits.sum(1) == 32).all()
    distances = (bits[:, None] != bits[None]).sum(2)[np.triu_indices(60, 1)]
    assert distances.mean() == pytest.approx(32, abs=3)
    assert (distances <= MAX_HAMMING).mean() < 0.01
    brighter = hash_thumbnails(thumbnails * 0.8 + 20)
    assert (bits != brighter).sum(1).max() <= 2  # only the constant one moves


def test_source_that_tells_the_class_is_noticed(root: Path) -> None:
    assert audit(root)["source_bias"]["accuracy"]["all"] < 0.7
    for number, path in enumerate(sorted(root.glob("*/Owl/*.jpg"))):
        scene(500 + number, (90, 70)).save(path, quality=50)
    bias = audit(root)["source_bias"]
    assert list(bias["accuracy"]) == ["all", "shape", "compression", "file_size"]
    assert bias["chance"] == pytest.approx(1 / 3)
    assert bias["recall"]["Owl"] == 1
    assert min(bias["accuracy"]["shape"], bias["accuracy"]["compression"]) >= 0.6
    assert list(bias["recall"]) == list(CLASSES)


def test_splits_without_photos_are_described_too() -> None:
    facts = audit_splits(BirdSplits(("Crow",), [], [], [], "nothing"))
    assert facts["source_bias"] is None
    assert facts["splits"]["train"]["sizes"] is None
    assert facts["copies"]["leaked"]["val"] == {"photos": 0, "share": 0}


@pytest.mark.data
@pytest.mark.slow
def test_real_photos_have_no_copies_in_two_splits(data_dir: Path) -> None:
    """As their SOURCES.md says; copies within train it allows."""
    facts = audit_splits(load_splits(data_dir))
    assert facts["unreadable"] == facts["copies"]["pairs_between"] == facts["label_conflicts"] == []
    assert facts["copies"]["within"]["train"]["near"] == pytest.approx(47, abs=5)
    assert 0.1 < facts["source_bias"]["accuracy"]["all"] < 0.25
