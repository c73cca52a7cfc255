"""Reading a photo, whatever it is: one upright RGB picture out, or one line that says what is wrong with the file."""

from __future__ import annotations

import threading
import warnings
from contextlib import ExitStack
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from myna.errors import UserError

MAX_PIXELS = 64_000_000
"""More than any camera that photographs birds makes; what claims more is a decompression bomb."""
MAX_ASPECT = 4
"""The longest strip that is still looked at as a whole; no photo of a bird is near it."""
_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF")
"""Pillow's names. Left out is what no camera writes, and EPS, for which Pillow starts another program."""
_WIDE_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_WHITES = (1, 255, 65_535, 2**32 - 1)
"""What white may be in pixels of 16 and 32 bits and in floats."""


class BrokenPhotoError(UserError):
    """A file that is no photo, or not a whole one."""


class _Quiet:
    """Keeps warnings quiet while at least one thread is inside: `warnings.catch_warnings` alone serves one thread."""

    def __init__(self) -> None:
        self._lock, self._n_inside = threading.Lock(), 0
        self._filters = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._n_inside:
                self._filters.enter_context(warnings.catch_warnings(action="ignore"))
            self._n_inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._n_inside -= 1
            if not self._n_inside:
                self._filters.close()


_quiet = _Quiet()


@cache
def photo_formats() -> tuple[str, ...]:
    """Return Pillow's names of the formats that are read, as far as this Pillow can."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def read_photo(path: Path, least_side: int | None = None) -> Image.Image:
    """Read a photo file as `decode_photo` does.

    Args:
        path: of the file.
        least_side: as in `decode_photo`.

    Raises:
        BrokenPhotoError: the file is missing, or its content is refused.
    """
    # Not for reading to find out: it would wait for ever at a named pipe.
    if not path.is_file():
        raise BrokenPhotoError(f"{path}: no such file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BrokenPhotoError(f"{path}: cannot be read: {error.strerror or error}") from None
    return decode_photo(content, str(path), least_side)


def decode_photo(content: bytes, name: str, least_side: int | None = None) -> Image.Image:
    """Decode a photo to RGB, turned upright by its EXIF orientation; of an animation, the first frame.

    Transparency is laid over white, 16 bits become 8, and grey, palette and CMYK become RGB.

    Args:
        content: of a file.
        name: of the file, for the message.
        least_side: for a thumbnail: a JPEG may come smaller, by up to 8 times, but with no side below this. That is
            faster. None is the whole photo.

    Raises:
        BrokenPhotoError: the content is no image, is cut short, or has more than `MAX_PIXELS` pixels.
    """
    try:
        with _quiet, Image.open(BytesIO(content), formats=photo_formats()) as image:
            width, height = image.size
            # The size stands in the header: nothing is decoded yet.
            if width * height > MAX_PIXELS:
                raise BrokenPhotoError(f"{name}: {width} x {height} pixels; expected at most {MAX_PIXELS:,} in all")
            if min(width, height) < 1:
                raise BrokenPhotoError(f"{name}: {width} x {height} pixels; expected at least 1 x 1")
            if least_side:
                image.draft(None, (least_side, least_side))
            image.load()
            return _as_rgb(_upright(image))
    except UnidentifiedImageError:
        raise BrokenPhotoError(f"{name}: no image that can be read") from None
    except Image.DecompressionBombError:
        raise BrokenPhotoError(f"{name}: far too many pixels; expected at most {MAX_PIXELS:,}") from None
    except MemoryError:
        raise BrokenPhotoError(f"{name}: does not fit into memory") from None
    except UserError:
        raise
    # Pillow's decoders fail on broken files in whatever way the wrong bytes lead to.
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise BrokenPhotoError(f"{name}: broken image: {reason.splitlines()[0]}") from None


def resize_shorter(image: Image.Image, side: int) -> Image.Image:
    """Scale a photo so that its shorter side has `side` pixels; the aspect ratio stays.

    Of a strip longer than `MAX_ASPECT` times its width, the middle is kept, so that no file can fill the memory.
    """
    longest = MAX_ASPECT * min(image.size)
    if max(image.size) > longest:
        left, top = (max(0, length - longest) // 2 for length in image.size)
        image = image.crop((left, top, image.width - left, image.height - top))
    scale = side / min(image.size)
    size = (max(side, round(image.width * scale)), max(side, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC)


def _upright(image: Image.Image) -> Image.Image:
    """Turn a photo as its EXIF says; where the EXIF is broken, the pixels are still good."""
    try:
        # Not in a copy: of 64 million pixels, each takes a quarter of a gigabyte.
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:
        return image
    return image


def _as_rgb(image: Image.Image) -> Image.Image:
    """Bring any mode to RGB."""
    if image.mode in _WIDE_MODES:
        return _from_wide_grey(image)
    if image.has_transparency_data:
        layer = image if image.mode == "RGBA" else image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def _from_wide_grey(image: Image.Image) -> Image.Image:
    """Scale grey of 16 bits, 32 bits or floats to 8 bits: Pillow's own `convert` cuts off all above 255."""
    # Single precision, and in place: of 64 million pixels, each copy counts.
    values = np.array(image, dtype=np.float32)  # (H, W)
    np.nan_to_num(values, copy=False, posinf=0, neginf=0)
    highest = _WHITES[2] if image.mode.startswith("I;16") else values.max()
    white = next((white for white in _WHITES if highest <= white), highest)
    values.clip(0, out=values)
    values *= 255 / white
    return Image.fromarray(np.rint(values, out=values).astype(np.uint8)).convert("RGB")


assert not ImageFile.LOAD_TRUNCATED_IMAGES, "a photo that is cut short must not pass as whole"
