"""A server as a user starts it, with the shipped models, and a browser that looks at it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

_SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_PATIENCE = 60_000
"""Milliseconds until a page is given up: a machine may be busy, and nothing here measures speed."""


@pytest.fixture(scope="session")
def served_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs that the server shows."""
    return tmp_path_factory.mktemp("served-runs")


@pytest.fixture(scope="session")
def server(served_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `myna serve`."""
    environment = {**os.environ, "MYNA_RUNS": str(served_runs), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "myna", "serve", "--port", "0"],
        cwd=Path(__file__).parents[2],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("Myna is at http://"), line
        yield line.split()[3]
        process.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium. While it is there, its event loop keeps other tests of the process from running theirs."""
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not found:
        pytest.skip("there is no chromium, chromium-browser or google-chrome on PATH")
    with pytest.importorskip("playwright.sync_api").sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found[0], args=_SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, server: str) -> Iterator[Callable[..., Page]]:
    """Opens a page of the server; options go to the browser. Nothing may be complained of on its console."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_at(path: str, **options: object) -> Page:
        context = browser.new_context(base_url=server, **options)
        context.set_default_timeout(_PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.goto(path)
        return page

    yield open_at
    for context in contexts:
        context.close()
    # A refusal is no fault of the page, and the console cannot be kept from telling it.
    assert [each for each in complaints if "status of 4" not in each] == []


class Training:
    """A run that writes what a training writes, one epoch whenever it is told to."""

    def __init__(self, folder: Path, n_epochs: int) -> None:
        self.folder, self.epoch = folder, 0
        folder.mkdir()
        config = f'study = "birds"\nname = "{folder.name}"\n[model]\nnorm = "bin"\n[training]\nepochs = {n_epochs}\n'
        (folder / "config.toml").write_text(config)

    def train_epoch(self) -> None:
        self.epoch += 1
        at = {"epoch": self.epoch, "minutes": self.epoch / 2}
        lines = [
            {"split": "train", **at, "loss": 3 / self.epoch},
            {"split": "val", **at, "loss": 4 / self.epoch, "accuracy": 1 - 1 / (1 + self.epoch)},
        ]
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)

    def finish(self) -> None:
        (self.folder / "summary.json").write_text(json.dumps({"minutes": self.epoch / 2}))


@pytest.fixture
def training(served_runs: Path) -> Iterator[Training]:
    """A run that has just begun."""
    training = Training(served_runs / "follow-me", n_epochs=3)
    yield training
    shutil.rmtree(training.folder)
