"""The table of speeds: what a ratio is made of, and what is printed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("harness")
    for name in ("harness", "run"):
        sys.modules.pop(name, None)


@pytest.fixture
def run(harness: ModuleType) -> ModuleType:
    return importlib.import_module("run")


class Bench:
    """Work that takes as long as it is told, on a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def work(self, name: str, seconds: list[float]) -> None:
        self.log.append(name)
        self.now += seconds[self.log.count(name) - 1]

    def clock(self) -> float:
        return self.now


def test_a_ratio_is_that_of_speeds_within_a_round(harness: ModuleType) -> None:
    bench = Bench()
    # The machine slows down fourfold in the second round. The first run of each only warms up.
    variants = {
        "ours": harness.Variant(lambda: bench.work("ours", [9, 1, 4, 2]), 10, "photos"),
        "theirs": harness.Variant(lambda: bench.work("theirs", [9, 2, 8, 5]), 10, "photos"),
    }
    speeds = harness.Speeds("claim", variants, harness.Effort(0, 3), bench.clock)
    row = speeds.row("ours", "theirs")
    assert (row.ratio, row.low, row.high) == (2.0, 2.0, 2.25)
    assert (row.of_best, row.value, row.unit) == (2.0, 10.0, "photos/s")


def test_every_variant_runs_once_a_round(harness: ModuleType) -> None:
    bench = Bench()
    variants = {
        name: harness.Variant(lambda name=name: bench.work(name, [1.0] * 7), 1, "steps") for name in ("a", "b", "c")
    }
    harness.Speeds("claim", variants, harness.Effort(0, 6), bench.clock)
    rounds = [bench.log[i : i + 3] for i in range(0, len(bench.log), 3)]
    assert len(rounds) == 7
    assert all(sorted(names) == ["a", "b", "c"] for names in rounds)
    assert len({tuple(names) for names in rounds}) > 1


def test_the_table_says_what_could_not_be_measured(harness: ModuleType, run: ModuleType) -> None:
    rows = [
        harness.Row("norms", "step with bn", "torch's", 1.05, 0.98, 1.1, 1.06, 123.456, "photos/s"),
        harness.Row("decoding", "beam 10", "another", note="not installed"),
    ]
    lines = run.as_markdown({"cores": 2}, rows).splitlines()
    assert lines[0].startswith("cores 2; one thread")
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[4:]]
    assert cells[0] == ["norms", "step with bn", "torch's", "1.05", "0.98 to 1.1", "1.06", "123.5 photos/s"]
    assert cells[1] == ["decoding", "beam 10", "another", "-", "", "", "not installed"]


def test_an_unknown_claim_is_told(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", "nroms"])
    with pytest.raises(SystemExit) as stopped:
        run.main()
    assert stopped.value.code == 2
    assert "nroms: no such claim; choices: norms, resnet" in capsys.readouterr().err


def test_every_claim_has_its_script(run: ModuleType) -> None:
    assert all((FOLDER / f"{name}.py").is_file() for name in run.CLAIMS)
