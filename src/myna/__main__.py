"""The command `myna`: sees to the process's memory settings, runs the command line, prints mistakes in one line."""

from __future__ import annotations

import os
import signal
import sys

# glibc hands large blocks back to the system after each use, and every training step then pays for getting
# them again, page by page (a fifth of a step of the ResNet). It reads these when a process starts.
KEEP_LARGE_BLOCKS = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(1 << 26),
}


def main() -> None:
    """Run the command line and exit.

    The status is 0 if all went well, 1 on a bug, 2 on the user's mistake, 3 if a training diverged, 130 if stopped.
    """
    if {"train", "run"}.intersection(sys.argv[1:3]) and "--help" not in sys.argv:
        _restart_keeping_large_blocks()
    try:
        from myna.cli.app import run
    except ImportError as error:
        print(f"myna: cannot start: {error}; install Myna anew with what it needs", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    # A polite kill unwinds as Ctrl-C does, so that nothing is left half done: a study stops its trainings.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        status = run()
    except KeyboardInterrupt:  # a second one, while the first was told of
        status = 130
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(status)


def _restart_keeping_large_blocks() -> None:
    """Start this process again with the settings above, unless they are there or MYNA_KEEP_BLOCKS is 0."""
    if not sys.platform.startswith("linux") or os.environ.get("MYNA_KEEP_BLOCKS") == "0":
        return
    if all(name in os.environ for name in KEEP_LARGE_BLOCKS):
        return
    print("myna: restarted with glibc set to keep large blocks (MYNA_KEEP_BLOCKS=0 turns it off)", file=sys.stderr)  # noqa: T201
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", "myna", *sys.argv[1:]], os.environ | KEEP_LARGE_BLOCKS)


if __name__ == "__main__":
    main()
