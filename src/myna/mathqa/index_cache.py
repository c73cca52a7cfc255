"""The index of the training problems, kept ready: building it takes seconds, reading it a fraction of one."""

from __future__ import annotations

import hashlib
import zipfile
from contextlib import suppress
from pathlib import Path

from myna.config import find_data
from myna.errors import UserError
from myna.mathqa.baselines import NeighbourIndex
from myna.mathqa.problems import read_problems, split_path
from myna.mathqa.splits import generate_splits
from myna.runs import runs_folder

# To be raised when the vectors change. Texts and programs are held to the hash that a model names.
_VERSION = 1


def load_index(option: Path | None = None, limit: int = 0) -> NeighbourIndex:
    """Return the index of the training problems, found as the splits are; those of a file are read once and kept.

    Args:
        option: the data folder asked for; else $MYNA_DATA, then ./data, then the generated sample.
        limit: how many of the problems, from the first; 0 takes all.

    Raises:
        UserError: a folder was named, but holds no training problems, or their file is broken.
    """
    folder = find_data(option)
    if folder is None:
        return NeighbourIndex(generate_splits().train[: limit or None])
    path = split_path(folder, "train")
    cached = _find_cached(path, limit)
    # Whatever is wrong with a kept index, it can be made anew.
    with suppress(OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return NeighbourIndex.load(cached)
    index = NeighbourIndex(read_problems(path)[: limit or None])
    # One that cannot be kept costs time alone.
    with suppress(UserError):
        index.save(cached)
    return index


def _find_cached(path: Path, limit: int) -> Path:
    """Return where the index of the first problems of a file is kept, named by what the file holds.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise UserError(f"{path}: {reason}") from None
    digest = hashlib.sha256(content).hexdigest()
    return runs_folder() / "cache" / f"neighbours-{_VERSION}-{digest[:16]}-{limit}.npz"
