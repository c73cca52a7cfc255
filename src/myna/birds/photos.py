"""Reading a photo, whatever it is: one upright RGB picture out, or one line that says what is wrong with the file."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from myna.errors import UserError

MAX_PIXELS = 64_000_000
"""More than any camera that photographs birds makes; what claims more is a decompression bomb."""
MAX_ASPECT = 4
"""The longest strip that is still looked at as a whole; no photo of a bird is near it."""
_WIDE_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_MAX_16_BIT = 65_535


class BrokenPhotoError(UserError):
    """A file that is no photo, or not a whole one."""


def read_photo(path: Path) -> Image.Image:
    """Read a photo as RGB, turned upright by its EXIF orientation; of an animation, the first frame.

    Transparency is laid over white, 16 bits become 8, and grey, palette and CMYK become RGB.

    Raises:
        BrokenPhotoError: the file is missing, is no image, is cut short, or has more than `MAX_PIXELS` pixels.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            width, height = image.size
            # The size stands in the header: nothing is decoded yet.
            if width * height > MAX_PIXELS:
                raise BrokenPhotoError(f"{path}: {width} x {height} pixels; expected at most {MAX_PIXELS:,} in all")
            if min(width, height) < 1:
                raise BrokenPhotoError(f"{path}: {width} x {height} pixels; expected at least 1 x 1")
            image.load()
            return _as_rgb(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombError, UnidentifiedImageError):
        raise BrokenPhotoError(f"{path}: no image that can be read, or too large a one") from None
    except FileNotFoundError:
        raise BrokenPhotoError(f"{path}: no such file") from None
    except MemoryError:
        raise BrokenPhotoError(f"{path}: does not fit into memory") from None
    except UserError:
        raise
    # Pillow's decoders fail on broken files in whatever way the wrong bytes lead to.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BrokenPhotoError(f"{path}: broken image: {reason}") from None


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


def _as_rgb(image: Image.Image) -> Image.Image:
    """Bring any mode to RGB."""
    if image.mode in _WIDE_MODES:
        return _from_wide_grey(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _from_wide_grey(image: Image.Image) -> Image.Image:
    """Scale grey of 16 bits or more to 8: Pillow's own `convert` cuts off all above 255."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    highest = _MAX_16_BIT if values.max() > 255 or image.mode.startswith("I;16") else 255
    return Image.fromarray((values.clip(0, highest) * (255 / highest)).astype(np.uint8), "L").convert("RGB")


assert not ImageFile.LOAD_TRUNCATED_IMAGES, "a photo that is cut short must not pass as whole"
