"""A training by torchrun, killed hard in both processes, and gone on with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from myna import runs
from myna.engine.checkpoint import load_state


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without it")
def test_two_processes_are_killed_and_go_on(tmp_path: Path, bird_folder: Path) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(
        'study = "birds"\nname = "tiny"\n[data]\nsize = 16\n[model]\nn = 1\nsync_norm = true\n'
        "[training]\nbatch_size = 8\ncheckpoint_minutes = 0.0\n"
    )
    train = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "myna"]
    train += ["birds", "train", str(config), "--data", str(bird_folder)]
    local = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    environment = os.environ | local | {"OMP_NUM_THREADS": "1"}
    folder = runs.runs_folder() / "tiny"
    with subprocess.Popen([*train, "--set", "training.epochs=1000"], env=environment, stderr=subprocess.DEVNULL) as run:
        while not runs.read_metrics(folder) and run.poll() is None:
            with pytest.raises(subprocess.TimeoutExpired):
                run.wait(timeout=0.2)
        for process in (*psutil.Process(run.pid).children(recursive=True), run):
            process.kill()
    assert not runs.is_finished(folder)
    epochs = max(line["epoch"] for line in runs.read_metrics(folder)) + 1
    again = [*train, "--set", f"training.epochs={epochs}", "--resume"]
    done = subprocess.run(again, env=environment, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("best accuracy") == 1, "one of the two speaks"
    assert runs.is_finished(folder)
    assert len(load_state(folder / "last" / "state.pt")["random"]) == 2
    trained = [line["epoch"] for line in runs.read_metrics(folder) if line["split"] == "train"]
    assert trained == list(range(1, epochs + 1))
