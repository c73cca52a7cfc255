"""A checkpoint whose bytes are not those that were written: it is refused in one line, and left for a look."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from myna.config import TrainingSection, check
from myna.engine.checkpoint import load_state, load_weights, save_weights
from myna.engine.loop import Trainer
from myna.errors import UserError

SETTINGS = check(TrainingSection, {"epochs": 1, "average_decay": 0.9}, "test")
FILES = ("model.safetensors", "state.pt")


@pytest.fixture
def run(tmp_path: Path, tiny_task: Any) -> Path:
    """The folder of a small run."""
    Trainer(tiny_task(), SETTINGS, tmp_path / "run").train()
    return tmp_path / "run"


def resume(tiny_task: Any, folder: Path) -> str:
    """Take up a run's checkpoint; return why it cannot be."""
    try:
        Trainer(tiny_task(), SETTINGS, folder, resume=True)
    except UserError as error:
        return str(error)
    return ""


def same(a: Any, b: Any) -> bool:
    """Compare nested values, tensors to the bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_seen_wherever_it_matters(run: Path, tiny_task: Any, name: str) -> None:
    """Whatever is taken up is what was saved; what is refused is named in one line and not touched."""
    path = run / "last" / name
    whole = path.read_bytes()
    expected = load_state(path) if name == "state.pt" else load_file(path)
    chance, n_refused = random.Random(0), 0
    for place in [*range(0, 40, 3), *(chance.randrange(len(whole)) for _ in range(60))]:
        wrong = bytearray(whole)
        wrong[place] ^= 1 << chance.randrange(8)
        path.write_bytes(wrong)
        if said := resume(tiny_task, run):
            assert said.startswith(f"{path}: "), place
            assert len(said.splitlines()) == 1, place
            assert path.read_bytes() == wrong, place
            n_refused += 1
        else:
            # Bits between the parts of an archive mean nothing.
            assert same(load_state(path) if name == "state.pt" else load_file(path), expected), place
    assert n_refused > 40


@pytest.mark.parametrize("name", FILES)
def test_a_checkpoint_cut_short_is_refused_at_every_length(run: Path, tiny_task: Any, name: str) -> None:
    path = run / "last" / name
    whole = path.read_bytes()
    for length in (0, 1, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        said = resume(tiny_task, run)
        assert said.startswith(f"{path}: "), length
        assert len(said.splitlines()) == 1, length
    path.write_bytes(whole)
    assert not resume(tiny_task, run)


@pytest.mark.parametrize("name", FILES)
def test_a_checkpoint_that_lacks_a_file_is_refused(run: Path, tiny_task: Any, name: str) -> None:
    (run / "last" / name).unlink()
    assert resume(tiny_task, run).startswith(f"{run / 'last' / name}: no such file")


def test_weights_without_a_checksum_are_read(tmp_path: Path) -> None:
    """Those of other programs, and of Myna before it wrote one."""
    model = torch.nn.Linear(2, 1)
    save_file(model.state_dict(), tmp_path / "w")
    load_weights(torch.nn.Linear(2, 1), tmp_path / "w")


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64, torch.bool])
def test_the_checksum_is_of_tensors_of_every_type(tmp_path: Path, dtype: torch.dtype) -> None:
    save_weights(tmp_path / "w", {"weight": torch.ones(1, 2, dtype=dtype), "bias": torch.zeros((), dtype=dtype)})
    model = torch.nn.Module()
    model.register_buffer("weight", torch.zeros(1, 2, dtype=dtype))
    model.register_buffer("bias", torch.ones((), dtype=dtype))
    load_weights(model, tmp_path / "w")
    assert model.weight.all()
    assert not model.bias.any()
