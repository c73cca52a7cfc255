"""The kept index: the same as one made anew, made anew when its file is broken, and never of other problems."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from myna.errors import UserError
from myna.mathqa import index_cache
from myna.mathqa.baselines import NeighbourIndex
from myna.mathqa.index_cache import load_index
from myna.mathqa.problems import Problem
from myna.mathqa.splits import generate_splits
from myna.runs import runs_folder

TRAINING = generate_splits().train[:40]
TEXTS = ["what is n0 % of n1 ?", "ravi has n0 apples", "nothing in common"]


@pytest.fixture
def data(tmp_path: Path, write_training: Callable[[Path, list[Problem]], Path]) -> Path:
    return write_training(tmp_path / "data", TRAINING)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files of problems that were read."""
    read: list[Path] = []

    def read_problems(path: Path) -> list[Problem]:
        read.append(path)
        return [Problem(item["Problem"], item["linear_formula"]) for item in json.loads(path.read_text())]

    monkeypatch.setattr(index_cache, "read_problems", read_problems)
    return read


def kept() -> list[Path]:
    return sorted((runs_folder() / "cache").glob("*"))


def assert_same(index: NeighbourIndex, other: NeighbourIndex) -> None:
    assert index.fingerprint() == other.fingerprint()
    assert index.ranked(TEXTS, 3) == other.ranked(TEXTS, 3)
    assert index.nearest(TEXTS) == other.nearest(TEXTS)


def test_the_problems_are_read_once(data: Path, reads: list[Path]) -> None:
    expected = NeighbourIndex(TRAINING)
    assert_same(load_index(data), expected)
    assert_same(load_index(data), expected)
    assert len(reads) == 1
    assert len(kept()) == 1


def test_other_problems_in_the_same_place_are_read_anew(data: Path, reads: list[Path]) -> None:
    load_index(data)
    path = data / "mathqa" / "train.json"
    path.write_text(json.dumps(json.loads(path.read_text())[1:]))
    assert_same(load_index(data), NeighbourIndex(TRAINING[1:]))
    assert len(reads) == 2


def test_the_first_problems_are_kept_beside_all_of_them(data: Path, reads: list[Path]) -> None:
    for limit in (0, 10, 0, 10):
        assert_same(load_index(data, limit), NeighbourIndex(TRAINING[: limit or None]))
    assert len(reads) == 2


@pytest.mark.parametrize("harm", [lambda content: b"", lambda content: b"x", lambda content: content[:-200]])
def test_a_broken_file_is_made_anew(data: Path, reads: list[Path], harm: Callable[[bytes], bytes]) -> None:
    load_index(data)
    [path] = kept()
    whole = path.read_bytes()
    path.write_bytes(harm(whole))
    assert_same(load_index(data), NeighbourIndex(TRAINING))
    assert len(reads) == 2
    assert_same(NeighbourIndex.load(path), NeighbourIndex(TRAINING))


def test_an_archive_of_something_else_is_made_anew(data: Path, reads: list[Path]) -> None:
    import numpy as np

    load_index(data)
    [path] = kept()
    with path.open("wb") as file:
        np.savez(file, programs=np.array([{"a": 1}], dtype=object))
    assert_same(load_index(data), NeighbourIndex(TRAINING))


def test_a_folder_that_cannot_be_written_costs_time_alone(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "file").touch()
    monkeypatch.setenv("MYNA_RUNS", str(data / "file"))
    assert_same(load_index(data), NeighbourIndex(TRAINING))


def test_without_data_it_is_that_of_the_sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MYNA_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert load_index(limit=30).fingerprint() == NeighbourIndex(generate_splits().train[:30]).fingerprint()


def test_a_missing_or_broken_file_of_problems_is_one_line(data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"train\.json: no such file"):
        load_index(tmp_path / "empty")
    path = data / "mathqa" / "train.json"
    path.write_text("[{")
    with pytest.raises(UserError, match="line 1"):
        load_index(data)
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        load_index(data)


def some_items() -> str:
    return json.dumps([{"Problem": "what is 1 % of 2 ?", "linear_formula": "multiply(n0,n1)|"}])


def test_half_of_a_surrogate_pair_is_kept(data: Path) -> None:
    path = data / "mathqa" / "train.json"
    path.write_text(some_items().replace("what", "\\ud800what"))
    assert load_index(data).nearest(["what"]) == load_index(data).nearest(["what"])
    assert load_index(data).is_seen("\ud800what is n0 % of n1 ?")
