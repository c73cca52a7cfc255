"""Files that mean harm, offered where weights, a checkpoint, a config or problems are expected."""

from __future__ import annotations

import json
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from myna.cli.app import run
from myna.config import BirdsConfig, MathConfig, load, save
from myna.engine.checkpoint import load_state, load_weights, save_state, save_weights
from myna.errors import UserError
from myna.files import read_text
from myna.mathqa.problems import read_problems


class Attack:
    """What reading a pickle of it runs: it makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


class Hoard:
    """What reading a pickle of it takes up: a gigabyte, from some hundred bytes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return bytearray, (2**30,)


def header(**lies: Any) -> bytes:
    """The bytes of a safetensors file of one number, with a header that lies."""
    text = json.dumps({"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | lies}).encode()
    return struct.pack("<Q", len(text)) + text + bytes(4)


def zip_bomb(path: Path) -> None:
    """Write 50 kB that unpack to 50 MB."""
    save_state(path, {"a": torch.zeros(9)})
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in parts.items():
            new.writestr(name, bytes(50_000_000) if name.endswith("data/0") else content)


OFFERED: dict[str, Callable[[Path], object]] = {
    "pickle": lambda path: path.write_bytes(pickle.dumps(Attack(path.with_name("attacked")))),
    "torch.save": lambda path: torch.save(Attack(path.with_name("attacked")), path),
    "zip bomb": zip_bomb,
    "header beyond the file": lambda path: path.write_bytes(struct.pack("<Q", 2**40) + header()[8:]),
    "header of nothing but brackets": lambda path: path.write_bytes(struct.pack("<Q", 10**6) + b"[" * 10**6),
    "shape larger than the data": lambda path: path.write_bytes(header(shape=[2**40])),
    "shape that overflows": lambda path: path.write_bytes(header(shape=[2**33, 2**33])),
    "negative shape": lambda path: path.write_bytes(header(shape=[-1])),
    "data beyond the file": lambda path: path.write_bytes(header(data_offsets=[0, 2**40])),
    "data before its beginning": lambda path: path.write_bytes(header(data_offsets=[4, 0])),
    "type that there is not": lambda path: path.write_bytes(header(dtype="F1")),
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("name", OFFERED)
def test_what_is_no_weights_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    OFFERED[name](path)
    with pytest.raises(UserError) as caught:
        load_weights(nn.Linear(1, 1, bias=False), path)
    assert str(caught.value).startswith(f"{path}: not a safetensors file: ")
    assert str(caught.value).isprintable()
    assert not (tmp_path / "attacked").exists()


def test_a_command_refuses_a_pickle_for_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the folder of a model from elsewhere would be."""
    save(BirdsConfig(), tmp_path / "config.toml")
    labels = {"classes": ["Crow", "Egret"], "mean": [0.5] * 3, "deviation": [0.2] * 3}
    (tmp_path / "classes.json").write_text(json.dumps(labels))
    OFFERED["pickle"](tmp_path / "model.safetensors")
    monkeypatch.setattr(sys, "argv", ["myna", "birds", "eval", str(tmp_path)])
    assert run() == 2
    said = capsys.readouterr().err
    assert said.startswith(f"myna: {tmp_path / 'model.safetensors'}: not a safetensors file: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "attacked").exists()


def test_names_in_weights_that_would_break_the_line_are_escaped(tmp_path: Path) -> None:
    save_weights(tmp_path / "w", {"a\nb\x1b[2J": torch.zeros(1)})
    with pytest.raises(UserError) as caught:
        load_weights(nn.Linear(1, 1), tmp_path / "w")
    assert r": a\nb\x1b[2J is (1,), expected nothing of that name" in str(caught.value)
    assert str(caught.value).isprintable()


def test_numbers_of_a_type_that_does_not_fit_are_refused(tmp_path: Path) -> None:
    for dtype in (torch.complex64, torch.float8_e4m3fn, torch.int32, torch.bool):
        save_weights(tmp_path / "w", {"weight": torch.zeros(1, 1).to(dtype)})
        with pytest.raises(UserError, match=r"w: of another model: weight holds \w+, expected float32$"):
            load_weights(nn.Linear(1, 1, bias=False), tmp_path / "w")


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (zip_bomb, "unpacked, it would be larger than it is"),
        (lambda path: torch.save({"a": Hoard()}, path), "it holds a '__builtin__ bytearray'"),
        (lambda path: torch.save({"a": torch.zeros(1)}, path, _use_new_zipfile_serialization=False), "BadZipFile"),
    ],
)
def test_a_state_that_would_fill_the_memory_is_refused_unread(
    write: Callable[[Path], object], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "s")
    monkeypatch.setattr(torch, "load", lambda *arguments, **options: pytest.fail("it was read"))
    with pytest.raises(UserError) as caught:
        load_state(tmp_path / "s")
    assert str(caught.value).startswith(f"{tmp_path / 's'}: not a checkpoint of Myna")
    assert reason in str(caught.value)


CONFIGS = {
    "brackets without end": ("a = " + "[" * 900, "nested too deeply"),
    "brackets that close": ("a = " + "[" * 900 + "]" * 900, "nested too deeply"),
    "tables without end": ("a = " + "{a = " * 900, "nested too deeply"),
    "settings below a setting": (f"training.epochs.{'a.' * 3000}b = 1", "nested too deeply"),
    "a number without end": ("[training]\nepochs = 0x" + "f" * 9000, "training.epochs: Input should be less than"),
    "a number for a name": ("name = 0x" + "f" * 9000, "name: Input should be a valid string, not so large a number"),
    "a key that takes for ever": ("a." * 20_000 + "b = 1", "40,005 characters; expected a config of at most 16,384"),
    "a name too long for a file": ('extends = "' + "a" * 300 + '"', "no such file"),
    "a name with a zero": ('extends = "a\\u0000b"', r"a\x00b: no such file"),
    "a name of two lines": ('extends = "a\\nb"', r"a\nb: no such file"),
    "a folder": ('extends = "."', "cannot be read: Is a directory"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_means_harm_is_one_line(name: str, tmp_path: Path) -> None:
    text, reason = CONFIGS[name]
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(UserError) as caught:
        load(MathConfig, tmp_path / "c.toml")
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "override", ["training.epochs=" + "[" * 9000, "training.epochs=0x" + "f" * 9000, "a." * 9000 + "b=1"]
)
def test_an_override_that_means_harm_is_one_line(override: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("")
    with pytest.raises(UserError) as caught:
        load(MathConfig, tmp_path / "c.toml", [override])
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_a_file_name_with_a_zero_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^a\\x00b: cannot be read: embedded null byte$"):
        read_text(Path("a\0b"))


@pytest.mark.parametrize(
    "answer", ["1e999", "-Infinity", "NaN", "1" * 4000, "0.1e-400", "[[[[0]]]]", '{"a": 1}', '"5"', "true"]
)
def test_an_answer_is_a_number_or_refused_in_one_line(answer: str, tmp_path: Path) -> None:
    path = tmp_path / "test.json"
    path.write_text(f'[{{"Problem": "2 and 3", "linear_formula": "add(n0,n1)|", "answer": {answer}}}]')
    if answer[0] in '[{"t':
        with pytest.raises(UserError) as caught:
            read_problems(path)
        assert str(caught.value).startswith(f"{path}: item 0: answer: expected a number, not ")
        assert str(caught.value).isprintable()
    else:
        assert isinstance(read_problems(path)[0].answer, int | float)
