from __future__ import annotations

import pytest

from myna.report.plots import spread_out


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], []), ([5.0], [5.0]), ([1.0, 9.0], [1.0, 9.0]), ([4.0, 6.0], [3.0, 7.0]), ([0.0, 5.0, 6.0], [-0.5, 3.5, 7.5])],
)
def test_labels_that_would_touch_are_spread_about_their_middle(values: list[float], expected: list[float]) -> None:
    # The last case: moving 5 and 6 apart brings 5 too near to 0, so all three are spread about 11 / 3.
    spread = spread_out(values, gap=4.0)
    assert spread == pytest.approx([v + (11 / 3 - 3.5 if len(values) == 3 else 0) for v in expected])
