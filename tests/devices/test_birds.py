"""The birds half on a device of its own: the same losses, logits, maps and names as on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from myna.birds.assessment import assess
from myna.birds.calibration import ask
from myna.birds.gradcam import compute_maps
from myna.birds.map_analysis import analyse_maps
from myna.birds.naming import Namer
from myna.birds.norms import NORMS
from myna.birds.photos import read_photo
from myna.birds.splits import BirdSplits, load_splits
from myna.birds.task import BirdModel, BirdTask
from myna.config import BirdsConfig, check

CPU = torch.device("cpu")
Save = Callable[[BirdTask, Path], Path]


@pytest.fixture
def splits(bird_folder: Path) -> BirdSplits:
    return load_splits(bird_folder)


def make_task(splits: BirdSplits, norm: str) -> BirdTask:
    model = {"norm": norm, "n": 1, "groups": 4} if norm == "gn" else {"norm": norm, "n": 1}
    values = {"data": {"size": 16}, "model": model, "training": {"batch_size": 4}}
    return BirdTask(check(BirdsConfig, values, "test"), splits)


@pytest.mark.parametrize("norm", NORMS)
def test_learns_the_same(splits: BirdSplits, norm: str, far: torch.device, learn: Callable[..., list[float]]) -> None:
    losses, scores = {}, {}
    for device in (CPU, far):
        task = make_task(splits, norm)
        losses[device] = learn(task, device, task.batches(0)[:3], 0.01)
        scores[device] = task.evaluate(device)
    assert losses[far] == pytest.approx(losses[CPU], rel=1e-3)
    assert scores[far] == pytest.approx(scores[CPU], rel=1e-2, abs=1e-3)


def test_a_loaded_net_says_the_same(splits: BirdSplits, tmp_path: Path, far: torch.device, save_model: Save) -> None:
    task = make_task(splits, "bin")
    there = BirdModel.load(save_model(task, tmp_path / "net"))
    here = BirdModel(task.config, task.labels, task.net.eval())
    assert (there.device, here.device) == (far, CPU)
    answers = [ask(model, task.photos, "photos") for model in (there, here)]
    torch.testing.assert_close(answers[0].features, answers[1].features)
    scores = [assess(model, splits, "test", tmp_path / "answers.json") for model in (there, here)]
    assert scores[0]["loss"] == pytest.approx(scores[1]["loss"])


def test_maps_are_the_same(splits: BirdSplits, tmp_path: Path, far: torch.device, save_model: Save) -> None:
    task = make_task(splits, "bn")
    there = BirdModel.load(save_model(task, tmp_path / "net"))
    here = BirdModel(task.config, task.labels, task.net.eval())
    views = [np.asarray(task.photos[i])[:16, :16] for i in range(3)]
    maps = [compute_maps(model.net, model.normalise(views), [0, 1, 2]) for model in (there, here)]
    np.testing.assert_allclose(*maps, atol=1e-3)
    areas = [analyse_maps(model, splits, n_photos=4)["deletion"]["area"]["gradcam"]["mean"] for model in (there, here)]
    assert areas[0] == pytest.approx(areas[1], abs=1e-2)


def test_a_photo_gets_the_same_names_and_overlay(
    splits: BirdSplits, tmp_path: Path, far: torch.device, save_model: Save
) -> None:
    task = make_task(splits, "bn")
    there = Namer.load(save_model(task, tmp_path / "net"))
    here = Namer(BirdModel(task.config, task.labels, task.net.eval()), "net", None)
    photo = read_photo(splits.test[0].path)
    assert there.name(photo, "it") == here.name(photo, "it")
    pixels = [np.asarray(namer.overlay(photo), dtype=int) for namer in (there, here)]
    assert np.abs(pixels[0] - pixels[1]).max() <= 3
