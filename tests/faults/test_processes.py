"""Processes that are killed, stopped in a hurry, or two at one run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from myna import runs
from myna.engine.checkpoint import load_state

ROOT = Path(__file__).parents[2]
PATIENCE = 300
"""Seconds for what takes a few."""


@pytest.mark.slow
def test_killed_at_operations_on_the_disk_it_ends_with_the_same_bytes() -> None:
    """With SIGKILL, in a process of its own; `benchmarks/faults.py --kills 50` does so at random moments too."""
    command = [sys.executable, ROOT / "benchmarks" / "faults.py", "--kills", "5", "--only-operations"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE)
    assert done.returncode == 0, done.stderr
    assert "5 faults (5 by kill_at_operation)" in done.stdout
    assert "all end with the same bytes" in done.stdout


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that claims a run and waits."""
    folder = runs.runs_folder() / "small"
    folder.mkdir(parents=True)
    code = (
        "import sys; from pathlib import Path; from myna import runs\n"
        "with runs.claimed(Path(sys.argv[1])): print('claimed', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_of_the_first(
    holder: subprocess.Popen[str], train: Callable[..., tuple[int, str]]
) -> None:
    status, said = train("--resume")
    folder = runs.runs_folder() / "small"
    assert status == 2
    assert re.fullmatch(
        rf"myna: {folder}: process {holder.pid} on \S+ is at this run; wait for it, or --name another\n", said
    )
    assert {path.name for path in folder.iterdir()} == {runs.LOCK}
    holder.kill()
    holder.wait()
    assert train("--resume")[0] == 0, "a death ends the claim"


# A command whose fourth step does not end.
ENDLESS = """
import sys, time
from myna.__main__ import main
from myna.mathqa.task import MathTask

plain, n_losses = MathTask.loss, 0

def loss(*arguments):
    global n_losses
    n_losses += 1
    if n_losses == 4:
        print("in the step", flush=True)
        time.sleep(600)
    return plain(*arguments)

MathTask.loss = loss
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_a_command_at_once(
    number: int, status: int, small_config: Path, problem_folder: Path
) -> None:
    arguments = ["math", "train", small_config, "--data", problem_folder, "--set", "training.checkpoint_minutes=0"]
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"MYNA_KEEP_BLOCKS": "0"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in the step\n"
        process.send_signal(number)
        time.sleep(0.2)
        assert process.poll() is None, "the first waits for the step"
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == status
    assert "Traceback" not in said
    if number == signal.SIGINT:
        assert "saved up to the last checkpoint. Go on with: myna math train" in said.splitlines()[-1]
    folder = runs.runs_folder() / "small"
    assert load_state(folder / "last" / "state.pt")["position"]["step"] == 3
    assert {path.name for path in folder.iterdir()} >= {"last", runs.CONFIG, runs.ENVIRONMENT, runs.LOCK}
    assert not list(folder.glob(".*.myna-new"))
