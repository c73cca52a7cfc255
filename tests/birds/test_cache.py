"""Decoded once, found again by content, whole after any kill."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from myna import runs
from myna.birds import cache
from myna.birds.cache import INDEX, PIXELS, PhotoCache, hash_file, prepare
from myna.birds.photos import read_photo, resize_shorter
from myna.errors import UserError

SIDE = 10


def write_photo(path: Path, seed: int, size: tuple[int, int] = (17, 13)) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_photos(folder: Path, n: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return [write_photo(folder / f"{number}.png", number, (15 + number, 12)) for number in range(n)]


def cache_folder() -> Path:
    return runs.runs_folder() / "cache" / f"photos-{SIDE}"


def check(photos: PhotoCache, paths: Sequence[Path]) -> None:
    """Compare a cache with what its files hold."""
    assert photos.paths == list(paths)
    assert len(photos) == len(paths)
    for index, path in enumerate(paths):
        assert np.array_equal(photos[index], np.asarray(resize_shorter(read_photo(path), SIDE)))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded from now on."""
    names: list[str] = []

    def read(path: Path) -> Image.Image:
        names.append(path.name)
        return read_photo(path)

    monkeypatch.setattr(cache, "read_photo", read)
    return names


def test_photos_are_those_of_their_files_and_stay_unchanged(tmp_path: Path) -> None:
    paths = write_photos(tmp_path / "photos", 5)
    photos = prepare(paths, SIDE)
    check(photos, paths)
    assert photos[0].shape == (10, 12, 3)
    with pytest.raises(ValueError, match="read-only"):
        photos[0][:] = 0


def test_nothing_is_decoded_twice(tmp_path: Path, decoded: list[str]) -> None:
    paths = write_photos(tmp_path / "photos", 5)
    prepare(paths[:3], SIDE)
    check(prepare(paths, SIDE), paths)
    check(prepare(paths[::-1], SIDE), paths[::-1])
    assert sorted(decoded) == [path.name for path in paths]
    prepare(paths, SIDE + 1)
    assert len(decoded) == 10  # another size is another cache


def test_changed_file_is_decoded_anew_and_a_moved_one_is_not(tmp_path: Path, decoded: list[str]) -> None:
    paths = write_photos(tmp_path / "photos", 3)
    prepare(paths, SIDE)
    decoded.clear()
    write_photo(paths[0], seed=77)
    moved = paths[1].rename(tmp_path / "moved.png")
    check(prepare([paths[0], moved, paths[2]], SIDE), [paths[0], moved, paths[2]])
    assert decoded == ["0.png"]


def test_copies_are_stored_once(tmp_path: Path, decoded: list[str]) -> None:
    first = write_photo(tmp_path / "a.png", 0)
    second = shutil.copy(first, tmp_path / "b.png")
    photos = prepare([first, second, first], SIDE)
    assert len(photos) == 3
    assert len(decoded) == 1
    assert (cache_folder() / PIXELS).stat().st_size == photos[0].size


def test_bad_file_is_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = write_photos(tmp_path / "photos", 3)
    paths[1].write_text("no photo")
    missing = tmp_path / "photos" / "missing.png"
    check(prepare([*paths, missing], SIDE), [paths[0], paths[2]])
    errors = capsys.readouterr().err
    assert f"skipped: {paths[1]}: no image that can be read" in errors
    assert f"skipped: {missing}: no such file" in errors


def test_bad_file_is_refused_where_asked(tmp_path: Path) -> None:
    paths = write_photos(tmp_path / "photos", 3)
    paths[1].write_text("no photo")
    paths[2].write_bytes(b"")
    with pytest.raises(UserError, match=r"1\.png: no image that can be read \(and 1 more\)"):
        prepare(paths, SIDE, on_bad="fail")
    check(prepare(paths[:1], SIDE, on_bad="fail"), paths[:1])


def test_bad_file_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed may have been the memory, or a Pillow that knew fewer formats."""
    paths = write_photos(tmp_path / "photos", 2)

    def fail(path: Path) -> Image.Image:
        if path == paths[1]:
            raise cache.BrokenPhotoError(f"{path}: does not fit into memory")
        return read_photo(path)

    with monkeypatch.context() as small:
        small.setattr(cache, "read_photo", fail)
        check(prepare(paths, SIDE), paths[:1])
    check(prepare(paths, SIDE), paths)


def test_no_photo_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no photo")
    with pytest.raises(UserError, match=r"a\.jpg: not one photo that can be read"):
        prepare([tmp_path / "a.jpg"], SIDE)
    with pytest.raises(UserError, match="not one photo that can be read"):
        prepare([], SIDE)


def test_cache_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MYNA_RUNS", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot be written: Not a directory"):
        prepare(write_photos(tmp_path / "photos", 1), SIDE)


def test_hash_is_of_the_bytes_and_of_the_name_where_there_are_none(tmp_path: Path) -> None:
    first, second = write_photo(tmp_path / "a.png", 0), write_photo(tmp_path / "b.png", 0)
    assert hash_file(first) == hash_file(second)
    assert hash_file(first) != hash_file(write_photo(tmp_path / "c.png", 1))
    assert hash_file(tmp_path / "missing") != hash_file(tmp_path / "missing too")


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Path], dict[str, bytes]]:
    """Photos, decoded in groups of three, and the files of their cache."""
    monkeypatch.setattr(cache, "_AT_A_TIME", 3)
    paths = write_photos(tmp_path / "photos", 7)
    prepare(paths, SIDE)
    return paths, {name: (cache_folder() / name).read_bytes() for name in (PIXELS, INDEX)}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_cache_is_whole_again_after_a_kill_at_any_byte(
    whole: tuple[list[Path], dict[str, bytes]], data: st.DataObject
) -> None:
    paths, files = whole
    for name, content in files.items():
        (cache_folder() / name).write_bytes(content[: data.draw(st.integers(0, len(content)), label=name)])
    check(prepare(paths, SIDE), paths)
    check(prepare(paths[::-1], SIDE), paths[::-1])


@pytest.mark.parametrize(
    "line", ["[]", "null", '{"sha256": "a"}', "\xff", '{"sha256": "a", "offset": "b", "height": "c", "width": "d"}']
)
def test_index_of_rubbish_is_cut_off(whole: tuple[list[Path], dict[str, bytes]], line: str) -> None:
    paths, files = whole
    lines = files[INDEX].splitlines(keepends=True)
    (cache_folder() / INDEX).write_bytes(b"".join(lines[:3]) + line.encode("latin-1") + b"\n" + b"".join(lines[3:]))
    check(prepare(paths, SIDE), paths)


def test_pixels_are_written_before_the_line_that_speaks_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the index says at the moment of a kill is there."""
    monkeypatch.setattr(cache, "_AT_A_TIME", 2)
    paths = write_photos(tmp_path / "photos", 6)
    ends: list[tuple[int, int]] = []

    def read(path: Path) -> Image.Image:
        lines = (cache_folder() / INDEX).read_text().splitlines()
        said = max(
            (entry["offset"] + entry["height"] * entry["width"] * 3 for entry in map(json.loads, lines)), default=0
        )
        ends.append((said, (cache_folder() / PIXELS).stat().st_size))
        if path == paths[5]:
            raise KeyboardInterrupt
        return read_photo(path)

    with monkeypatch.context() as watched:
        watched.setattr(cache, "read_photo", read)
        with pytest.raises(KeyboardInterrupt):
            prepare(paths, SIDE)
    assert all(said <= there for said, there in ends)
    assert max(said for said, _ in ends) > 0
    assert len((cache_folder() / INDEX).read_text().splitlines()) == 4
    check(prepare(paths, SIDE), paths)


def test_two_processes_share_the_work(tmp_path: Path) -> None:
    paths = write_photos(tmp_path / "photos", 40)
    code = (
        f"import sys, pathlib, myna.birds.cache as c; print(len(c.prepare([*map(pathlib.Path, sys.argv[1:])], {SIDE})))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, *map(str, order)], stdout=subprocess.PIPE, text=True)
        for order in (paths, paths[::-1])
    ]
    assert [process.communicate(timeout=120)[0] for process in processes] == ["40\n", "40\n"]
    assert len((cache_folder() / INDEX).read_text().splitlines()) == 40
    check(prepare(paths, SIDE), paths)
