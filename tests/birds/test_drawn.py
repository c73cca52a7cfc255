"""Drawn birds: the same each time, there at once or not at all, and no kind told by a colour or a pixel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from myna.birds import drawn
from myna.birds.drawn import KINDS, draw_bird, draw_sample
from myna.birds.views import EvalView
from myna.errors import UserError


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn, "N_PHOTOS", {"train": 3, "val": 1, "test": 1})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.usefixtures("few")
def test_sample_is_the_same_whenever_it_is_drawn(tmp_path: Path) -> None:
    first, again, other = (draw_sample(tmp_path / name, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert contents(first) == contents(again)
    assert contents(first) != contents(other)


@pytest.mark.usefixtures("few")
def test_sample_holds_what_it_says(tmp_path: Path) -> None:
    folder = draw_sample(tmp_path / "deep" / "birds")
    assert folder == tmp_path / "deep" / "birds"
    counts = {split: [len(list((folder / split / name).iterdir())) for name in KINDS] for split in drawn.N_PHOTOS}
    assert counts == {"train": [3] * 8, "val": [1] * 8, "test": [1] * 8}
    photos = [path for path in contents(folder) if path.startswith(("train", "val", "test"))]
    assert {Path(path).suffix for path in photos} == {".jpg", ".png"}
    bodies = [body for path, body in contents(folder).items() if path in photos]
    assert len(set(bodies)) == len(bodies)


@pytest.mark.usefixtures("few")
def test_sample_is_drawn_once_and_anew_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = draw_sample(tmp_path / "birds")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    draw_sample(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    changed = tmp_path / "drawn.py"
    changed.write_text("another drawing")
    monkeypatch.setattr(drawn, "__file__", str(changed))
    (folder / "train" / "old.txt").touch()
    draw_sample(folder)
    assert not (folder / "train" / "old.txt").exists()


@pytest.mark.usefixtures("few")
def test_drawing_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Image.Image:
        raise OSError(28, "No space left on device")

    folder = tmp_path / "birds"
    with monkeypatch.context() as broken:
        broken.setattr(drawn, "draw_bird", fail)
        with pytest.raises(UserError, match=r"birds: cannot be written: No space left"):
            draw_sample(folder)
    assert [path for path in tmp_path.iterdir() if path.is_dir() and "birds" in path.name] == []
    assert draw_sample(folder).is_dir()


@pytest.mark.usefixtures("few")
def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "birds" / "train" / "my photo.jpg"
    mine.parent.mkdir(parents=True)
    mine.touch()
    with pytest.raises(UserError, match=r"birds: holds something else than drawn birds"):
        draw_sample(tmp_path / "birds")
    assert mine.exists()


@pytest.mark.usefixtures("few")
def test_two_that_draw_at_once_share_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n_drawn, draw = [0], drawn._draw_beside

    def count(*arguments: object) -> None:
        n_drawn[0] += 1
        draw(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(drawn, "_draw_beside", count)
    threads = [threading.Thread(target=draw_sample, args=(tmp_path / "birds",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert n_drawn == [1]


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="kind: 'Dodo'; choices: Banded-Fisher, "):
        draw_bird("Dodo", "0")


def test_photos_have_many_sizes() -> None:
    sizes = {draw_bird("Capped-Stilt", str(seed)).size for seed in range(12)}
    assert len(sizes) > 10
    assert {width > height for width, height in sizes} == {True, False}


def test_kinds_differ_in_shape_and_share_their_colours() -> None:
    plumages = [kind.plumages for kind in KINDS.values()]
    assert all(sum(plumage in pair for pair in plumages) == 4 for plumage in range(4))
    assert len({kind.pattern for kind in KINDS.values()}) == len(KINDS)


@pytest.fixture(scope="module")
def pixels() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Views of 40 birds a kind to learn from, and of 20 to ask about, with their kinds."""

    def views(name: str, seeds: range) -> list[np.ndarray]:
        return [EvalView(16)(np.asarray(draw_bird(name, f"test {name} {seed}"))).ravel() / 255 for seed in seeds]

    def stack(seeds: range) -> np.ndarray:
        return np.array([view for name in KINDS for view in views(name, seeds)])

    return stack(range(25)), np.repeat(range(8), 25), stack(range(25, 40)), np.repeat(range(8), 15)


def mean_colours(views: np.ndarray) -> np.ndarray:
    return views.reshape(len(views), -1, 3).mean(1)


MODELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[], object]]] = {
    "linear in the pixels": (lambda views: views, lambda: LogisticRegression(C=0.1, max_iter=300)),
    "of the mean colour": (mean_colours, lambda: DecisionTreeClassifier(min_samples_leaf=5, random_state=0)),
}


@pytest.mark.parametrize("name", MODELS)
def test_simple_models_stay_near_chance(name: str, pixels: tuple[np.ndarray, ...]) -> None:
    """Chance is 12.5 %; the net learns four of five of them (docs/findings.md)."""
    known, kinds, asked, truth = pixels
    prepare, build = MODELS[name]
    model = build().fit(prepare(known), kinds)  # type: ignore[attr-defined]
    assert model.score(prepare(asked), truth) < 0.4


def test_one_pixel_tells_no_kind(pixels: tuple[np.ndarray, ...]) -> None:
    known, kinds, asked, truth = pixels
    stump = DecisionTreeClassifier(max_leaf_nodes=8, max_features=1, random_state=0).fit(known, kinds)
    assert stump.score(asked, truth) < 0.35
