"""The device that stands in for a GPU refuses what a GPU refuses."""

from __future__ import annotations

import pytest
import torch


def test_tensors_of_two_devices_are_not_mixed(far: torch.device) -> None:
    there, here = torch.ones(3, device=far), torch.ones(3)
    with pytest.raises(RuntimeError, match="expected all tensors on one device"):
        there + here
    with pytest.raises(RuntimeError, match="expected all tensors on one device"):
        there.masked_fill_(here > 0, 0.0)
    with pytest.raises(TypeError, match=r"use Tensor\.cpu\(\) first"):
        there.numpy()


def test_what_stays_or_comes_back_says_so(far: torch.device) -> None:
    there = torch.tensor([1.0, 2.0], device=far)
    assert (there * 2 + torch.tensor(1.0)).device == there.new_zeros(2).device == far
    assert there.add_(1) is there
    assert there.cpu().device == torch.zeros(2).device == torch.device("cpu")
    assert there.cpu().tolist() == there.tolist() == [2.0, 3.0]
