"""Stand-ins for the two models, a folder of runs, and a client in the same process."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from myna.birds.naming import Naming, Species
from myna.errors import UserError
from myna.mathqa.solution import Attention, Candidate, Nearest, Number, Solution, Step
from myna.web.app import create_app
from myna.web.site import ExamplePhoto

SPECIES = ["Hoopoe", "House Crow", "Indian Roller", "Common Myna", "Cattle Egret"]


class StandInSolver:
    """Adds up the two whole numbers of a problem; waits, fails or refuses where the problem says so."""

    model_name = "stand-in-solver"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_go_on = threading.Event()

    def solve(self, text: str, *, beam_size: int = 10, n_best: int = 5, with_attention: bool = False) -> Solution:
        self.asked.append(text)
        if "wait" in text:
            self.may_go_on.wait(20)
        if "bug" in text:
            raise RuntimeError("a bug")
        if "refuse" in text:
            raise UserError("this problem is refused")
        values = [float(word) for word in text.split() if word.isdigit()]
        if len(values) < 2:
            return _unsolved(text)
        total = values[0] + values[1]
        answer = f"{total:g}"
        step = Step(
            name="#0",
            operation="add",
            arguments=["n0", "n1"],
            values=values[:2],
            sentence=f"add {values[0]:g} and {values[1]:g}",
            result=total,
            result_text=answer,
        )
        return Solution(
            problem=text,
            model=self.model_name,
            answer=total,
            answer_text=answer,
            message="",
            program="add(n0,n1)|",
            numbers=[Number(name=f"n{i}", value=value) for i, value in enumerate(values)],
            steps=[step],
            certainty=0.9,
            certainty_text="Of problems of which it was as sure, 90 of 100 were right.",
            candidates=[Candidate(program="add(n0,n1)|", probability=0.8, answer=total, answer_text=answer)],
            nearest=Nearest(text="n0 and n1", program="add(n0,n1)|", likeness=0.7, answer=total, agrees=True),
            notes=[],
            attention=_attention(text) if with_attention else None,
        )


def _unsolved(text: str) -> Solution:
    return Solution(
        problem=text,
        model=StandInSolver.model_name,
        answer=None,
        answer_text="",
        message="There are no two numbers in it.",
        program="",
        numbers=[],
        steps=[],
        certainty=None,
        certainty_text="",
        candidates=[],
        nearest=None,
        notes=["Numbers in words are not read."],
        attention=None,
    )


def _attention(text: str) -> Attention:
    words = text.split()
    even = [1 / len(words)] * len(words)
    return Attention(words=words, tokens=["add", "n0", "n1", "</s>"], weights=[even] * 4)


class StandInNamer:
    """Names every photo by its colour: what is mostly red is known."""

    model_name = "stand-in-namer"
    classes = tuple(SPECIES)

    def name(self, photo: Image.Image, title: str) -> Naming:
        red, _, blue = photo.resize((1, 1)).getpixel((0, 0))
        is_known = red > blue
        verdict = "This is a Hoopoe, most likely." if is_known else "None of the species that it knows, as it seems."
        top = [Species(name=name, probability=p) for name, p in zip(SPECIES, (0.6, 0.2, 0.1, 0.06, 0.04), strict=True)]
        return Naming(
            photo=title,
            model=self.model_name,
            is_known=is_known,
            verdict=verdict,
            top=top,
            score=0.6 if is_known else 0.1,
            threshold=0.3,
        )

    def overlay(self, photo: Image.Image, species: str | None = None) -> Image.Image:
        if species is not None and species not in SPECIES:
            raise UserError(f"{species}: no species that the net knows; choices: {', '.join(SPECIES)}")
        return Image.blend(photo, Image.new("RGB", photo.size, "orange"), 0.5)


@pytest.fixture
def solver() -> Iterator[StandInSolver]:
    solver = StandInSolver()
    yield solver
    solver.may_go_on.set()


@pytest.fixture
def namer_class() -> type[StandInNamer]:
    return StandInNamer


def encode(colour: str, size: tuple[int, int] = (40, 30), kind: str = "PNG") -> bytes:
    encoded = BytesIO()
    Image.new("RGB", size, colour).save(encoded, kind)
    return encoded.getvalue()


@pytest.fixture
def red_photo() -> bytes:
    return encode("red")


@pytest.fixture
def blue_photo() -> bytes:
    return encode("blue")


@pytest.fixture
def runs_folder(tmp_path: Path) -> Path:
    """The folder of two runs, one of them not finished, and of a report."""
    folder = tmp_path / "runs"
    for name, is_finished in (("norm-bn", True), ("norm-gn", False)):
        run = folder / name
        run.mkdir(parents=True)
        (run / "config.toml").write_text('study = "birds"\n[model]\nnorm = "bn"\n[training]\nepochs = 4\n')
        for epoch in (1, 2):
            write_epoch(run, epoch)
        if is_finished:
            (run / "summary.json").write_text('{"minutes": 2.0}')
    study = folder / "studies" / "norms"
    study.mkdir(parents=True)
    (study / "report.html").write_text("<!doctype html><title>Norms</title><p>The report of norms</p>")
    return folder


def write_epoch(run: Path, epoch: int) -> None:
    lines = [
        {"split": "train", "epoch": epoch, "step": 9, "minutes": epoch, "loss": 2 / epoch, "learning_rate": 0.1},
        {"split": "val", "epoch": epoch, "minutes": epoch, "loss": 3 / epoch, "accuracy": 0.1 * epoch},
    ]
    with (run / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def make_client(solver: StandInSolver, runs_folder: Path, tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Returns clients of an application with stand-ins; arguments go to `create_app`."""
    example = tmp_path / "example.png"
    example.write_bytes(encode("red"))

    def make(**changes: object) -> TestClient:
        parts = {
            "solver": lambda: solver,
            "namer": StandInNamer,
            "runs": runs_folder,
            "examples": [ExamplePhoto(example, "Hoopoe")],
            "hosts": ("testserver", "localhost", "127.0.0.1"),
        }
        return TestClient(create_app(**parts | changes), raise_server_exceptions=False)

    return make


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> TestClient:
    return make_client()
