"""Checkpoints: folders that are replaced as a whole, so that a kill at any moment leaves one to go on from."""

from __future__ import annotations

import pickle
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from myna.errors import UserError
from myna.files import replacing

WEIGHTS = "model.safetensors"
STATE = "state.pt"


def replace_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a folder beside `folder` by calling `write` on it, then let it take its place.

    If `write` raises, `folder` is left as it was. After a kill between the two renames `recover_folder` puts the
    old one back.
    """
    new, old = _beside(folder)
    recover_folder(folder)
    try:
        new.mkdir(parents=True)
        write(new)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def recover_folder(folder: Path) -> None:
    """Clear up after a `replace_folder` that was killed: `folder` is then the old one or the new one, whole."""
    new, old = _beside(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(new, ignore_errors=True)


def save_weights(path: Path, tensors: dict[str, Tensor], *, half: bool = False) -> None:
    """Write weights as safetensors, floating-point ones in half precision if asked.

    Raises:
        UserError: the file cannot be written.
    """
    kept = {
        name: (t.half() if half and t.is_floating_point() else t).detach().cpu().contiguous()
        for name, t in tensors.items()
    }
    with replacing(path) as temporary:
        try:
            save_file(kept, temporary)
        except SafetensorError as error:  # its name for a full disk
            raise OSError(str(error)) from error


def load_weights(model: nn.Module, path: Path) -> None:
    """Load weights from a safetensors file into a model, whatever their precision.

    Raises:
        UserError: the file is missing, broken, or belongs to another model.
    """
    tensors = _read_weights(path)
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = [name for name in sorted(own | found) if own.get(name) != found.get(name)]
    if wrong:
        first, more = wrong[0], f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        has, expects = found.get(first, "missing"), own.get(first, "nothing of that name")
        raise UserError(f"{path}: of another model or size: {first} is {has}, expected {expects}{more}")
    model.load_state_dict(tensors)


def load_matching_weights(model: nn.Module, path: Path) -> list[str]:
    """Load those parameters of a safetensors file that a model has under the same name and in the same shape.

    Buffers are left out: some are facts of a model's own vocabulary, which another of its size does not share.

    Returns:
        their names.

    Raises:
        UserError: the file is missing or broken, or nothing in it fits.
    """
    own = dict(model.named_parameters())
    tensors = _read_weights(path)
    fitting = {name: tensor for name, tensor in tensors.items() if name in own and own[name].shape == tensor.shape}
    if not fitting:
        raise UserError(f"{path}: none of its weights fits this model; expected a model with parts of the same sizes")
    model.load_state_dict(fitting, strict=False)
    return sorted(fitting)


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the rest of a training's state: tensors and plain values, which cannot turn into running code.

    Raises:
        UserError: the file cannot be written.
    """
    with replacing(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:  # its name for a full disk
            raise OSError(str(error).splitlines()[0]) from error


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote; nothing but tensors and plain values is read, so that no code can run.

    Raises:
        UserError: the file is missing, broken, or holds something else.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; the run has no checkpoint to resume from")
    try:
        with warnings.catch_warnings(action="ignore"):  # of torch, before it refuses a file
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(f"{path}: not a checkpoint of Myna: it is broken, or reading it could run code") from None
    except Exception as error:  # a broken file fails in whatever way its wrong bytes lead to
        raise UserError(f"{path}: not a checkpoint of Myna, or a broken one: {type(error).__name__}") from None
    if not isinstance(state, dict):
        raise UserError(f"{path}: not a checkpoint: holds a {type(state).__name__}")
    return state


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a safetensors file: {error}") from None


def _beside(folder: Path) -> tuple[Path, Path]:
    """Return where the new folder is written and where the old one waits while they change places."""
    return folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
