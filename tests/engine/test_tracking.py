from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from myna.engine import tracking
from myna.engine.tracking import Metrics, progress


def test_a_line_is_in_the_file_as_soon_as_it_is_written(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl")
    metrics.write(split="train", loss=0.5)
    metrics.write(split="val", score=1)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"split": "train", "loss": 0.5}, {"split": "val", "score": 1}]


def test_lines_later_than_the_checkpoint_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n{"a": 3}\n{"a"')
    metrics = Metrics(path)
    metrics.cut(2)
    metrics.write(a=4)
    assert path.read_text() == '{"a": 1}\n{"a": 2}\n{"a": 4}\n'
    metrics.cut(0)
    assert path.read_text() == ""


def test_cutting_makes_the_file(tmp_path: Path) -> None:
    Metrics(tmp_path / "new" / "metrics.jsonl").cut(0)
    assert (tmp_path / "new" / "metrics.jsonl").read_text() == ""


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is printed where no terminal is, and a clock that stands until it is set."""
    output = io.StringIO()
    monkeypatch.setattr(tracking, "console", Console(file=output, soft_wrap=True))
    return output


def test_without_a_terminal_a_line_each_half_minute_says_what_is_left(
    screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(tracking.time, "monotonic", lambda: now)
    with progress("run [1]", total=100, done=20) as tick:
        for _ in range(40):
            now += 3.0
            tick(note="loss 1")
    # 10 steps of 3 seconds between lines; 70 steps of 3 seconds are left at the first.
    assert screen.getvalue().splitlines() == [
        "run [1] 30/100, 3.5 min left loss 1",
        "run [1] 40/100, 3.0 min left loss 1",
        "run [1] 50/100, 2.5 min left loss 1",
        "run [1] 60/100, 2.0 min left loss 1",
    ]


def test_a_short_work_prints_nothing(screen: io.StringIO) -> None:
    with progress("run", total=3) as tick:
        for _ in range(3):
            tick()
    assert screen.getvalue() == ""


def test_on_a_terminal_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    monkeypatch.setattr(tracking, "console", Console(file=output, force_terminal=True, width=100))
    with progress("run [1]", total=30, done=20) as tick:
        tick(5, "loss 1")
    assert "run [1]" in output.getvalue()
    assert "25/30" in output.getvalue()
    assert "loss 1" in output.getvalue()


def test_another_process_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    monkeypatch.setattr(tracking, "console", Console(file=output, force_terminal=True))
    with progress("run", total=30, shown=False) as tick:
        tick(5, "loss 1")
        tick()
    assert output.getvalue() == ""
