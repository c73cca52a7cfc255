"""Checkpoints: folders that are replaced as a whole, so that a kill at any moment leaves one to go on from."""

from __future__ import annotations

import hashlib
import pickle
import pickletools
import re
import shutil
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from myna import runs
from myna.errors import UserError
from myna.files import replacing, writing

WEIGHTS = runs.WEIGHTS
STATE = "state.pt"
_PRECISIONS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_STATE_PARTS = re.compile(r"torch._utils _rebuild_tensor_v2|torch \w+Storage|collections OrderedDict")
"""What a state is built of. torch would let more pass, a bytearray that fills the memory among it."""


def replace_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a folder beside `folder` by calling `write` on it, then let it take its place.

    If `write` raises, `folder` is left as it was. After a kill between the two renames `recover_folder` puts the
    old one back.

    Raises:
        UserError: the folder cannot be written: no permission, a full disk.
    """
    new, old = _beside(folder)
    with writing(folder):
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
    """Clear up after a `replace_folder` that was killed: `folder` is then the old one or the new one, whole.

    Raises:
        UserError: the folder beside it cannot take its place: no permission.
    """
    new, old = _beside(folder)
    if old.exists() and not folder.exists():
        with writing(folder):
            old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(new, ignore_errors=True)


def check_replaceable(folder: Path, mark: str, what: str) -> None:
    """Refuse to replace a folder that a user named, if something else is in it.

    Args:
        folder: to be replaced; new, empty, or an older one of its kind.
        mark: the file that every one of its kind has.
        what: it should hold, such as "a model".

    Raises:
        UserError: it holds something else.
    """
    if folder.exists() and not (folder.is_dir() and ((folder / mark).exists() or not any(folder.iterdir()))):
        raise UserError(f"{folder}: holds something else than {what}; name a new folder, or an older one of its kind")


def find_folder(model_file: Path) -> Path:
    """Return the folder of a model, given that or its weights file.

    Raises:
        UserError: it is neither.
    """
    if model_file.is_dir():
        return model_file
    if model_file.name != WEIGHTS or not model_file.is_file():
        raise UserError(f"{model_file}: expected the folder of a model, or the {WEIGHTS} in it")
    return model_file.parent


def save_weights(path: Path, tensors: dict[str, Tensor], *, half: bool = False) -> None:
    """Write weights as safetensors with their checksum, floating-point ones in half precision if asked.

    Raises:
        UserError: the file cannot be written.
    """
    # Copies, since the format takes no tensor under two names.
    kept = {
        name: (t.half() if half and t.is_floating_point() else t).detach().to("cpu", copy=True).contiguous()
        for name, t in tensors.items()
    }
    with replacing(path) as temporary:
        try:
            save_file(kept, temporary, {runs.CHECKSUM: _hash_tensors(kept)})
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
    for name, tensor in model.state_dict().items():
        if not _may_become(tensors[name], tensor):
            has, expects = (str(t.dtype).removeprefix("torch.") for t in (tensors[name], tensor))
            raise UserError(f"{path}: of another model: {name} holds {has}, expected {expects}")
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
    fitting = {
        name: tensor
        for name, tensor in tensors.items()
        if name in own and own[name].shape == tensor.shape and _may_become(tensor, own[name])
    }
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
            # A file of Python's, whose error says what is wrong; torch's own says where in its code it was noticed.
            with temporary.open("wb") as file:
                torch.save(state, file)
        except RuntimeError as error:
            raise (error.__context__ or error) from None


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote; nothing but tensors and plain values is read, so that no code can run.

    Raises:
        UserError: the file is missing, broken, or holds something else.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; the run has no checkpoint to resume from")
    try:
        if strange := _find_strange_part(path):
            raise UserError(f"{path}: not a checkpoint of Myna: {strange}")
        with warnings.catch_warnings(action="ignore"):  # of torch, before it refuses a file
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except pickle.UnpicklingError:
        raise UserError(f"{path}: not a checkpoint of Myna: it is broken, or reading it could run code") from None
    except Exception as error:  # a broken file fails in whatever way its wrong bytes lead to
        raise UserError(f"{path}: not a checkpoint of Myna, or a broken one: {type(error).__name__}") from None
    if not isinstance(state, dict):
        raise UserError(f"{path}: not a checkpoint: holds a {type(state).__name__}")
    return state


def _find_strange_part(path: Path) -> str:
    """Return what is wrong with the archive that a state is; torch looks for none of it. "" if nothing is.

    torch.save compresses nothing: what would be larger than its file, unpacked, is a bomb.
    """
    with zipfile.ZipFile(path) as archive:
        if sum(part.file_size for part in archive.infolist()) > path.stat().st_size:
            return "unpacked, it would be larger than it is"
        if damaged := archive.testzip():
            return f"{damaged!r} in it is damaged"
        for name in archive.namelist():
            if name.endswith(".pkl"):
                built = {str(what) for code, what, _ in pickletools.genops(archive.read(name)) if code.name == "GLOBAL"}
                if strange := sorted(what for what in built if not _STATE_PARTS.fullmatch(what)):
                    return f"it holds a {strange[0]!r}"
    return ""


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file, and hold its tensors against their checksum where it has one.

    Raises:
        UserError: the file is missing, broken or damaged.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            checksum = (file.metadata() or {}).get(runs.CHECKSUM)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a safetensors file: {error}") from None
    if checksum not in (None, _hash_tensors(tensors)):
        raise UserError(f"{path}: damaged: its weights do not have the checksum that they were written with")
    return tensors


def _may_become(tensor: Tensor, own: Tensor) -> bool:
    """Return whether a tensor's numbers are of its own kind: the same type, or of another precision."""
    return tensor.dtype == own.dtype or (tensor.dtype in _PRECISIONS and own.dtype in _PRECISIONS)


def _hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors, with their names and types, in hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _beside(folder: Path) -> tuple[Path, Path]:
    """Return where the new folder is written and where the old one waits while they change places.

    By names that are hidden, so that no folder of the user's is taken for one of them.
    """
    folder = folder.absolute()  # "." has no name
    return folder.with_name(f".{folder.name}.myna-new"), folder.with_name(f".{folder.name}.myna-old")
