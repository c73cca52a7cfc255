"""Our dropout has the statistics of torch's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from myna.mathqa.dropout import Dropout


@pytest.mark.parametrize("p", [0.03, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_share_is_dropped_and_the_rest_scaled_up(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    n = 400_000
    dropped = Dropout(p)(torch.full((4, n // 4), 3.0, dtype=dtype))
    assert dropped.dtype == dtype
    kept = dropped != 0
    expected = nn.Dropout(p)(torch.full((4, n // 4), 3.0, dtype=dtype)).amax()
    assert dropped[kept].unique().tolist() == [expected.item()]
    # Five standard deviations of the share.
    assert kept.double().mean().item() == pytest.approx(1 - p, abs=5 * (p * (1 - p) / n) ** 0.5)


def test_numbers_are_dropped_each_by_itself() -> None:
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(50_000, 8)) != 0).double()
    # Those that share a draw are no exception: 1 / sqrt(50,000) is 0.0045.
    correlations = torch.corrcoef(kept.T) - torch.eye(8)
    assert correlations.abs().max() < 0.025
    assert abs(torch.corrcoef(torch.stack([kept[:-1, 0], kept[1:, 0]]))[0, 1]) < 0.025


@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (2, 0, 3), (7, 1, 3)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    assert Dropout(0.5)(torch.ones(shape)).shape == shape


def test_gradients_pass_where_numbers_did() -> None:
    torch.manual_seed(0)
    x = torch.ones(1000, requires_grad=True)
    y = Dropout(0.4)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())


def test_the_seed_decides() -> None:
    masks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        masks.append(Dropout(0.5)(torch.ones(100)))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_it_rests_outside_training_and_at_the_ends_of_its_range() -> None:
    x = torch.randn(100)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert not Dropout(1.0)(x).any()
