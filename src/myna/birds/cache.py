"""Photos decoded once: a file of raw pixels, memory-mapped, so that epochs never decode a JPEG again.

    <runs>/cache/photos-<side>/  pixels.bin   uint8, one photo after the other, (height, width, 3) each
                                 index.jsonl  a line for each photo: content hash, offset, height, width

A photo is found by the SHA-256 of its file's bytes: a file that changed is decoded anew, one that moved is not, and
copies are stored once. Lines are written after their pixels are on the disk, so that a kill or a power cut loses one
group of photos at most. A file that cannot be read is tried again the next time: the disk or Pillow may be at fault.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from myna import runs
from myna.birds.photos import BrokenPhotoError, read_photo, resize_shorter
from myna.engine.tracking import console, progress
from myna.errors import UserError

PIXELS, INDEX = "pixels.bin", "index.jsonl"
_AT_A_TIME = 64
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Entry:
    """Where a photo's pixels lie; one with a fault has none.

    Attributes:
        sha256: of the file's bytes, in hexadecimal.
        offset: of its first byte in the file of pixels.
        height, width: in pixels.
        fault: why the photo could not be read; "" if it could.
    """

    sha256: str
    offset: int
    height: int
    width: int
    fault: str = ""

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.offset + self.height * self.width * 3


class PhotoCache:
    """Decoded photos, by position in a list of files.

    Args:
        paths: files that can be read, as `prepare` gives them.
        entries: where the pixels of each lie.
        pixels: the file of pixels.
    """

    def __init__(self, paths: Sequence[Path], entries: Sequence[Entry], pixels: Path) -> None:
        self.paths, self.entries = list(paths), list(entries)
        self._pixels = np.memmap(pixels, dtype=np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Pixels:
        """Return a photo, (height, width, 3); it lies in the file and cannot be written to."""
        entry = self.entries[index]
        return self._pixels[entry.offset : entry.end].reshape(entry.height, entry.width, 3)


def prepare(paths: Sequence[Path], side: int, on_bad: str = "skip") -> PhotoCache:
    """Decode what is not decoded yet, and open the cache for all files that are photos.

    Args:
        paths: image files.
        side: pixels of the shorter side of a stored photo.
        on_bad: "skip" names files that cannot be read and leaves them out; "fail" refuses them.

    Raises:
        UserError: a file cannot be read and `on_bad` is "fail", or none of them can; or the disk is full.
    """
    folder = runs.runs_folder() / "cache" / f"photos-{side}"
    hashes = _hash_all(paths)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):  # two trainings that begin together share the work
            known = _read_index(folder)
            waiting = {digest: path for path, digest in zip(paths, hashes, strict=True) if digest not in known}
            known |= _decode_all(waiting, folder, side)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from None
    entries = [known[digest] for digest in hashes]
    _report_bad(paths, entries, on_bad)
    good = [(path, entry) for path, entry in zip(paths, entries, strict=True) if not entry.fault]
    if not good:
        raise UserError(f"{paths[0] if paths else folder}: not one photo that can be read")
    return PhotoCache([path for path, _ in good], [entry for _, entry in good], folder / PIXELS)


def _hash_all(paths: Sequence[Path]) -> list[str]:
    """Return `hash_file` of every file, in order."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(hash_file, paths))


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal; of its name, where they cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return hashlib.sha256(f"unreadable {path}".encode()).hexdigest()


def _read_index(folder: Path) -> dict[str, Entry]:
    """Return the entries whose pixels are all there, and cut off what a kill left after them."""
    entries: dict[str, Entry] = {}
    index, pixels = folder / INDEX, folder / PIXELS
    index.touch()
    pixels.touch()
    size = pixels.stat().st_size
    with index.open("rb+") as lines:
        end = 0
        for line in lines:
            try:
                entry = Entry(**json.loads(line))
                is_whole = line.endswith(b"\n") and entry.end <= size
            except (ValueError, TypeError):
                break
            if not is_whole:
                break
            if not entry.fault:
                entries[entry.sha256] = entry
            end += len(line)
        lines.truncate(end)
    os.truncate(pixels, max((entry.end for entry in entries.values()), default=0))
    return entries


def _decode_all(waiting: dict[str, Path], folder: Path, side: int) -> dict[str, Entry]:
    """Decode files and append them to the cache; return their entries by hash."""
    entries: dict[str, Entry] = {}
    if not waiting:
        return entries
    title = f"decoding {len(waiting):,} photos to {side} pixels"
    with (
        (folder / PIXELS).open("ab") as pixels,
        (folder / INDEX).open("a", encoding="utf-8") as index,
        progress(title, len(waiting)) as tick,
    ):
        offset = pixels.seek(0, os.SEEK_END)
        for group in _decode_in_groups(list(waiting.items()), side):
            decoded = []
            for digest, photo in group:
                if isinstance(photo, str):
                    entries[digest] = Entry(digest, offset, 0, 0, fault=photo)
                    continue
                height, width = photo.shape[:2]
                pixels.write(photo.tobytes())
                decoded.append(Entry(digest, offset, height, width))
                offset = decoded[-1].end
            pixels.flush()
            os.fsync(pixels.fileno())
            index.writelines(json.dumps(asdict(entry)) + "\n" for entry in decoded)
            index.flush()
            entries |= {entry.sha256: entry for entry in decoded}
            tick(len(group))
    return entries


def _decode_in_groups(waiting: list[tuple[str, Path]], side: int) -> Iterator[list[tuple[str, Pixels | str]]]:
    """Yield the pixels of files, or why one has none, in groups with their hashes."""

    def decode(item: tuple[str, Path]) -> tuple[str, Pixels | str]:
        digest, path = item
        try:
            pixels = np.asarray(resize_shorter(read_photo(path), side))
            # Else what it holds now would be found for what it held then.
            return digest, pixels if hash_file(path) == digest else "changed while it was read"
        except BrokenPhotoError as error:
            return digest, str(error).removeprefix(f"{path}: ")

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes without holding the interpreter
        for start in range(0, len(waiting), _AT_A_TIME):
            yield list(pool.map(decode, waiting[start : start + _AT_A_TIME]))


def _report_bad(paths: Sequence[Path], entries: Sequence[Entry], on_bad: str) -> None:
    """Name the files that cannot be read, or refuse the first."""
    bad = [(path, entry.fault) for path, entry in zip(paths, entries, strict=True) if entry.fault]
    if bad and on_bad == "fail":
        path, fault = bad[0]
        raise UserError(f"{path}: {fault}" + (f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""))
    for path, fault in bad:
        console.print(f"skipped: {path}: {fault}", markup=False)
