"""Naming photos: what is told of one, with and without calibration; and calibrating on a small data folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from myna.birds.calibration import calibrate
from myna.birds.familiarity import FAMILIARITY, Familiarity, Gaussian
from myna.birds.naming import Namer
from myna.birds.photos import BrokenPhotoError, decode_photo, read_photo, resize_shorter
from myna.birds.splits import load_splits
from myna.birds.strange import STRANGE, draw_strange
from myna.birds.task import BirdModel, Labels, build_resnet, stored_side
from myna.cli.app import app
from myna.config import BirdsConfig, save
from myna.engine.checkpoint import WEIGHTS, save_weights
from myna.errors import UserError
from myna.runs import CONFIG

CLASSES = ("Crow", "Egret", "Roller")


@pytest.fixture(scope="module")
def net_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small net of random weights."""
    folder = tmp_path_factory.mktemp("nets") / "small"
    config = BirdsConfig.model_validate({"data": {"size": 16}, "model": {"norm": "bn", "n": 1}})
    torch.manual_seed(0)
    net = build_resnet(config.model, len(CLASSES))
    folder.mkdir()
    save(config, folder / CONFIG)
    Labels(CLASSES, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)).save(folder)
    save_weights(folder / WEIGHTS, net.state_dict())
    return folder


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def with_threshold(folder: Path, threshold: float, temperature: float = 1.0) -> Namer:
    model = BirdModel.load(folder)
    gaussian = Gaussian(torch.zeros(112).double(), torch.eye(112).double())
    return Namer(model, "small", Familiarity(temperature, "distance", threshold, gaussian, {}))


def test_without_calibration_all_photos_count_as_known(net_folder: Path, photo: Image.Image) -> None:
    namer = Namer.load(net_folder)
    naming = namer.name(photo, "a photo")
    assert (naming.photo, naming.model, naming.is_known) == ("a photo", "small", True)
    assert (naming.score, naming.threshold) == (None, None)
    assert {each.name for each in naming.top} == set(CLASSES)
    assert sum(each.probability for each in naming.top) == pytest.approx(1, abs=1e-3)
    assert [each.probability for each in naming.top] == sorted((p.probability for p in naming.top), reverse=True)


def test_names_what_the_net_names(net_folder: Path, photo: Image.Image) -> None:
    model = BirdModel.load(net_folder)
    logits = model.logits([np.asarray(resize_shorter(photo, stored_side(model.config.data)))])
    naming = Namer.load(net_folder).name(photo, "")
    assert naming.top[0].name == CLASSES[int(logits.argmax())]


def test_the_threshold_decides_what_is_known(net_folder: Path, photo: Image.Image) -> None:
    score = with_threshold(net_folder, -1e9).name(photo, "").score
    assert score is not None
    assert with_threshold(net_folder, score - 1e-3).name(photo, "").is_known
    strange = with_threshold(net_folder, score + 1e-3).name(photo, "")
    assert not strange.is_known
    assert strange.verdict.startswith("None of the 3 species that this net knows, as it seems; the nearest is ")
    assert strange.top[0].name in strange.verdict


def test_the_temperature_is_applied(net_folder: Path, photo: Image.Image) -> None:
    hot, cold = (with_threshold(net_folder, -1e9, temperature).name(photo, "") for temperature in (50.0, 0.02))
    assert hot.top[0].probability < 0.4 < 0.9 < cold.top[0].probability
    assert "almost surely" in cold.verdict
    assert hot.verdict.startswith(f"Perhaps {hot.top[0].name} (")


def test_an_overlay_shows_the_species_asked_for(net_folder: Path, photo: Image.Image) -> None:
    namer = Namer.load(net_folder)
    pictures = {name: namer.overlay(photo, name) for name in namer.classes}
    assert {picture.size for picture in pictures.values()} == {(24, 24)}
    assert len({picture.tobytes() for picture in pictures.values()}) > 1
    assert namer.overlay(photo).tobytes() == pictures[namer.name(photo, "").top[0].name].tobytes()
    with pytest.raises(UserError, match=r"^species: 'Dodo'; expected one of Crow, Egret, Roller$"):
        namer.overlay(photo, "Dodo")


def test_calibration_is_written_beside_the_net_and_used(
    net_folder: Path, bird_folder: Path, tmp_path: Path, photo: Image.Image
) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    for path in net_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    found = calibrate(folder, load_splits(bird_folder))
    assert (folder / FAMILIARITY).exists()
    assert set(found.worth["areas_on_test"]) == set(STRANGE)
    assert set(found.worth["areas_on_val"]["distance"]) == set(STRANGE)
    means = {name: np.mean(list(areas.values())) for name, areas in found.worth["areas_on_val"].items()}
    assert means[found.measure] == max(means.values())
    naming = Namer.load(folder).name(photo, "")
    assert naming.threshold == round(found.threshold, 4)
    assert naming.is_known == (naming.score >= found.threshold)


def test_strange_pictures_are_like_the_photos_in_size_and_repeatable() -> None:
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (20, 32, 3), dtype=np.uint8) for _ in range(6)]
    drawn, again = draw_strange(photos, 4), draw_strange(photos, 4)
    for kind, pictures in drawn.items():
        assert [picture.shape for picture in pictures] == [(20, 32, 3)] * 4
        assert all(np.array_equal(a, b) for a, b in zip(pictures, again[kind], strict=True))
    shuffled = np.sort(drawn["shuffled photos"][0].reshape(-1, 3), axis=0)
    assert any(np.array_equal(shuffled, np.sort(photo.reshape(-1, 3), axis=0)) for photo in photos)


def test_a_photo_from_bytes_is_that_of_its_file(tmp_path: Path, photo: Image.Image) -> None:
    path = tmp_path / "photo.png"
    photo.save(path)
    assert decode_photo(path.read_bytes(), "it").tobytes() == read_photo(path).tobytes()
    with pytest.raises(BrokenPhotoError, match=r"^it: no image that can be read$"):
        decode_photo(b"no photo", "it")


# The verb


def test_a_broken_file_among_photos_is_told_and_the_others_are_named(
    net_folder: Path, bird_folder: Path, tmp_path: Path
) -> None:
    photos = sorted((bird_folder / "birds/test/Crow").iterdir())
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff")
    arguments = ["birds", "predict", str(photos[0]), str(broken), str(photos[1]), "--model", str(net_folder), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert [json.loads(line)["photo"] for line in result.stdout.splitlines()] == [str(photos[0]), str(photos[1])]
    assert result.stderr.startswith(f"myna: {broken}: ")


def test_a_folder_is_named_photo_by_photo_with_maps_on_request(
    net_folder: Path, bird_folder: Path, tmp_path: Path
) -> None:
    folders = [str(bird_folder / f"birds/test/{name}") for name in ("Crow", "Egret")]
    arguments = ["birds", "predict", *folders, "--model", str(net_folder), "--overlay", str(tmp_path / "maps")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    assert sum(line.endswith(".png") and "maps" not in line for line in result.stdout.splitlines()) == 8
    assert "▀" not in result.stdout
    names = [f"{number}{again}-map.png" for number in range(4) for again in ("", "-2")]
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == sorted(names)


def test_no_map_takes_the_place_of_another(net_folder: Path, bird_folder: Path, tmp_path: Path) -> None:
    photo = bird_folder / "birds/test/Crow/0.png"
    copies = [tmp_path / folder / f"{name}.png" for folder, name in (("a", "x"), ("b", "x"), ("b", "x-2"))]
    for copy in copies:
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(photo, copy)
    arguments = [*map(str, copies), "--model", str(net_folder), "--overlay", str(tmp_path / "maps")]
    assert CliRunner().invoke(app, ["birds", "predict", *arguments]).exit_code == 0
    names = ["x-2-2-map.png", "x-2-map.png", "x-map.png"]
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == names


@pytest.mark.parametrize(("place", "reason"), [("nothing", "no such file or folder"), ("", "no photos in this folder")])
def test_a_place_without_photos_is_one_line(net_folder: Path, tmp_path: Path, place: str, reason: str) -> None:
    result = CliRunner().invoke(app, ["birds", "predict", str(tmp_path / place), "--model", str(net_folder)])
    assert isinstance(result.exception, UserError)
    assert str(result.exception).endswith(reason)
