"""Any photo becomes one upright RGB picture; any other file becomes one line."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from myna.birds.photos import MAX_ASPECT, MAX_PIXELS, BrokenPhotoError, photo_formats, read_photo, resize_shorter

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
EXIF_ORIENTATION = 0x0112
# How a camera that was held so stores an upright picture: what undoes the turn that the tag asks for.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def quarters(size: tuple[int, int] = (12, 8)) -> Image.Image:
    """An upright picture of four colours: red, green over blue, white."""
    image = Image.new("RGB", size)
    width, height = size[0] // 2, size[1] // 2
    for column, row, colour in ((0, 0, RED), (1, 0, GREEN), (0, 1, BLUE), (1, 1, WHITE)):
        image.paste(colour, (column * width, row * height, (column + 1) * width, (row + 1) * height))
    return image


def corners(image: Image.Image) -> list[object]:
    right, bottom = image.width - 1, image.height - 1
    return [image.getpixel(corner) for corner in ((0, 0), (right, 0), (0, bottom), (right, bottom))]


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def png_without_pixels(width: int, height: int) -> bytes:
    """A PNG whose header promises more than comes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")))
    lengths = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(lengths)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "gif", "webp", "ppm", "jp2", "avif", "jpg"])
def test_every_format_is_read(suffix: str, tmp_path: Path) -> None:
    name = Image.registered_extensions()[f".{suffix}"]
    if name not in photo_formats():
        pytest.skip(f"this Pillow cannot read {name}")
    photo = read_photo(saved(quarters((64, 48)), tmp_path / f"a.{suffix}"))
    assert (photo.mode, photo.size) == ("RGB", (64, 48))
    found = np.array(corners(photo), dtype=int)
    assert np.abs(found - [RED, GREEN, BLUE, WHITE]).max() <= (0 if suffix in {"png", "bmp", "tif", "ppm"} else 8)


def test_formats_that_start_other_programs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenPhotoError, match=r"a\.eps: no image that can be read"):
        read_photo(saved(quarters(), tmp_path / "a.eps"))


MODES: dict[str, tuple[Callable[[], Image.Image], str, tuple[int, int, int]]] = {
    "grey": (lambda: Image.new("L", (5, 4), 77), "png", (77, 77, 77)),
    "one bit": (lambda: Image.new("1", (5, 4), 1), "png", WHITE),
    "grey, half seen": (lambda: Image.new("LA", (5, 4), (0, 128)), "png", (127, 127, 127)),
    "colour, not seen": (lambda: Image.new("RGBA", (5, 4), (255, 0, 0, 0)), "png", WHITE),
    "colour, half seen": (lambda: Image.new("RGBA", (5, 4), (255, 0, 0, 128)), "png", (255, 127, 127)),
    "CMYK": (lambda: Image.new("CMYK", (5, 4), (0, 255, 255, 0)), "tif", RED),
    "CMYK as JPEG": (lambda: Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "jpg", (254, 0, 0)),
    "YCbCr": (lambda: quarters().convert("YCbCr").crop((0, 0, 5, 4)), "tif", (254, 0, 0)),
    "16 bits": (lambda: Image.fromarray(np.full((4, 5), 0x80FF, np.uint16)), "png", (128, 128, 128)),
    "16 bits, TIFF": (lambda: Image.fromarray(np.full((4, 5), 0x80FF, np.uint16)), "tif", (128, 128, 128)),
    "16 bits, dark": (lambda: Image.fromarray(np.full((4, 5), 255, np.uint16)), "png", (1, 1, 1)),
    "32 bits": (lambda: Image.fromarray(np.full((4, 5), 2**30, np.int32)), "tif", (64, 64, 64)),
    "floats to 1": (lambda: Image.fromarray(np.full((4, 5), 0.5, np.float32)), "tif", (128, 128, 128)),
    "floats to 255": (lambda: Image.fromarray(np.full((4, 5), 200, np.float32)), "tif", (200, 200, 200)),
    "floats to 65535": (lambda: Image.fromarray(np.full((4, 5), 40_000, np.float32)), "tif", (156, 156, 156)),
}


@pytest.mark.parametrize("name", MODES)
def test_every_mode_becomes_the_same_colours_as_rgb(name: str, tmp_path: Path) -> None:
    make, suffix, expected = MODES[name]
    photo = read_photo(saved(make(), tmp_path / f"a.{suffix}"))
    assert photo.mode == "RGB"
    assert np.abs(np.asarray(photo, dtype=int)[0, 0] - expected).max() <= 1


@pytest.mark.parametrize("transparent", [0, b"\x00\xff"])
def test_palette_with_a_transparent_colour_lies_over_white(transparent: object, tmp_path: Path) -> None:
    image = Image.new("P", (4, 2))
    image.putpalette([*RED, *BLUE])
    image.paste(1, (2, 0, 4, 2))
    photo = read_photo(saved(image, tmp_path / "a.png", transparency=transparent))
    assert corners(photo) == [WHITE, BLUE, WHITE, BLUE]


def test_floats_that_are_no_numbers_are_black(tmp_path: Path) -> None:
    values = np.array([[np.nan, np.inf], [-np.inf, 1.0]], dtype=np.float32)
    photo = read_photo(saved(Image.fromarray(values), tmp_path / "a.tif"))
    assert corners(photo) == [BLACK, BLACK, BLACK, WHITE]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photo_is_turned_upright(orientation: int, suffix: str, tmp_path: Path) -> None:
    upright, turn = quarters((48, 32)), STORED[orientation]
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    path = saved(upright.transpose(turn) if turn is not None else upright, tmp_path / f"a.{suffix}", exif=exif)
    photo = read_photo(path)
    assert photo.size == (48, 32)
    assert np.abs(np.array(corners(photo), dtype=int) - [RED, GREEN, BLUE, WHITE]).max() <= 8


def test_broken_exif_does_not_cost_the_photo(tmp_path: Path) -> None:
    path = saved(quarters((48, 32)), tmp_path / "a.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xffrubbish")
    assert read_photo(path).size == (48, 32)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_of_an_animation_the_first_frame_is_read(suffix: str, tmp_path: Path) -> None:
    first, *others = (Image.new("RGB", (16, 16), colour) for colour in (GREEN, RED, BLUE))
    options = {} if suffix == "tif" else {"duration": 100}
    photo = read_photo(saved(first, tmp_path / f"a.{suffix}", save_all=True, append_images=others, **options))
    assert np.abs(np.asarray(photo, dtype=int) - GREEN).max() <= 2


def truncated(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "text.jpg": (lambda path: path.write_text("no photo at all"), "no image that can be read"),
    "empty.jpg": (lambda path: path.write_bytes(b""), "no image that can be read"),
    "half.jpg": (lambda path: truncated(saved(noise(), path)), "broken image: image file is truncated"),
    "half.png": (lambda path: truncated(saved(noise(), path)), "broken image: "),
    "header.png": (lambda path: path.write_bytes(png_without_pixels(8, 8)), "broken image: "),
    "folder.jpg": (lambda path: path.mkdir(), "no such file"),
    "missing.jpg": (lambda path: None, "no such file"),
    "pipe.jpg": (lambda path: os.mkfifo(path), "no such file"),
    "bomb.png": (
        lambda path: path.write_bytes(png_without_pixels(60_000, 60_000)),
        "far too many pixels; expected at most 64,000,000",
    ),
    "small-bomb.png": (
        lambda path: path.write_bytes(png_without_pixels(9_000, 9_000)),
        "9000 x 9000 pixels; expected at most",
    ),
    "no-pixels.png": (lambda path: path.write_bytes(png_without_pixels(0, 5)), ""),
}


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_photo_is_named_in_one_line(name: str, tmp_path: Path) -> None:
    make, reason = BAD[name]
    make(tmp_path / name)
    with pytest.raises(BrokenPhotoError, match=name) as caught:
        read_photo(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: {reason}")
    assert "\n" not in str(caught.value)


def test_largest_photo_is_as_large_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_without_pixels(MAX_PIXELS // 1000, 1001))
    with pytest.raises(BrokenPhotoError, match="expected at most 64,000,000 in all"):
        read_photo(tmp_path / "a.png")


def test_a_lying_suffix_does_no_harm(tmp_path: Path) -> None:
    saved(quarters(), tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert corners(read_photo(tmp_path / "a.jpg")) == [RED, GREEN, BLUE, WHITE]


def test_warnings_are_quiet_in_many_threads(tmp_path: Path) -> None:
    """Pillow warns of broken EXIF; were warnings turned off by each thread alone, some would come through as errors."""
    path = saved(
        quarters((48, 32)), tmp_path / "a.jpg", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + b"\x01" * 8
    )
    with pytest.warns(UserWarning, match="EXIF"), Image.open(path) as image:
        image.getexif()
    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        sizes = set(pool.map(lambda _: read_photo(path).size, range(200)))
    assert sizes == {(48, 32)}
    assert list(warnings.filters) == filters


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    return {
        suffix: saved(noise(), folder / f"a.{suffix}").read_bytes()
        for suffix in ("jpg", "png", "gif", "webp", "bmp", "tif")
    }


@given(data=st.data(), suffix=st.sampled_from(["jpg", "png", "gif", "webp", "bmp", "tif"]))
def test_any_broken_bytes_give_a_photo_or_one_line(
    whole_files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, suffix: str
) -> None:
    content = bytearray(whole_files[suffix])
    # Half of the changes hit the first bytes, where the sizes and kinds stand.
    places = st.integers(0, 63) | st.integers(0, len(content) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=6)):
        content[place] = value
    if data.draw(st.booleans()):
        del content[data.draw(places) :]
    path = tmp_path_factory.getbasetemp() / f"broken.{suffix}"
    path.write_bytes(content)
    outcome = outcome_of(path)
    if isinstance(outcome, str):
        assert outcome.startswith(f"{path}: ")
        assert "\n" not in outcome
    else:
        assert outcome.mode == "RGB"
        assert outcome.width * outcome.height <= MAX_PIXELS


def outcome_of(path: Path) -> Image.Image | str:
    """The photo, or the line that says why there is none; all other errors come through."""
    try:
        return read_photo(path)
    except BrokenPhotoError as error:
        return str(error)


def test_thumbnail_of_a_jpeg_is_smaller_but_large_enough(tmp_path: Path) -> None:
    path = saved(quarters((640, 400)), tmp_path / "a.jpg")
    assert read_photo(path, least_side=64).size == (160, 100)
    assert read_photo(path, least_side=5000).size == read_photo(path).size == (640, 400)
    assert read_photo(saved(quarters(), tmp_path / "a.png"), least_side=4).size == (12, 8)


@given(width=st.integers(1, 300), height=st.integers(1, 300), side=st.integers(1, 60))
def test_resize_brings_the_shorter_side(width: int, height: int, side: int) -> None:
    resized = resize_shorter(Image.new("RGB", (width, height)), side)
    assert min(resized.size) == side
    assert max(resized.size) <= (MAX_ASPECT + 1) * side
    if max(width, height) <= MAX_ASPECT * min(width, height):
        scale = side / min(width, height)
        assert abs(resized.width - width * scale) <= 0.5
        assert abs(resized.height - height * scale) <= 0.5


def test_of_a_long_strip_the_middle_is_kept() -> None:
    strip = Image.new("RGB", (1000, 10), RED)
    strip.paste(BLUE, (480, 0, 520, 10))
    resized = resize_shorter(strip, 10)
    assert resized.size == (40, 10)
    assert resized.getpixel((20, 5)) == BLUE
