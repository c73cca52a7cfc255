"""What all tests share: one thread, a runs folder of their own, repeatable examples, and the real data if there is."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image
from torch import Tensor, nn

from myna.engine.checkpoint import WEIGHTS, save_weights
from myna.mathqa.problems import Problem
from myna.mathqa.splits import generate_splits

# Read when transformers is first imported: what is not on this machine is not looked for elsewhere.
os.environ["HF_HUB_OFFLINE"] = "1"
# A shell starts what goes on in the background with Ctrl-C ignored, and so would be what tests press it on.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Of the commands that tests start: as many tests as cores run at a time already.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("myna", derandomize=True, deadline=None)
settings.load_profile("myna")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `data` where there is no data."""
    if real_data() is None:
        for item in items:
            if item.get_closest_marker("data"):
                item.add_marker(pytest.mark.skip(reason="$MYNA_DATA names no folder"))


def real_data() -> Path | None:
    folder = os.environ.get("MYNA_DATA")
    return Path(folder) if folder and Path(folder).is_dir() else None


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of the real data."""
    folder = real_data()
    if folder is None:
        pytest.skip("$MYNA_DATA names no folder")
    return folder


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setenv("MYNA_RUNS", str(tmp_path / "runs"))
    # What a test writes need not outlive a power cut, and waiting for the disk takes most of a small training.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def _alarm() -> Iterator[None]:
    """Fails a test that computes for half a minute; what would not end has not ended then."""

    def stop(number: int, frame: object) -> None:
        raise AssertionError("still computing after half a minute")

    previous = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, 30)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, previous)


COLOURS = {"Crow": (40, 40, 40), "Egret": (220, 220, 220), "Roller": (40, 80, 220)}
N_PHOTOS = {"train": 7, "val": 4, "test": 4}


@pytest.fixture(scope="session")
def bird_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder, birds/<split>/<class>/<number>.png: three classes of other colours, photos of many sizes."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split, n in N_PHOTOS.items():
        for name, colour in COLOURS.items():
            target = folder / "birds" / split / name
            target.mkdir(parents=True)
            for number in range(n):
                height, width = rng.integers(18, 40, 2)
                pixels = rng.normal(colour, 40, (height, width, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(target / f"{number}.png")
    return folder


class TinyTask:
    """A regression small enough to train hundreds of times, which uses every random generator that there is."""

    score_name = "score"

    def __init__(
        self,
        n_examples: int = 24,
        batch_size: int = 8,
        dropout: float = 0.5,
        norm: bool = True,
        noise: float = 0.1,
        scores: Sequence[float] = (),
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(n_examples, 5, generator=generator)
        self.targets = self.inputs[:, :1] - 0.5 * self.inputs[:, 1:2] ** 2
        self.batch_size, self.noise, self.scores = batch_size, noise, list(scores)
        torch.manual_seed(0)
        middle = nn.BatchNorm1d(8) if norm else nn.Identity()
        self.model: nn.Module = nn.Sequential(nn.Linear(5, 8), middle, nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))
        self.step_losses: list[float] = []
        self.n_evaluations = 0

    def batches(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(epoch)
        order = torch.randperm(len(self.inputs), generator=generator).tolist()
        return [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]

    def loss(
        self, model: nn.Module, examples: Sequence[int], device: torch.device, progress: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        shift = self.noise * (random.random() + float(np.random.random()))  # noqa: NPY002
        predicted = model(self.inputs[examples].to(device))
        loss = (predicted - self.targets[examples].to(device) + shift).square().sum()
        self.step_losses.append(loss.item() / len(examples))
        return loss, torch.tensor(float(len(examples)))

    @torch.no_grad()
    def evaluate(self, device: torch.device) -> dict[str, float]:
        self.n_evaluations += 1
        if self.scores:
            return {"score": self.scores[self.n_evaluations - 1]}
        error = (self.model(self.inputs.to(device)) - self.targets.to(device)).square().mean().item()
        return {"score": -error + 0.01 * torch.rand(()).item(), "error": error}

    def save(self, folder: Path) -> None:
        (folder / "task.txt").write_text("saved by the task")


@pytest.fixture
def tiny_task() -> type[TinyTask]:
    """The class of a task for tests of the engine."""
    return TinyTask


@pytest.fixture(scope="session")
def eight_problems() -> list[Problem]:
    """Word problems of the generated sample, no two with the same program."""
    by_formula = {problem.formula: problem for problem in reversed(generate_splits().train)}
    return list(by_formula.values())[:8]


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a BERT of three layers and random weights, which knows a few words and spells out the others."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    letters = "abcdefghijklmnopqrstuvwxyz0123456789?.,%"
    words = ["how", "many", "apples", "what", "is", "of", "the", "and", "has"]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters, *(f"##{c}" for c in letters)]
    tokenizer = BertTokenizerFast(vocab={piece: piece_id for piece_id, piece in enumerate(vocabulary)})
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    # Weights so large that the layers do something.
    BertModel(BertConfig(vocab_size=len(vocabulary), initializer_range=0.3, **sizes)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def save_model() -> Callable[[Any, Path], Path]:
    """Writes the model folder of a task of either half as the engine's loop does, and returns it."""

    def save(task: Any, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(folder / WEIGHTS, task.model.state_dict())
        task.save(folder)
        return folder

    return save
