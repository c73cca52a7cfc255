"""What the frozen layers of BERT make of each text, computed once and kept on the disk in half precision.

    <folder>/<key>.safetensors    `states` (P, D) of up to 256 texts in a row, `ends` (n,) and `keys` (n, 32)

A text is found by the SHA-256 of its pieces, and the folder is named after the weights: nothing stale can be read.
Files are put in place whole and never change, so processes that fill one folder do not get in each other's way.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from myna.engine.checkpoint import save_weights
from myna.engine.tracking import progress
from myna.errors import UserError

Pieces = tuple[int, ...]
_AT_A_TIME = 256
_BATCH_SIZE = 32
_KEY_SIZE = hashlib.sha256().digest_size


class StateStore:
    """The states of texts, by their pieces.

    Args:
        folder: of the files; made when something is stored.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[bytes, tuple[Path, int, int]] = {}
        self._files: dict[Path, safe_open] = {}

    def prepare(self, texts: Iterable[Pieces], compute: Callable[[Sequence[Pieces]], Sequence[Tensor]]) -> None:
        """Store what is missing.

        Args:
            texts: that will be asked for.
            compute: returns the states (P, D) of some texts.

        Raises:
            UserError: a file is broken or cannot be written.
        """
        # Files never change, so those that were read need not be read again.
        known = {path for path, _, _ in self._places.values()}
        for path in sorted(set(self.folder.glob("*.safetensors")) - known):
            self._read_places(path)
        missing = [text for text in dict.fromkeys(texts) if _key(text) not in self._places]
        # Texts of like length together pad little.
        missing.sort(key=lambda text: (len(text), text))
        if not missing:
            return
        with progress("encoding texts once", len(missing)) as tick:
            for group in _groups(missing, _AT_A_TIME):
                states = [rows for batch in _groups(group, _BATCH_SIZE) for rows in compute(batch)]
                self._store(group, states)
                tick(len(group))

    def get(self, text: Pieces) -> Tensor | None:
        """Return the states (P, D) of a text, or None if they are not stored."""
        place = self._places.get(_key(text))
        if place is None:
            return None
        path, start, end = place
        states: Tensor = self._open(path).get_slice("states")[start:end]  # type: ignore[no-untyped-call]
        return states

    def _store(self, texts: Sequence[Pieces], states: Sequence[Tensor]) -> None:
        """Write a file of some texts."""
        keys = [_key(text) for text in texts]
        path = self.folder / f"{hashlib.sha256(b''.join(keys)).hexdigest()[:24]}.safetensors"
        tensors = {
            "states": torch.cat(list(states)).half(),
            "ends": torch.tensor([len(text) for text in texts]).cumsum(0),
            "keys": torch.frombuffer(bytearray(b"".join(keys)), dtype=torch.uint8).view(len(keys), -1),
        }
        save_weights(path, tensors)
        self._read_places(path)

    def _read_places(self, path: Path) -> None:
        """Take up what a file holds."""
        file = self._open(path)
        try:
            last, keys = (file.get_tensor(name) for name in ("ends", "keys"))  # type: ignore[no-untyped-call]
            n_rows, _ = file.get_slice("states").get_shape()  # type: ignore[no-untyped-call]
        except (SafetensorError, ValueError) as error:
            raise UserError(f"{path}: not states of texts: {error}; delete it") from None
        ends = [0, *last.flatten().tolist()]
        if (
            keys.dtype != torch.uint8
            or keys.shape != (len(last), _KEY_SIZE)
            or ends != sorted(ends)
            or ends[-1] != n_rows
        ):
            raise UserError(f"{path}: not states of texts: its parts do not fit each other; delete it")
        for key, (start, end) in zip(keys, pairwise(ends), strict=True):
            self._places[bytes(key.tolist())] = path, start, end

    def _open(self, path: Path) -> safe_open:
        """Return a file, memory-mapped."""
        if path not in self._files:
            try:
                self._files[path] = safe_open(path, framework="pt")
            except (SafetensorError, OSError) as error:
                raise UserError(f"{path}: not states of texts: {error}; delete it") from None
        return self._files[path]


def _key(text: Pieces) -> bytes:
    """Return what a text is found by."""
    return hashlib.sha256(array("q", text).tobytes()).digest()


def _groups(texts: Sequence[Pieces], size: int) -> Iterator[Sequence[Pieces]]:
    for start in range(0, len(texts), size):
        yield texts[start : start + size]
