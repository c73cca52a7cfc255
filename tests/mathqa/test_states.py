"""The store of frozen states: what goes in comes out, once computed, in this process or the next."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from myna.errors import UserError
from myna.mathqa import states
from myna.mathqa.states import Pieces, StateStore

TEXTS: list[Pieces] = [(5, 6, 7), (5,), (5, 6), (7, 6, 5), (5, 6)]


class Computer:
    """Makes states of texts, and counts the texts that it is asked for."""

    def __init__(self) -> None:
        self.asked: list[Pieces] = []

    def __call__(self, texts: Sequence[Pieces]) -> list[Tensor]:
        self.asked += texts
        return [expected(text) for text in texts]


def expected(text: Pieces) -> Tensor:
    """Return states (P, 4) that differ from text to text and from piece to piece."""
    generator = torch.Generator().manual_seed(hash(text))
    return torch.randn(len(text), 4, generator=generator)


def test_gives_what_was_computed_in_half_precision(tmp_path: Path) -> None:
    store, compute = StateStore(tmp_path), Computer()
    store.prepare(TEXTS, compute)
    for text in TEXTS:
        found = store.get(text)
        assert found is not None
        assert torch.equal(found, expected(text).half())


def test_a_text_that_is_not_stored_is_none(tmp_path: Path) -> None:
    store = StateStore(tmp_path / "none")
    assert store.get(TEXTS[0]) is None
    assert not (tmp_path / "none").exists()
    store.prepare(TEXTS[:2], Computer())
    assert store.get((5, 6, 7)) is not None
    for other in ((5, 6), (6, 5), (5, 67), (56, 7), ()):
        assert store.get(other) is None


def test_nothing_is_computed_twice(tmp_path: Path) -> None:
    compute = Computer()
    store = StateStore(tmp_path)
    store.prepare(TEXTS, compute)
    # Of like length together.
    assert compute.asked == [(5,), (5, 6), (5, 6, 7), (7, 6, 5)]
    store.prepare(reversed(TEXTS), compute)
    assert len(compute.asked) == 4
    store.prepare([*TEXTS, (9,)], compute)
    assert compute.asked[4:] == [(9,)]
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_another_process_finds_them(tmp_path: Path) -> None:
    StateStore(tmp_path).prepare(TEXTS[:3], Computer())
    compute, other = Computer(), StateStore(tmp_path)
    assert other.get(TEXTS[0]) is None, "before it has looked"
    other.prepare(TEXTS, compute)
    assert compute.asked == [(7, 6, 5)]
    for text in TEXTS:
        assert torch.equal(other.get(text), expected(text).half())


def test_two_at_once_do_not_get_in_each_other_s_way(tmp_path: Path) -> None:
    first, second = StateStore(tmp_path), StateStore(tmp_path)
    first.prepare([], Computer())
    second.prepare(TEXTS, Computer())
    # Has looked before there was anything, and stores a part of the same again.
    first._store(TEXTS[:2], [expected(text) for text in TEXTS[:2]])
    third = StateStore(tmp_path)
    third.prepare(TEXTS, Computer())
    for store, texts in ((first, TEXTS[:2]), (second, TEXTS), (third, TEXTS)):
        for text in texts:
            assert torch.equal(store.get(text), expected(text).half())


def test_processes_at_one_folder_divide_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of three has another's group begun: it goes on with the next, and comes back to what it left out."""
    monkeypatch.setattr(states, "_AT_A_TIME", 1)
    texts: list[Pieces] = [(n,) for n in range(5, 17)]
    asked: list[Pieces] = []
    arrived = threading.Barrier(3)

    def compute(batch: Sequence[Pieces]) -> list[Tensor]:
        asked.extend(batch)
        with suppress(threading.BrokenBarrierError):
            # Nobody ends a group before each has begun one; a fourth group would wait for ever.
            arrived.wait(timeout=60)
            arrived.abort()
        return [expected(text) for text in batch]

    stores = [StateStore(tmp_path) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda store: store.prepare(texts, compute), stores))
    assert sorted(asked) == texts, "each once"
    assert set(asked[:3]) == {(5,), (6,), (7,)}
    for store in stores:
        assert all(torch.equal(store.get(text), expected(text).half()) for text in texts)


def test_many_texts_go_into_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "_AT_A_TIME", 6)
    monkeypatch.setattr(states, "_BATCH_SIZE", 4)
    texts = [tuple(range(5, 5 + n)) for n in range(1, 15)]
    sizes: list[int] = []

    def compute(batch: Sequence[Pieces]) -> list[Tensor]:
        sizes.append(len(batch))
        return [expected(text) for text in batch]

    store = StateStore(tmp_path)
    store.prepare(texts, compute)
    assert sizes == [4, 2, 4, 2, 2]
    assert len(list(tmp_path.glob("*.safetensors"))) == 3
    for text in texts:
        assert torch.equal(store.get(text), expected(text).half())


def test_what_fails_half_way_leaves_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "_AT_A_TIME", 2)
    monkeypatch.setattr(states, "_BATCH_SIZE", 1)

    def fail(batch: Sequence[Pieces]) -> list[Tensor]:
        if batch[0] == (7, 6, 5):
            raise MemoryError
        return [expected(text) for text in batch]

    with pytest.raises(MemoryError):
        StateStore(tmp_path).prepare(TEXTS, fail)
    # The first two texts; of the group that failed not even what was computed.
    assert [path.suffix for path in tmp_path.rglob("*.*")] == [".safetensors"]
    compute, store = Computer(), StateStore(tmp_path)
    store.prepare(TEXTS, compute)
    assert compute.asked == [(5, 6, 7), (7, 6, 5)]
    for text in TEXTS:
        assert torch.equal(store.get(text), expected(text).half())


def test_a_file_cut_short_is_one_line(tmp_path: Path) -> None:
    StateStore(tmp_path).prepare(TEXTS, Computer())
    [path] = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"^.*: not states of texts: .*; delete it$"):
        StateStore(tmp_path).prepare(TEXTS, Computer())


@pytest.mark.parametrize("content", [b"", b"no safetensors", b"\x02\x00\x00\x00\x00\x00\x00\x00{}"])
def test_a_broken_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "0123.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        StateStore(tmp_path).prepare(TEXTS, Computer())
    message = str(caught.value)
    assert message.startswith(f"{path}: not states of texts: ")
    assert message.endswith("; delete it")
    assert "\n" not in message


@pytest.mark.parametrize(
    "changed",
    [
        {"keys": torch.zeros(3, 31, dtype=torch.uint8)},
        {"keys": torch.zeros(2, 32, dtype=torch.uint8)},
        {"keys": torch.zeros(3, 32)},
        {"ends": torch.tensor([3, 1, 6])},
        {"ends": torch.tensor([1, 3, 7])},
        {"states": torch.zeros(6)},
    ],
    ids=lambda changed: str(next(iter(changed))),
)
def test_a_file_whose_parts_do_not_fit_each_other_is_one_line(tmp_path: Path, changed: dict[str, Tensor]) -> None:
    keys = torch.arange(96, dtype=torch.uint8).view(3, 32)
    parts = {"states": torch.zeros(6, 4), "ends": torch.tensor([1, 3, 6]), "keys": keys, **changed}
    save_file(parts, tmp_path / "0123.safetensors")
    with pytest.raises(UserError, match=r"0123\.safetensors: not states of texts: .*; delete it$"):
        StateStore(tmp_path).prepare(TEXTS, Computer())
