"""The floors: each finds what it can see, is blind to the rest, and is the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from myna.birds import baselines
from myna.birds.baselines import BASELINES, LabelledPhotos, _count_colours, _histogram, fit_neighbours, fit_prior
from myna.birds.evaluation import evaluate, summarise
from myna.birds.views import Pixels


def paint(rng: np.random.Generator, colour: tuple[int, int, int], place: int) -> Pixels:
    """A grey photo of some size with a patch of a colour in its left (0) or right (1) half, and noise over all."""
    height, width = rng.integers(40, 60, 2)
    photo = np.full((height, width, 3), 128.0)
    left = place * (width // 2)
    photo[10:30, left : left + width // 2] = colour
    return (photo + rng.normal(0, 10, photo.shape)).clip(0, 255).astype(np.uint8)


def make_photos(kind: str, n: int, seed: int) -> LabelledPhotos:
    """Photos of two classes that differ in `colour` or in `place` alone."""
    rng = np.random.default_rng(seed)
    red, blue = (200, 40, 40), (40, 40, 200)
    label_ids = [i % 2 for i in range(n)]
    photos = [
        paint(rng, (red, blue)[label], int(rng.integers(2)))
        if kind == "colour"
        else paint(rng, (red, blue)[int(rng.integers(2))], label)
        for label in label_ids
    ]
    return LabelledPhotos(photos, label_ids)


def score(name: str, kind: str) -> float:
    train, val, test = (make_photos(kind, n, seed) for seed, n in enumerate((60, 30, 40)))
    log_probabilities = BASELINES[name](train, val, 2)(test.photos)
    accuracy: float = evaluate(log_probabilities, test.label_ids, ["a", "b"])["accuracy"]
    return accuracy


def test_each_sees_what_it_is_made_to_see() -> None:
    linear, neighbours, prior = BASELINES
    assert score(linear, "place") > 0.9
    assert score(linear, "colour") > 0.9
    assert score(neighbours, "colour") > 0.9
    assert score(neighbours, "place") < 0.75
    assert score(prior, "colour") == 0.5


@pytest.mark.parametrize("name", BASELINES)
def test_log_probabilities_are_finite_repeatable_and_sum_to_one(name: str) -> None:
    train, val = make_photos("colour", 20, 0), make_photos("colour", 10, 1)
    first, second = (BASELINES[name](train, val, 4)(val.photos) for _ in range(2))
    assert first.shape == (10, 4)
    assert first.dtype == torch.float32
    assert torch.equal(first, second)
    assert first.isfinite().all()
    torch.testing.assert_close(first.exp().sum(1), torch.ones(10))
    # Classes 2 and 3 have no training photos.
    assert (first[:, :2].max(1).values > first[:, 2:].max(1).values).all()


def test_one_class_needs_no_telling_apart() -> None:
    photos = LabelledPhotos([np.zeros((40, 40, 3), np.uint8)] * 3, [0, 0, 0])
    for fit in BASELINES.values():
        assert fit(photos, photos, 1)(photos.photos).argmax(1).tolist() == [0, 0, 0]


def test_the_prior_is_the_shares_of_the_classes() -> None:
    photos = make_photos("colour", 5, 0).photos
    shares = fit_prior(LabelledPhotos(photos, [0, 2, 2, 2, 0]), LabelledPhotos([], []), 4)(photos[:2])
    torch.testing.assert_close(shares.exp(), torch.tensor([[3, 1, 4, 1], [3, 1, 4, 1]]) / 9)


def test_a_histogram_knows_shares_of_colours_and_neither_size_nor_place() -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (12, 9, 3), dtype=np.uint8)
    shuffled = rng.permutation(photo.reshape(-1, 3)).reshape(9, 12, 3)
    doubled = photo.repeat(2, axis=0)
    shares = _histogram(photo)
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(_histogram(shuffled), shares, rtol=1e-6)
    np.testing.assert_allclose(_histogram(doubled), shares, rtol=1e-6)


def test_colours_are_counted_in_the_middle() -> None:
    """Hue and saturation of a grey are 0; value is in the lowest and in the highest of 8 levels."""
    photo = np.full((8, 4, 3), (200, 40, 40), dtype=np.uint8)
    photo[2:6, 1:3] = 0
    photo[2, 1:3] = 255
    counts = np.square(_count_colours([photo])[0])
    assert {int(cell): float(counts[cell]) for cell in counts.nonzero()[0]} == pytest.approx({0: 0.75, 7: 0.25})
    assert _count_colours([photo[:1, :1]]).shape == (1, 512)


def test_neighbours_are_weighed_and_smoothed() -> None:
    """One colour a photo: at k = 1 a twin has the whole vote, and one more is spread over all classes."""
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    photos = [np.full((4, 4, 3), colour, dtype=np.uint8) for colour in colours]
    labelled = LabelledPhotos(photos, [0, 1, 2])
    log_probabilities = fit_neighbours(labelled, labelled, 4)(photos)
    expected = torch.full((3, 4), 1 / 8)
    expected[range(3), range(3)] += 1 / 2
    torch.testing.assert_close(log_probabilities.exp(), expected)


@pytest.mark.parametrize(
    ("name", "setting", "values"),
    [("linear on pixels", "STRENGTHS", (1e-7, 1e-3)), ("colour histogram k-nearest neighbour", "NEIGHBOURS", (1, 25))],
)
def test_val_chooses_the_setting(
    name: str, setting: str, values: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of ten training labels are wrong: more neighbours outvote them."""
    train, val, test = (make_photos("colour", n, seed) for seed, n in enumerate((90, 45, 20)))
    rng = np.random.default_rng(0)
    noisy = LabelledPhotos(train.photos, [label ^ int(rng.random() < 0.3) for label in train.label_ids])

    def predict(*choices: float) -> torch.Tensor:
        monkeypatch.setattr(baselines, setting, choices)
        return BASELINES[name](noisy, val, 2)(test.photos)

    def score(*choices: float) -> float:
        monkeypatch.setattr(baselines, setting, choices)
        accuracy: float = summarise(BASELINES[name](noisy, val, 2)(val.photos), val.label_ids)["accuracy"]
        return accuracy

    worse, better = sorted(values, key=score)
    assert score(worse) < score(better)
    for choices in ((worse, better), (better, worse)):
        assert torch.equal(predict(*choices), predict(better))


@pytest.mark.data
@pytest.mark.slow
def test_colours_alone_beat_chance_on_real_photos_and_stay_far_from_good(data_dir: Path) -> None:
    """On every eighth photo of each split, decoded anew, so that the test takes seconds."""
    from myna.birds.cache import prepare
    from myna.birds.splits import load_splits

    splits = load_splits(data_dir)
    labelled = {}
    for name in ("train", "val", "test"):
        photos = splits.named(name)[::8]
        labelled[name] = LabelledPhotos(prepare([p.path for p in photos], 32), [p.class_id for p in photos])
    predict = fit_neighbours(labelled["train"], labelled["val"], len(splits.classes))
    result = evaluate(predict(labelled["test"].photos), labelled["test"].label_ids, splits.classes)
    assert 0.08 < result["accuracy"] < 0.4
