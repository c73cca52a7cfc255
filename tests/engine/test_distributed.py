"""Two processes share each batch and come to what one process comes to; run as a script, this file is one of them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from myna import runs
from myna.config import TrainingSection, check
from myna.engine.checkpoint import load_state
from myna.engine.distributed import share_out, split
from myna.engine.loop import Interrupted, Trainer

SETTINGS = {
    "epochs": 3,
    "accumulate": 2,
    "average_decay": 0.5,
    "optimizer": {"name": "sgd", "learning_rate": 0.05, "clip_norm": 0.5},
    "schedule": {"name": "plateau", "patience": 0, "factor": 0.5},
}


class Regression:
    """Nothing is drawn, so that processes may differ in what they would draw; the last batch has one example."""

    score_name = "score"

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(13, 4, generator=generator)
        self.targets = self.inputs.prod(1, keepdim=True)
        torch.manual_seed(0)
        self.model: nn.Module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        self.n_losses = 0

    def batches(self, epoch: int) -> list[range]:
        return [range(0, 6), range(6, 12), range(12, 13)]

    def loss(
        self, model: nn.Module, examples: Sequence[int], device: torch.device, progress: float
    ) -> tuple[Tensor, Tensor]:
        self.n_losses += 1
        chosen = list(examples)
        loss = (model(self.inputs[chosen].to(device)) - self.targets[chosen].to(device)).square().sum()
        return loss, torch.tensor(float(len(chosen)))

    @torch.no_grad()
    def evaluate(self, device: torch.device) -> dict[str, float]:
        error = (self.model(self.inputs.to(device)) - self.targets.to(device)).square().mean().item()
        # What a process finds alone differs from what another finds, and must not set them apart.
        return {"score": -error if os.environ.get("RANK", "0") == "0" else error}

    def save(self, folder: Path) -> None:
        (folder / "task.txt").touch()


def train(folder: Path, stop_at: int | None = None) -> int:
    """Train, or go on, and return the steps done; stop as if by a signal in the last process at a loss of its."""
    task = Regression()
    trainer = Trainer(task, check(TrainingSection, SETTINGS, "test"), folder, resume=True)
    is_last = trainer.accelerator.process_index == trainer.accelerator.num_processes - 1
    if stop_at is not None:
        agree = trainer._any_process
        trainer._any_process = lambda stop, save: agree(  # type: ignore[method-assign]
            stop or (is_last and task.n_losses >= stop_at), save
        )
    with suppress(Interrupted):
        trainer.train()
    return trainer.position.step


def run_two(folder: Path) -> list[str]:
    """Start both processes, and return what they print."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    if sys.platform == "linux":
        place["GLOO_SOCKET_IFNAME"] = "lo"
    processes = []
    for rank in ("0", "1"):
        environment = os.environ | place | {"RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": "1"}
        command, pipe = [sys.executable, __file__, str(folder)], subprocess.PIPE
        processes.append(subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True))
    printed = []
    try:
        for process in processes:
            output, errors = process.communicate(timeout=240)
            assert process.returncode == 0, errors
            printed.append(output.strip())
    finally:
        for process in processes:
            process.kill()
    return printed


def test_split_gives_nearly_equal_parts_in_order() -> None:
    assert split(range(10), 3) == [range(3), range(3, 7), range(7, 10)]
    assert split([1, 2], 4) == [[], [1], [2], []]
    assert split([1], 1) == [[1]]


def test_alone_a_process_computes_everything() -> None:
    assert share_out([3, 4], lambda part: [2 * item for item in part]) == [6, 8]


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without it")
def test_two_processes_train_as_one_and_go_on_where_they_stopped(tmp_path: Path) -> None:
    train(tmp_path / "one")
    # After 5 losses of its own the second process alone is asked to stop: the first stops at the same step.
    assert run_two(tmp_path / "two") == ["stopped at step 3, ended at step 9"] * 2
    for file in ("last/model.safetensors", "best/model.safetensors"):
        one, two = load_file(tmp_path / "one" / file), load_file(tmp_path / "two" / file)
        for name, tensor in one.items():
            assert (tensor - two[name]).abs().max() < 1e-6, f"{file} {name}"
    one_lines, two_lines = runs.read_metrics(tmp_path / "one"), runs.read_metrics(tmp_path / "two")
    assert [line["split"] for line in two_lines] == ["train", "val"] * 3
    for one_line, two_line in zip(one_lines, two_lines, strict=True):
        for key in one_line.keys() - {"minutes"}:
            assert two_line[key] == pytest.approx(one_line[key], abs=1e-6), key
    assert len(load_state(tmp_path / "two" / "last" / "state.pt")["random"]) == 2


if __name__ == "__main__":
    torch.set_num_threads(1)
    stopped, ended = train(Path(sys.argv[1]), stop_at=5), train(Path(sys.argv[1]))
    sys.stdout.write(f"stopped at step {stopped}, ended at step {ended}\n")
