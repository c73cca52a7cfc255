from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myna.errors import UserError
from myna.files import check_writable, read_json, read_text, replacing, write_json, write_text


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_midway(path: Path, error: Exception) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise error


def test_writes_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    write_text(path, "größer\n")
    assert read_text(path) == "größer\n"
    assert names_in(path.parent) == ["a.txt"]


def test_what_takes_the_place_is_on_the_disk_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut could leave an empty file where a whole one was."""
    path, synced = tmp_path / "a.txt", []
    write_text(path, "old")

    def sync(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_size, path.read_text()))

    monkeypatch.setattr(os, "fsync", sync)
    write_text(path, "newer")
    assert synced == [(5, "old")]


def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="midway"):
        fail_midway(path, RuntimeError("midway"))
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["a.txt"]


def test_the_file_is_never_seen_half_written(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(UserError, match=r"a\.txt: cannot be written: No space left on device$"):
        fail_midway(path, OSError(28, "No space left on device"))
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["a.txt"]


def test_permissions_are_those_of_the_old_file_or_of_the_umask(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.touch()
    old.chmod(0o640)
    umask = os.umask(0o027)
    try:
        for path in (old, new):
            with replacing(path) as temporary:
                # As safetensors does: a file of its own, which only its owner can read.
                temporary.unlink()
                temporary.touch(mode=0o600)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert stat.S_IMODE(new.stat().st_mode) == 0o640


def test_writes_through_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_link_to_itself_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    write_text(tmp_path / "loop", "new")
    assert (tmp_path / "loop").read_text() == "new"


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder", tmp_path / "file" / "below.txt"):
        with pytest.raises(UserError, match="cannot be written") as caught:
            write_text(path, "x")
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert names_in(tmp_path) == ["file", "folder"]


def test_what_cannot_be_written_is_known_beforehand(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    for path in (tmp_path / "folder", tmp_path / "file" / "below.txt"):
        with pytest.raises(UserError, match=r"cannot be written: ((Is|Not) a directory|File exists)"):
            check_writable(path)
    for name in ("file", "new.txt", "made/new.txt"):
        check_writable(tmp_path / name)
    (tmp_path / "file").chmod(0o444)
    for write in (check_writable, lambda path: write_text(path, "new")):
        with pytest.raises(UserError, match="file: cannot be written: read-only"):
            write(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "old"
    assert names_in(tmp_path) == ["file", "folder", "made"]
    assert not names_in(tmp_path / "made")


def test_the_mark_before_a_text_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1]", encoding="utf-8-sig")
    assert (read_text(tmp_path / "a.json"), read_json(tmp_path / "a.json")) == ("[1]", [1])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


@given(json_values)
def test_json_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert read_json(path) == value


def test_half_a_surrogate_pair_survives(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(r'{"Problem": "\ud83d, é and \\ud83d"}')
    value = read_json(path)
    write_json(path, value)
    assert read_json(path) == value == {"Problem": "\ud83d, é and \\ud83d"}
    assert "é" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": 1,\n "b" 2}', "line 2, column 6: not JSON: Expecting ':' delimiter"),
        (b"", "line 1, column 1: not JSON"),
        (b"[" * 100_000, "not JSON that can be read"),
        (b"1" * 5000, "not JSON that can be read"),
        (b'"\xff"', "byte 1: not UTF-8 text"),
    ],
)
def test_broken_json_is_one_line_naming_file_and_place(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.json: no such file"):
        read_json(tmp_path / "nowhere.json")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read_text(tmp_path)


def test_no_indent_is_one_line(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [1, 2]}, indent=None)
    assert (tmp_path / "a.json").read_text() == json.dumps({"a": [1, 2]}) + "\n"
