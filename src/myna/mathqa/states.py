"""What the frozen layers of BERT make of each text, computed once and kept on the disk in half precision.

    <folder>/<key>.safetensors    `states` (P, D) of up to 256 texts in a row, `ends` (n,) and `keys` (n, 32)

A text is found by the SHA-256 of its pieces, and the folder is named after the weights: nothing stale can be read.
Files are put in place whole and never change. Processes that fill one folder divide the work: each takes the groups of
texts that no other is at.
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
from myna.files import take_turns

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
        self._read_new()
        missing = self._missing(dict.fromkeys(texts))
        # Texts of like length together pad little. Another process that misses the same has the same groups, and one
        # that comes later all but those that are done.
        missing.sort(key=lambda text: (len(text), text))
        if not missing:
            return

        def store(group: Sequence[Pieces]) -> None:
            self._read_new()
            left = self._missing(group)
            if left:
                self._store(left, [rows for batch in _groups(left, _BATCH_SIZE) for rows in compute(batch)])
            tick(len(group))

        with progress("encoding texts once", len(missing)) as tick:
            take_turns(_groups(missing, _AT_A_TIME), lambda group: self.folder / "locks" / _name(group), store)

    def get(self, text: Pieces) -> Tensor | None:
        """Return the states (P, D) of a text, or None if they are not stored."""
        place = self._places.get(_key(text))
        if place is None:
            return None
        path, start, end = place
        states: Tensor = self._open(path).get_slice("states")[start:end]  # type: ignore[no-untyped-call]
        return states

    def _read_new(self) -> None:
        """Take up the files that were not there before; they never change, so the others need not be read again."""
        known = {path for path, _, _ in self._places.values()}
        for path in sorted(set(self.folder.glob("*.safetensors")) - known):
            self._read_places(path)

    def _missing(self, texts: Iterable[Pieces]) -> list[Pieces]:
        """Return the texts that are not stored."""
        return [text for text in texts if _key(text) not in self._places]

    def _store(self, texts: Sequence[Pieces], states: Sequence[Tensor]) -> None:
        """Write a file of some texts."""
        keys = [_key(text) for text in texts]
        path = self.folder / f"{_name(texts)}.safetensors"
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


def _name(texts: Sequence[Pieces]) -> str:
    """Return what a file of some texts is called."""
    return hashlib.sha256(b"".join(map(_key, texts))).hexdigest()[:24]


def _groups(texts: Sequence[Pieces], size: int) -> Iterator[Sequence[Pieces]]:
    for start in range(0, len(texts), size):
        yield texts[start : start + size]
