"""Whatever reads what people give, on wrong input drawn by hypothesis from what `benchmarks/fuzz.py` draws from."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAMES = ("parser", "executor", "scorer", "config", "problems", "photo", "weights", "state")


def load_script() -> ModuleType:
    """Import the script, which is in no package."""
    path = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"
    spec = importlib.util.spec_from_file_location("fuzz", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzz = load_script()


def test_every_reader_is_fuzzed() -> None:
    assert tuple(fuzz.READERS) == NAMES


@pytest.mark.usefixtures("_alarm")
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(rng=st.randoms())
def test_wrong_input_is_read_or_refused_in_one_line(name: str, rng: random.Random) -> None:
    reader = fuzz.READERS[name]
    # The alarm is for reading one case; to write a large photo may take longer.
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    case = reader.make(rng)
    signal.setitimer(signal.ITIMER_VIRTUAL, 30)
    assert reader.read(case)


@pytest.mark.parametrize("name", NAMES)
def test_a_case_is_drawn_from_its_number_alone(name: str) -> None:
    draws = [[fuzz.READERS[name].make(random.Random(f"{name} {number}")) for number in range(12)] for _ in range(2)]
    assert repr(draws[0]) == repr(draws[1])
    assert len(set(map(repr, draws[0]))) > 4


def crash(case: object) -> str:
    raise ZeroDivisionError


def die(case: object) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def hang(case: object) -> str:
    while True:
        pass


def grow(case: object) -> str:
    return str(len(bytearray(300_000_000)))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize(
    ("read", "reason"),
    [(crash, "ZeroDivisionError"), (die, "the process died: -9"), (hang, "Hang"), (grow, "MB more, in this case")],
)
def test_what_is_wrong_with_a_reader_is_found(
    read: Callable[[Any], str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fuzz.READERS, "wrong", fuzz.Reader(lambda rng: rng.random(), read, 1))
    monkeypatch.setattr(fuzz, "SECONDS", 0.1)
    monkeypatch.setattr(fuzz, "MEGABYTES", 100)
    sys.stderr.flush()
    words, _, _, failed = fuzz.run_block("wrong", range(4, 6))
    assert failed[0][0] == 4
    assert reason in failed[0][1]
    assert sum(words.values()) == (2 if read is grow else 0)
