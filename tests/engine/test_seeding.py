from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch

from myna.engine.checkpoint import load_state, save_state
from myna.engine.seeding import random_states, restore_random_states, seed_all


def draw() -> list[object]:
    """Numbers of every generator, the normal ones of which keep a second one back."""
    return [random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(3).tolist()]  # noqa: NPY002


def test_a_seed_decides_every_number() -> None:
    seed_all(3)
    first = draw()
    seed_all(3)
    assert draw() == first
    seed_all(4)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_states_come_back_from_a_file(tmp_path: Path) -> None:
    seed_all(0)
    draw()
    save_state(tmp_path / "state.pt", {"random": random_states()})
    expected = [draw(), draw()]
    seed_all(9)
    restore_random_states(load_state(tmp_path / "state.pt")["random"])
    assert [draw(), draw()] == expected


def test_states_of_a_machine_without_an_accelerator_are_enough() -> None:
    seed_all(0)
    states = {**random_states(), "device": None}
    expected = draw()
    restore_random_states(states)
    assert draw() == expected
