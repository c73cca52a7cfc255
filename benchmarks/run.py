"""Print one table of speeds, as ratios, and write it as Markdown and JSON.

    python benchmarks/run.py                    # everything, in about ten minutes
    python benchmarks/run.py --quick            # in about three
    python benchmarks/run.py norms decoding     # some of it

Each claim is measured in a process of its own, on one thread unless a row says otherwise, with glibc set as
`myna train` sets it. A ratio is the median over rounds in which both sides ran, one after the other.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from harness import FULL, QUICK, Effort, Row

from myna.__main__ import KEEP_LARGE_BLOCKS

CLAIMS = ("norms", "resnet", "photos", "training", "decoding", "bert", "programs", "start")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CLAIMS)}; else all")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"), help="folder for results.{md,json}")
    options = parser.parse_args()
    if unknown := set(options.names) - set(CLAIMS):
        parser.error(f"{', '.join(sorted(unknown))}: no such claim; choices: {', '.join(CLAIMS)}")
    start = time.monotonic()
    head = describe_machine()
    rows = [row for name in options.names or CLAIMS for row in measure_apart(name, QUICK if options.quick else FULL)]
    head["minutes"] = round((time.monotonic() - start) / 60, 1)
    text = as_markdown(head, rows)
    print(text)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "results.md").write_text(text, encoding="utf-8")
    results = {"machine": head, "rows": [asdict(row) for row in rows]}
    (options.output / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def measure_apart(name: str, effort: Effort) -> list[Row]:
    """Return the rows of a claim, measured in a process of its own that leaves nothing in the runs folder."""
    print(f"measuring {name} ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        os.environ.update(KEEP_LARGE_BLOCKS, MYNA_RUNS=folder)
        return pool.submit(_measure, name, effort).result()


def _measure(name: str, effort: Effort) -> list[Row]:
    rows: list[Row] = import_module(name).measure(effort)
    return rows


def describe_machine() -> dict[str, Any]:
    """Return what the speeds depend on."""
    import torch

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    """Return the processor's name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def as_markdown(head: dict[str, Any], rows: list[Row]) -> str:
    """Return the head in a line and the rows as a table."""
    titles = ("claim", "measured", "against", "ratio", "quartiles", "of the best", "by itself, at its best")
    cells = [titles, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [f"| {' | '.join(c.ljust(w) for c, w in zip(line, widths, strict=True))} |" for line in cells]
    lines.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    facts = ", ".join(f"{name} {value}" for name, value in head.items())
    return "\n".join([f"{facts}; one thread, except where a row names cores.", "", *lines, ""])


def _cells(row: Row) -> tuple[str, ...]:
    names = (row.claim, row.measured, row.against)
    if row.ratio is None:
        return (*names, "-", "", "", row.note)
    quartiles = "" if row.low is None or row.high is None else f"{row.low:.3g} to {row.high:.3g}"
    best = "" if row.of_best is None else f"{row.of_best:.3g}"
    return (*names, f"{row.ratio:.3g}", quartiles, best, "" if row.value is None else f"{row.value:.4g} {row.unit}")


if __name__ == "__main__":
    main()
