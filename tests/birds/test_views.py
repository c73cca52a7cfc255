"""What a net sees: sizes, seeds, and how far a view may lie from its photo."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myna.birds.views import EvalView, Pixels, TrainView


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ramp(width: int = 120, height: int = 80) -> Pixels:
    """A photo whose red says the column and whose green says the row."""
    photo = np.zeros((height, width, 3), dtype=np.uint8)
    photo[:, :, 0] = np.arange(width)
    photo[:, :, 1] = np.arange(height)[:, None]
    return photo


def plain(colour: tuple[int, int, int]) -> Pixels:
    return np.full((30, 40, 3), colour, dtype=np.uint8)


STILL = TrainView(size=16, min_area=1.0, max_stretch=1.0, flip=False, jitter=0.0)


@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    size=st.integers(1, 40),
    min_area=st.floats(1e-9, 1),
    max_stretch=st.floats(1, 4),
    seed=st.integers(0, 2**32),
)
def test_a_view_is_a_square_whatever_the_photo(
    width: int, height: int, size: int, min_area: float, max_stretch: float, seed: int
) -> None:
    photo = ramp(width, height)
    for view in (EvalView(size)(photo), TrainView(size, min_area, max_stretch, True, 0.5)(photo, rng(seed))):
        assert view.shape == (size, size, 3)
        assert view.dtype == np.uint8


def test_the_seed_alone_says_which_view() -> None:
    view, photo = TrainView(24, 0.4, 1.5, True, 0.3), ramp()
    assert np.array_equal(view(photo, rng(3)), view(photo, rng(3)))
    assert len({view(photo, rng(seed)).tobytes() for seed in range(50)}) == 50


def test_views_stay_as_they_were() -> None:
    """Runs that are resumed, and models that were trained, rest on these very pixels."""
    photo = ramp()
    drawn, middle = TrainView(16, 0.5, 1.33, True, 0.2)(photo, rng(1)), EvalView(16)(photo)
    assert (drawn[0, 0].tolist(), drawn[8, 5].tolist(), int(drawn.sum())) == ([98, 3, 0], [66, 43, 0], 23118)
    assert (middle[3, 5].tolist(), int(middle.sum())) == ([47, 17, 0], 25344)


def test_a_photo_that_cannot_be_written_to_is_enough() -> None:
    photo = ramp()
    photo.flags.writeable = False
    TrainView(16, 0.5, 1.33, True, 0.2)(photo, rng())


def test_eval_view_is_the_square_in_the_middle() -> None:
    wide, high = ramp(120, 80), ramp(80, 120)
    assert np.array_equal(EvalView(80)(wide), wide[:, 20:100])
    assert np.array_equal(EvalView(80)(high), high[20:100])
    assert np.abs(EvalView(8)(wide)[0, :, 0].astype(float) - (20 + 10 * np.arange(8) + 4.5)).max() <= 1


def test_training_view_without_changes_is_the_whole_of_a_square_photo() -> None:
    photo = ramp(64, 64)
    assert np.array_equal(STILL(photo, rng()), EvalView(16)(photo))


def corners_of(view: TrainView, n: int) -> np.ndarray:
    """Left, top, right and bottom of so many views, in pixels of the photo, (n, 4)."""
    photo, found = ramp(), []
    for seed in range(n):
        seen = view(photo, rng(seed)).astype(float)
        half_column, half_row = (seen[0, -1, 0] - seen[0, 0, 0]) / 30, (seen[-1, 0, 1] - seen[0, 0, 1]) / 30
        found.append(
            (
                seen[0, 0, 0] - half_column,
                seen[0, 0, 1] - half_row,
                seen[0, -1, 0] + half_column,
                seen[-1, 0, 1] + half_row,
            )
        )
    return np.array(found) + 0.5


def test_views_lie_anywhere_in_the_photo_and_are_as_large_as_asked() -> None:
    boxes = corners_of(TrainView(16, min_area=0.3, max_stretch=1.0, flip=False, jitter=0.0), 400)
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    areas = widths * heights / (120 * 80)
    assert boxes.min() > -2
    assert boxes[:, 2].max() < 122
    assert boxes[:, 3].max() < 82
    assert 0.27 < areas.min() < 0.36  # the least that is asked for
    # Square parts of a photo of 3:2: those of more than 2/3 of its pixels are cut at its height.
    assert areas.max() == pytest.approx(np.sqrt(2 / 3), abs=0.05)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert np.abs(centres.mean(0) - [60, 40]).max() < 2
    assert centres.std(0).min() > 2.5


def test_stretch_lies_between_its_bounds() -> None:
    boxes = corners_of(TrainView(16, min_area=0.2, max_stretch=1.5, flip=False, jitter=0.0), 600)
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    small = widths * heights < 0.4 * 120 * 80  # none of them is cut at the photo's height
    stretches = (widths / heights)[small]
    assert 1 / 1.6 < stretches.min() < 0.75
    assert 1.35 < stretches.max() < 1.6
    assert abs(np.log(stretches).mean()) < 0.05


def test_half_of_the_views_are_mirrored() -> None:
    view, photo = TrainView(16, 1.0, 1.0, flip=True, jitter=0.0), ramp()
    mirrored = [view(photo, rng(seed))[0, 0, 0] > view(photo, rng(seed))[0, -1, 0] for seed in range(300)]
    assert 0.4 < np.mean(mirrored) < 0.6
    still = [STILL(photo, rng(seed))[0, 0, 0] > STILL(photo, rng(seed))[0, -1, 0] for seed in range(50)]
    assert not any(still)


def test_jitter_of_nothing_changes_nothing_and_that_of_grey_stays_grey() -> None:
    grey = plain((100, 100, 100))
    views = [TrainView(8, 1.0, 1.0, False, 0.2)(grey, rng(seed)) for seed in range(200)]
    assert np.array_equal(STILL(grey, rng()), np.full((16, 16, 3), 100))
    assert all(np.ptp(view.astype(int)) <= 1 for view in views)  # rounding alone
    means = np.array([view.mean() for view in views])
    # Of a plain grey, brightness alone can change: by a fifth at most.
    assert 79 <= means.min() < 84
    assert 116 < means.max() <= 120
    assert means.mean() == pytest.approx(99.5, abs=2)


def test_jitter_keeps_colours_within_their_range_and_hue() -> None:
    views = [TrainView(8, 1.0, 1.0, False, 0.9)(plain((240, 120, 30)), rng(seed))[0, 0] for seed in range(200)]
    assert all(red >= green >= blue for red, green, blue in np.array(views, dtype=int))
    assert np.array(views).max() == 255
    spread = np.array([np.ptp(view.astype(int)) for view in views])
    assert spread.min() < 60  # nearly grey
    assert spread.max() > 240  # far from it


def test_contrast_moves_about_the_mean() -> None:
    photo = np.zeros((8, 8, 3), dtype=np.uint8)
    photo[:, 4:] = 120
    views = np.array([TrainView(8, 1.0, 1.0, False, 0.3)(photo, rng(seed)) for seed in range(300)], dtype=float)
    ranges = np.array([np.ptp(view) for view in views])
    assert ranges.std() > 10
    assert ranges.mean() == pytest.approx(120, rel=0.1)
    assert views.mean() == pytest.approx(60, rel=0.08)
