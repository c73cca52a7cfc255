"""Metrics to a file, and progress to the screen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from myna.files import read_text, write_text, writing
from myna.runs import is_first_process

console = Console(stderr=True, soft_wrap=True, quiet=not is_first_process())


class Metrics:
    """The lines of metrics.jsonl, each written as soon as it is known.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def cut(self, n_lines: int) -> None:
        """Keep the first lines only: those after them were written later than the checkpoint, and come again."""
        lines = read_text(self.path).splitlines(keepends=True) if self.path.exists() else []
        write_text(self.path, "".join(lines[:n_lines]))

    def write(self, **values: Any) -> None:
        """Append one line.

        Raises:
            UserError: it cannot be written: a full disk.
        """
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")


class Tick(Protocol):
    """Counts steps done, with a word on how it goes."""

    def __call__(self, n: int = 1, note: str = "") -> None:
        """Count `n` more."""


@contextmanager
def progress(title: str, total: int, done: int = 0, *, shown: bool = True) -> Iterator[Tick]:
    """Show a bar with the time left on a terminal; a plain line every half minute elsewhere.

    Args:
        title: what is going on.
        total: steps in all.
        done: steps done before.
        shown: False where another process shows it.
    """
    if not shown:
        yield lambda n=1, note="": None
    elif console.is_terminal:
        title_column = TextColumn("{task.description}", markup=False)
        columns = (title_column, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, TextColumn("{task.fields[note]}"), console=console, transient=True) as bar:
            task_id = bar.add_task(title, total=total, completed=done, note="")
            yield lambda n=1, note="": bar.update(task_id, advance=n, note=note)
    else:
        yield _PlainTick(title, total, done)


class _PlainTick:
    """Progress as lines of text, for logs."""

    def __init__(self, title: str, total: int, done: int, every_seconds: float = 30.0) -> None:
        self.title, self.total, self.done, self.first = title, total, done, done
        self.every_seconds = every_seconds
        self.started = self.last = time.monotonic()

    def __call__(self, n: int = 1, note: str = "") -> None:
        self.done += n
        now = time.monotonic()
        if now - self.last < self.every_seconds:
            return
        self.last = now
        seconds_left = (now - self.started) / max(1, self.done - self.first) * (self.total - self.done)
        console.print(f"{self.title} {self.done}/{self.total}, {seconds_left / 60:.1f} min left {note}", markup=False)
