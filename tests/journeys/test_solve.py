"""`myna math solve` as a user meets it: the shipped weights, a prompt on a terminal, and nothing heavy on the way."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKERS = "If 12 workers build a wall in 10 days, how many days do 8 workers need?"
HEAVY = ("matplotlib", "scipy", "sklearn", "transformers", "optuna", "accelerate", "pandas", "PIL")
GUARD = 60
"""Seconds after which what hangs is given up."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "MYNA_DATA"}
    return {**kept, "MYNA_RUNS": str(tmp_path / "runs"), "COLUMNS": "80", "TERM": "xterm", "OMP_NUM_THREADS": "1"}


def solve(environment: dict[str, str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "myna", "math", "solve", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, input=stdin, capture_output=True, text=True, check=False)


def test_the_shipped_weights_answer_without_data(environment: dict[str, str]) -> None:
    done = solve(environment, WORKERS)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "15"
    assert "of 100 answers were right" in " ".join(done.stdout.split())
    assert "  n0 = 12, n1 = 10, n2 = 8" in lines
    assert lines[-1] == "model lstm_lstm_attn"
    assert max(map(len, lines)) <= 80


@pytest.mark.data
def test_with_the_training_problems_the_best_model_answers(environment: dict[str, str], data_dir: Path) -> None:
    done = solve(environment, "--data", str(data_dir), "--json", stdin=f"{WORKERS}\nno number\n")
    assert (done.returncode, done.stderr) == (0, "")
    solved, unsolved = map(json.loads, done.stdout.splitlines())
    assert (solved["model"], solved["answer_text"]) == ("retrieval_lstm_attn", "15")
    assert 0 < solved["certainty"] < 1
    assert unsolved["message"] == "There is no number in the text."
    assert list((Path(environment["MYNA_RUNS"]) / "cache").glob("neighbours-*.npz"))


def test_nothing_heavy_is_imported_on_the_way(environment: dict[str, str]) -> None:
    code = f"""
import sys
from myna.cli.app import run
sys.argv = ["myna", "math", "solve", "what is 3 and 4 ?"]
status = run()
print([name for name in {HEAVY!r} if name in sys.modules])
sys.exit(status)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


class Terminal:
    """A prompt at a terminal, typed at."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.printed = ""
        self.screen, process_end = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "myna", "math", "solve"],
            cwd=ROOT,
            env=environment,
            stdin=process_end,
            stdout=process_end,
            stderr=process_end,
            start_new_session=True,
        )
        os.close(process_end)

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def read_until(self, text: str) -> str:
        """Return what is printed up to a text; to its end if that does not come."""
        while text not in self.printed:
            assert select.select([self.screen], [], [], GUARD)[0], f"{text!r} did not come: {self.printed}"
            try:
                self.printed += os.read(self.screen, 4096).decode(errors="replace")
            except OSError:  # the process has ended
                break
        found, _, self.printed = self.printed.partition(text)
        return found

    def interrupt(self) -> None:
        """Press Ctrl-C; again if it is lost in the moment between the prompt and readline's waiting."""
        while True:
            os.killpg(self.process.pid, signal.SIGINT)
            if select.select([self.screen], [], [], 2)[0]:
                return

    def end(self) -> tuple[int, str]:
        """Return the exit status, and what was printed last."""
        rest = self.read_until("\0")
        return self.process.wait(GUARD), rest


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Terminal]:
    terminal = Terminal(environment)
    yield terminal
    if terminal.process.poll() is None:
        terminal.process.kill()
        terminal.process.wait(GUARD)
    os.close(terminal.screen)


def test_at_a_prompt_one_problem_after_another_is_answered_until_q(terminal: Terminal) -> None:
    assert "q leaves" in terminal.read_until("> ")
    terminal.type(f"\n{WORKERS}\n")
    assert "15" in terminal.read_until("model lstm_lstm_attn")
    # The arrow key brings the problem back, changed at its end.
    terminal.read_until("> ")
    terminal.type("\x1b[A" + "\b" * len("8 workers need?") + "6 workers need?\n")
    assert "20" in terminal.read_until("model lstm_lstm_attn")
    terminal.read_until("> ")
    terminal.type("q\n")
    status, rest = terminal.end()
    assert status == 0
    assert "Traceback" not in rest


@pytest.mark.parametrize("leave", ["ctrl-d", "ctrl-c"])
def test_the_prompt_is_left_cleanly(terminal: Terminal, leave: str) -> None:
    terminal.read_until("> ")
    if leave == "ctrl-d":
        terminal.type("\x04")
    else:
        terminal.interrupt()
    status, rest = terminal.end()
    assert (status, rest.strip()) == (0, "")
