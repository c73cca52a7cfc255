"""Drawn birds: photos for a machine that has none.

Kinds differ in body, neck, beak, tail, crest, legs and pattern together. Each wears colours that other kinds wear too,
stands anywhere in the picture, at any size, facing either way, before anything: neither a mean colour nor any one pixel
tells the kind, and a linear model on pixels stays near chance.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock
from PIL import Image, ImageDraw, ImageFilter

from myna.errors import UserError
from myna.files import write_text

N_PHOTOS = {"train": 60, "val": 20, "test": 20}
"""Photos of each kind in each split."""
_MARK = "drawn.txt"
_OVERSAMPLING = 2  # pixels drawn for one that is kept, so that edges are smooth
_RATIOS = (1.0, 4 / 3, 4 / 3, 3 / 2, 3 / 2, 16 / 9, 3 / 4)

Point = tuple[float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Kind:
    """What the birds of a class have in common; lengths are shares of the body's length, angles in degrees.

    Attributes:
        height: of the body.
        tilt: of the body, head up.
        neck: its length, and the angle at which it rises.
        head: radius.
        beak: length, thickness, and how far its tip bends down.
        tail: its form and length.
        legs: length.
        crest: its form.
        pattern: what marks the plumage.
        plumages: which of `_PLUMAGES` occur.
    """

    height: float
    tilt: float
    neck: tuple[float, float]
    head: float
    beak: tuple[float, float, float]
    tail: tuple[Literal["straight", "fork", "fan"], float]
    legs: float
    crest: Literal["none", "spike", "fan", "ragged"]
    pattern: Literal["bars", "bib", "cap", "spots", "mask", "collar", "wing", "band"]
    plumages: tuple[int, int]


KINDS = {
    "Banded-Fisher": Kind(
        0.52, 38, (0.10, 45), 0.22, (0.46, 0.12, 0.0), ("straight", 0.22), 0.10, "ragged", "band", (1, 3)
    ),
    "Barred-Dumpling": Kind(
        0.74, 15, (0.06, 40), 0.21, (0.12, 0.13, 0.02), ("straight", 0.20), 0.22, "none", "bars", (0, 2)
    ),
    "Bibbed-Forktail": Kind(0.40, 18, (0.08, 30), 0.16, (0.14, 0.05, 0.0), ("fork", 0.62), 0.16, "none", "bib", (1, 2)),
    "Capped-Stilt": Kind(0.42, 8, (0.40, 65), 0.14, (0.36, 0.04, 0.0), ("straight", 0.18), 0.72, "none", "cap", (0, 3)),
    "Collared-Curvebill": Kind(
        0.50, 5, (0.28, 50), 0.15, (0.48, 0.06, 0.20), ("straight", 0.22), 0.40, "none", "collar", (0, 1)
    ),
    "Masked-Hookbill": Kind(
        0.46, 52, (0.06, 70), 0.19, (0.16, 0.12, 0.09), ("straight", 0.60), 0.12, "none", "mask", (2, 3)
    ),
    "Plumed-Streamer": Kind(
        0.42, 25, (0.14, 50), 0.15, (0.18, 0.05, 0.03), ("straight", 0.95), 0.20, "spike", "wing", (0, 2)
    ),
    "Spotted-Fantail": Kind(0.56, 12, (0.16, 60), 0.17, (0.13, 0.07, 0.0), ("fan", 0.58), 0.26, "fan", "spots", (1, 3)),
}
_PLUMAGES: tuple[tuple[Colour, Colour, Colour], ...] = (
    # back, belly, marks
    ((142, 84, 46), (226, 196, 158), (48, 34, 30)),
    ((82, 98, 122), (212, 214, 216), (214, 120, 44)),
    ((86, 128, 62), (214, 206, 134), (176, 46, 40)),
    ((44, 88, 158), (222, 158, 104), (244, 240, 226)),
)
_SCENES: tuple[tuple[Colour, Colour], ...] = (
    # above, below
    ((150, 190, 230), (226, 234, 240)),
    ((196, 200, 204), (150, 160, 164)),
    ((96, 132, 72), (44, 70, 40)),
    ((168, 150, 110), (108, 84, 56)),
    ((108, 140, 160), (64, 96, 112)),
    ((222, 186, 140), (180, 120, 84)),
)


def draw_sample(folder: Path, seed: int = 0) -> Path:
    """Draw train, val and test photos of every kind into a folder, unless they are there, and return the folder.

    What this file drew once is drawn anew after a change of it. All photos appear at once or not at all.

    Args:
        folder: its old content is lost where it was drawn otherwise.
        seed: of all that is random.

    Raises:
        UserError: the folder holds something else, or cannot be written.
    """
    mark = f"{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()} {seed}\n"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if not _has_mark(folder, mark):
                _draw_beside(folder, mark, seed)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from None
    return folder


def draw_bird(name: str, seed: str) -> Image.Image:
    """Draw one photo of a kind; the same seed gives the same photo.

    Args:
        name: a key of `KINDS`.
        seed: any text.

    Raises:
        ValueError: there is no such kind.
    """
    if name not in KINDS:
        raise ValueError(f"kind: {name!r}; choices: {', '.join(KINDS)}")
    rng = random.Random(seed)
    ratio, shorter = rng.choice(_RATIOS), rng.randint(96, 160)
    width, height = (round(shorter * max(1, ratio)), round(shorter * max(1, 1 / ratio)))
    image = Image.new("RGB", (width * _OVERSAMPLING, height * _OVERSAMPLING))
    _Scene(image, rng).draw()
    _Bird(image, KINDS[name], rng).draw()
    image = image.reduce(_OVERSAMPLING).filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.7)))
    return _expose(image, rng)


def _has_mark(folder: Path, mark: str) -> bool:
    path = folder / _MARK
    return path.is_file() and path.read_text(encoding="utf-8") == mark


def _draw_beside(folder: Path, mark: str, seed: int) -> None:
    """Draw all photos into a folder of their own, which then takes the place of `folder`."""
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).is_file():
        raise UserError(f"{folder}: holds something else than drawn birds; expected it empty or missing")
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        photos = [
            (beside / split / name, name, f"{seed} {split} {name} {number}", number)
            for split, n_photos in N_PHOTOS.items()
            for name in KINDS
            for number in range(n_photos)
        ]
        for parent in {photo[0] for photo in photos}:
            parent.mkdir(parents=True)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda photo: _write_photo(*photo), photos))
        write_text(beside / _MARK, mark)
        beside.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write_photo(folder: Path, name: str, seed: str, number: int) -> None:
    rng = random.Random(f"file {seed}")
    image = draw_bird(name, seed)
    if rng.random() < 0.2:
        image.save(folder / f"{name}_{number:03}.png", compress_level=1)
    else:
        image.save(folder / f"{name}_{number:03}.jpg", quality=rng.randint(75, 95))


def _expose(image: Image.Image, rng: random.Random) -> Image.Image:
    """Change brightness and the colour of the light, and add the noise of a sensor."""
    noise = np.random.default_rng(rng.getrandbits(32))
    light = np.array([rng.uniform(0.8, 1.15) * rng.uniform(0.93, 1.07) for _ in range(3)], dtype=np.float32)
    pixels = np.asarray(image, dtype=np.float32) * light  # (H, W, 3)
    pixels += noise.standard_normal(pixels.shape, dtype=np.float32) * rng.uniform(1, 7)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _vary(colour: Colour, rng: random.Random, by: int) -> Colour:
    """Return a colour near another."""
    shade = rng.randint(-by, by)
    red, green, blue = (min(255, max(0, value + shade + rng.randint(-by // 2, by // 2))) for value in colour)
    return red, green, blue


class _Scene:
    """What is behind a bird: a gradient, and leaves, stones or clouds in front of it."""

    def __init__(self, image: Image.Image, rng: random.Random) -> None:
        self.image, self.rng = image, rng

    def draw(self) -> None:
        """Fill the picture."""
        rng, (width, height) = self.rng, self.image.size
        above, below = (_vary(colour, rng, 30) for colour in rng.choice(_SCENES))
        ramp = np.linspace(0, 1, height)[:, None, None]  # (H, 1, 1)
        rows = np.array(above) * (1 - ramp) + np.array(below) * ramp  # (H, 1, 3)
        self.image.paste(Image.fromarray(rows.astype(np.uint8)).resize((width, height)))
        pen = ImageDraw.Draw(self.image)
        colours = [_vary(rng.choice((above, below, *rng.choice(_PLUMAGES))), rng, 25) for _ in range(3)]
        for _ in range(rng.choice((0, 6, 14, 24))):
            x, y, size = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.03, 0.16) * height
            outline = _ellipse((x, y), size, size * rng.uniform(0.2, 0.8), rng.uniform(0, 180))
            pen.polygon(outline, fill=rng.choice(colours))
        if rng.random() < 0.6:  # out of focus, as a long lens shows it
            self.image.paste(self.image.filter(ImageFilter.BoxBlur(rng.uniform(1, 5))))


class _Bird:
    """One bird, drawn in its own measure: the body is 1 long, its centre is the origin, y points down."""

    def __init__(self, image: Image.Image, kind: Kind, rng: random.Random) -> None:
        self.pen, self.kind, self.rng = ImageDraw.Draw(image), kind, rng
        shorter = min(image.size)
        self.scale = shorter * rng.uniform(0.30, 0.48)
        self.side = rng.choice((-1, 1))
        self.turn = math.radians(rng.uniform(-14, 14))
        # Not so far from the middle that the largest square in it misses the bird.
        spread = [0.18 * shorter + 0.12 * (length - shorter) for length in image.size]
        x, y = (length / 2 + rng.uniform(-by, by) for length, by in zip(image.size, spread, strict=True))
        self.centre = (x, y)
        self.back, self.belly, self.marks = (_vary(c, rng, 22) for c in _PLUMAGES[rng.choice(kind.plumages)])
        self.wing = _vary(_blend(self.back, (30, 30, 30), 0.25), rng, 10)
        self.dark = _vary((44, 38, 36), rng, 14)
        self.tilt = math.radians(kind.tilt + rng.uniform(-7, 7))
        rise = math.radians(kind.neck[1] + rng.uniform(-12, 12))
        self.shoulder = self._along_body(0.36, -0.10 * kind.height)
        reach = kind.neck[0] + 0.6 * kind.head
        self.head = (self.shoulder[0] + reach * math.cos(rise), self.shoulder[1] - reach * math.sin(rise))

    def draw(self) -> None:
        """Draw the bird from what is behind to what is in front."""
        self._draw_legs()
        self._draw_tail()
        self._draw_body()
        self._draw_crest()
        self._draw_head()
        self._draw_marks()

    def _along_body(self, x: float, y: float) -> Point:
        """Turn a point of the level body as the body is tilted."""
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        return x * cos + y * sin, y * cos - x * sin

    def _place(self, point: Point) -> Point:
        """Return where in the picture a point of the bird lies."""
        x, y = point[0] * self.side, point[1]
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        return self.centre[0] + self.scale * (x * cos - y * sin), self.centre[1] + self.scale * (x * sin + y * cos)

    def _fill(self, points: Sequence[Point], colour: Colour) -> None:
        self.pen.polygon([self._place(point) for point in points], fill=colour)

    def _stroke(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        self.pen.line(
            [self._place(p) for p in points], fill=colour, width=max(1, round(width * self.scale)), joint="curve"
        )

    def _blob(self, centre: Point, rx: float, ry: float, colour: Colour, degrees: float = 0.0) -> None:
        self._fill(_ellipse(centre, rx, ry, degrees), colour)

    def _body_blob(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Fill an ellipse that lies along the body."""
        self._blob(self._along_body(x, y), rx, ry, colour, -math.degrees(self.tilt))

    def _draw_legs(self) -> None:
        colour = _vary(self.rng.choice(((60, 50, 44), (170, 110, 60), (120, 120, 110))), self.rng, 15)
        bottom = 0.40 * self.kind.height
        for x in (-0.06, 0.07):
            foot = (x + self.rng.uniform(-0.06, 0.06), bottom + self.kind.legs)
            self._stroke([(x, 0), (x, bottom), foot], colour, 0.035)
            self._stroke([(foot[0] - 0.05, foot[1]), foot, (foot[0] + 0.09, foot[1])], colour, 0.03)
        if self.rng.random() < 0.6:
            y, slope = bottom + self.kind.legs + 0.03, self.rng.uniform(-0.15, 0.15)
            branch = _vary((92, 70, 50), self.rng, 25)
            self._stroke([(-3, y - 3 * slope), (0, y), (3, y + 3 * slope)], branch, self.rng.uniform(0.04, 0.10))

    def _draw_tail(self) -> None:
        form, length = self.kind.tail
        length *= self.rng.uniform(0.9, 1.1)
        root, end = -0.34, -0.42 - length
        width = {"straight": 0.09, "fork": 0.10, "fan": 0.42}[form]
        outline = {
            "straight": [(root, -0.10), (end, -width), (end, width), (root, 0.10)],
            "fork": [(root, -0.08), (end, -0.24), (-0.42 - 0.35 * length, 0.0), (end, 0.24), (root, 0.08)],
            "fan": [(root, -0.08)]
            + [(root - length * math.cos(a), length * math.sin(a)) for a in np.linspace(-0.75, 0.75, 9)]
            + [(root, 0.08)],
        }[form]
        self._fill([self._along_body(*point) for point in outline], self.wing)
        if form == "fan":
            for angle in np.linspace(-0.6, 0.6, 5):
                tip = self._along_body(root - length * math.cos(angle), length * math.sin(angle))
                self._stroke([self._along_body(root, 0), tip], self.back, 0.02)

    def _draw_body(self) -> None:
        height = self.kind.height
        self._body_blob(0, 0, 0.5, height / 2, self.back)
        self._body_blob(0.06, 0.16 * height, 0.42, 0.33 * height, self.belly)
        self._body_blob(-0.10, -0.10 * height, 0.36, 0.27 * height, self.wing)
        tip = [(-0.20, -0.28 * height), (-0.56, 0.02 * height), (-0.20, 0.10 * height)]
        self._fill([self._along_body(*point) for point in tip], self.wing)
        radius = 0.62 * self.kind.head
        self._stroke([self._along_body(0.28, 0), self.shoulder, self.head], self.back, 2 * radius)

    def _draw_crest(self) -> None:
        (x, y), r = self.head, self.kind.head
        if self.kind.crest == "spike":
            self._fill([(x + 0.4 * r, y - 0.8 * r), (x - 2.6 * r, y - 1.9 * r), (x - 0.9 * r, y - 0.2 * r)], self.back)
        elif self.kind.crest == "fan":
            for degrees in (60, 85, 110, 135):
                tip = (x + 2.1 * r * math.cos(math.radians(degrees)), y - 2.1 * r * math.sin(math.radians(degrees)))
                self._stroke([(x, y), tip], self.back, 0.3 * r)
                self._blob(tip, 0.28 * r, 0.28 * r, self.dark)
        elif self.kind.crest == "ragged":
            for lift in (-0.9, -0.3, 0.3):
                tip = (x - 1.75 * r, y + (lift - 0.5) * r)
                self._fill([(x + 0.1 * r, y - 0.95 * r), tip, (x - 0.6 * r, y + 0.3 * r)], self.back)

    def _draw_head(self) -> None:
        (x, y), r = self.head, self.kind.head
        length, thickness, bend = self.kind.beak
        root, tip = x + 0.75 * r, x + r + length * self.rng.uniform(0.92, 1.08)
        middle = (root + tip) / 2
        upper = [(root, y - thickness / 2), (middle, y - 0.4 * thickness + 0.15 * bend), (tip, y + bend)]
        lower = [(middle, y + 0.35 * thickness + 0.35 * bend), (root, y + thickness / 2)]
        self._fill(upper + lower, _vary(self.rng.choice((self.dark, (196, 140, 60))), self.rng, 15))
        self._blob(self.head, r, 0.92 * r, self.back)
        self._blob((x + 0.25 * r, y + 0.42 * r), 0.62 * r, 0.42 * r, self.belly)

    def _draw_marks(self) -> None:
        """Draw what marks the plumage, and the eye over it."""
        (x, y), r, height = self.head, self.kind.head, self.kind.height
        match self.kind.pattern:
            case "bars":
                for along in (-0.12, 0.02, 0.16, 0.29):
                    self._body_stroke((along, 0.10 * height), (along + 0.04, 0.42 * height), 0.045)
            case "bib":
                self._body_blob(0.33, 0.10 * height, 0.13, 0.30 * height, self.marks)
            case "cap":
                dome = [
                    (x - r * math.cos(a), y - 0.25 * r - 0.75 * r * math.sin(a)) for a in np.linspace(0, math.pi, 12)
                ]
                self._fill(dome, self.marks)
            case "spots":
                for along, down in (
                    (-0.36, -0.02),
                    (-0.24, -0.16),
                    (-0.18, 0.02),
                    (-0.05, -0.20),
                    (0.0, -0.03),
                    (0.11, -0.12),
                ):
                    self._body_blob(along, down * height / 0.56, 0.042, 0.042, self.marks)
            case "mask":
                self._stroke([(x - 0.95 * r, y - 0.1 * r), (x + 0.95 * r, y - 0.2 * r)], self.marks, 0.5 * r)
            case "collar":
                middle = tuple((a + b) / 2 for a, b in zip(self.shoulder, self.head, strict=True))
                self._blob((middle[0], middle[1]), 0.75 * r, 0.32 * r, self.marks, 90 - self.kind.neck[1])
            case "wing":
                self._body_stroke((-0.38, 0.06 * height), (0.16, -0.16 * height), 0.07)
            case "band":
                self._body_stroke((0.40, -0.26 * height), (0.25, 0.42 * height), 0.09)
        eye = (x + 0.38 * r, y - 0.18 * r)
        self._blob(eye, 0.24 * r, 0.24 * r, (236, 230, 214))
        self._blob(eye, 0.15 * r, 0.15 * r, (16, 14, 14))

    def _body_stroke(self, start: Point, end: Point, width: float) -> None:
        """Draw a line of the marks' colour, given along the body."""
        self._stroke([self._along_body(*start), self._along_body(*end)], self.marks, width)


def _ellipse(centre: Point, rx: float, ry: float, degrees: float) -> list[Point]:
    """Return the outline of an ellipse that is turned clockwise, as the picture shows it."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rim = [(rx * math.cos(a), ry * math.sin(a)) for a in np.linspace(0, 2 * math.pi, 25)]
    return [(centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos) for x, y in rim]


def _blend(colour: Colour, other: Colour, ratio: float) -> Colour:
    """Return a colour moved towards another."""
    red, green, blue = (round(a + ratio * (b - a)) for a, b in zip(colour, other, strict=True))
    return red, green, blue
