"""How long the command takes to start, in processor time, beside Python and torch by themselves."""

from __future__ import annotations

import resource
import subprocess
import sys
from functools import partial

from harness import Effort, Row, Speeds, Variant

PROBLEM = "A pen costs 12 rupees . How much do 15 pens cost ?"
TORCH = "python -c 'import torch'"


def measure(effort: Effort) -> list[Row]:
    """Compare commands."""
    commands = {
        "myna --help": ["-m", "myna", "--help"],
        "myna math solve": ["-m", "myna", "math", "solve", PROBLEM],
        TORCH: ["-c", "import torch"],
        "python -c pass": ["-c", "pass"],
    }
    variants = {name: Variant(partial(_run, arguments), 1, "starts") for name, arguments in commands.items()}
    speeds = Speeds("start", variants, effort, _children_seconds)
    pairs = (("myna --help", "python -c pass"), ("myna --help", TORCH), ("myna math solve", TORCH))
    return [speeds.row(*pair) for pair in pairs]


def _run(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def _children_seconds() -> float:
    """Return the processor time of the processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
