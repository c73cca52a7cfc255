"""GloVe vectors from the package and from text files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from myna.errors import UserError
from myna.mathqa import glove
from myna.mathqa.glove import load_glove
from myna.mathqa.vocabulary import SPECIAL_TOKENS


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_text_file(tmp_path: Path) -> None:
    path = write(tmp_path / "glove.3d.txt", "the 0.5 -1 2e-1\nétude 1 2 3\n. 4 5 6\n")
    vectors, known = load_glove(str(path), ["<pad>", "étude", "apple", "the"])
    assert known.tolist() == [False, True, False, True]
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors, torch.tensor([[0, 0, 0], [1, 2, 3], [0, 0, 0], [0.5, -1, 0.2]]))


def test_text_file_with_spaces_in_a_word(tmp_path: Path) -> None:
    # As in glove.840B.300d.txt, whose first such line comes late.
    path = write(tmp_path / "glove.txt", "the 1 2\n. . . 3 4\nat name@domain.com 5 6\ncat 7 8\n")
    vectors, known = load_glove(str(path), ["cat", "at", "."])
    assert known.tolist() == [True, False, False]
    assert vectors[0].tolist() == [7, 8]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("400000 50\nthe 1 2\n", "line 1: 1 numbers, expected more"),
        ("the 1 2 3\ncat 1 2\n", "line 2: 2 numbers, expected 3"),
        ("the 1 2\n\ncat 1 2\n", "line 2: 0 numbers, expected 2"),
        ("the 1 x\n", "not a GloVe text file: could not convert string to float: 'x'"),
        ("", "empty; expected a word and its numbers a line"),
    ],
)
def test_broken_text_file(tmp_path: Path, text: str, reason: str) -> None:
    path = write(tmp_path / "glove.txt", text)
    with pytest.raises(UserError) as caught:
        load_glove(str(path), ["the"])
    assert str(caught.value).endswith(f"{path}: {reason}")


def test_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "glove.bin"
    path.write_bytes(b"\xff\xfe\x00the")
    with pytest.raises(UserError, match="not a GloVe text file"):
        load_glove(str(path), ["the"])


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(UserError) as caught:
            load_glove(str(path), ["the"])
        assert str(caught.value).startswith(f"model.glove: {path}: cannot be read")


def test_package() -> None:
    vectors, known = load_glove("package", [*SPECIAL_TOKENS, "the", "zzqqx", "percent"])
    assert known.tolist() == [False] * 4 + [True, False, True]
    assert vectors.shape == (7, 50)
    assert vectors[4, 0] == pytest.approx(0.418)
    assert vectors[4, 1] == pytest.approx(0.24968)
    assert not vectors[~known].any()
    assert vectors[6].norm() > 1


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glove, "_PACKAGE", "no_such_package_of_vectors")
    with pytest.raises(UserError, match="pip install"):
        load_glove("package", ["the"])
