"""Trainings killed, stopped and left without a disk, again and again, end with the same weights, byte for byte.

    python benchmarks/faults.py --kills 50    # SIGKILL: at any time, in a write, at an operation on the disk
    python benchmarks/faults.py --stops 20    # Ctrl-C twice, at any time
    python benchmarks/faults.py --disks       # a full disk and a read-only one, as small mounts, which need root

It trains a small model by `myna math train` on the generated sample, once undisturbed and then with `--resume` after
each fault, and compares all that the runs leave. Children are forked, so that Python and torch start once.
"""

import argparse
import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # a process with threads cannot be forked well

CONFIG = """
[data]
limit = 48
word_dropout = 0.1
[model]
glove = "none"
learned_size = 16
encoder_size = 32
decoder_size = 64
token_size = 16
[training]
epochs = 3
batch_size = 4
average_decay = 0.9
checkpoint_minutes = 0
"""
# What makes, changes, renames or removes a file, as Python's audit events call it.
OPERATIONS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "shutil.rmtree")
TIMES = re.compile(r'"minutes": [^,}]+')


class Training:
    """A run that is started again and again.

    Args:
        folder: that holds all runs.
        name: of the run.
    """

    def __init__(self, folder, name):
        self.runs, self.name = folder, name
        self.folder, self.log = folder / name, folder / f"{name}.log"
        self.config = folder / "config.toml"
        self.config.write_text(CONFIG)

    def start(self, n_operations=None):
        """Fork a process that trains, and dies at an operation on the disk if asked; return its number."""
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            self._become_command(n_operations)
            from myna.__main__ import main

            main()
        except SystemExit as end:
            status = end.code
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _become_command(self, n_operations):
        """Make this process one that is about to be `myna math train`."""
        os.setsid()
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ |= {"MYNA_RUNS": str(self.runs), "MYNA_KEEP_BLOCKS": "0"}
        os.environ.pop("MYNA_DATA", None)
        os.chdir(self.runs)  # where there is no ./data
        sys.argv = ["myna", "math", "train", str(self.config), "--name", self.name, "--resume"]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if n_operations is not None:
            sys.addaudithook(dying_hook(str(self.runs), n_operations))

    def finish(self):
        """Train to the end; return the last line of the log if that cannot be."""
        status = wait(self.start())
        return "" if status == 0 else self.last_words()

    def last_words(self):
        """Return the last line that was printed."""
        return (self.log.read_text(errors="replace").strip().splitlines() or [""])[-1]

    def outcome(self):
        """Return the bytes of all that a training leaves, but for how long it took."""
        found = {
            name: (self.folder / name).read_bytes() for name in ("last/model.safetensors", "best/model.safetensors")
        }
        metrics = TIMES.sub("", (self.folder / "metrics.jsonl").read_text())
        return found | {"metrics": metrics, "scores": (self.folder / "best" / "scores.json").read_text()}


def dying_hook(folder, n_operations):
    """Return an audit hook that kills the process at its n-th operation on files of a folder."""
    n_left = n_operations

    def hook(event, arguments):
        nonlocal n_left
        is_reading = event == "open" and (arguments[1] == "r" or arguments[1] == "rb")
        if event in OPERATIONS and not is_reading and str(arguments[0]).startswith(folder):
            n_left -= 1
            if n_left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


def wait(child):
    """Wait for a process; return its status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def is_alive(child):
    """Return whether a process runs; one that has ended is not taken note of."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def sleep_while_alive(child, seconds):
    """Sleep so long, or until a process ends."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and is_alive(child):
        time.sleep(0.001)


def kill_any_time(training, rng, seconds):
    """Kill a training at any time of those that it takes; return its status."""
    child = training.start()
    sleep_while_alive(child, rng.uniform(0, 0.6 * seconds))
    os.kill(child, signal.SIGKILL)
    return wait(child)


def kill_in_write(training, rng, seconds):
    """Kill a training while a file is written that has not taken its place yet."""
    child = training.start()
    sleep_while_alive(child, rng.uniform(0, 0.6 * seconds))
    while is_alive(child):
        if any(training.folder.rglob("*.tmp")):
            os.kill(child, signal.SIGKILL)
            break
    return wait(child)


def kill_at_operation(training, rng, seconds):
    """Let a training kill itself where it makes, renames or removes a file."""
    return wait(training.start(n_operations=rng.randrange(150)))


def stop_twice(training, rng, seconds):
    """Send a training Ctrl-C at any time, and again before it can be done; refuse what it should not print."""
    child = training.start()
    sleep_while_alive(child, rng.uniform(0, 0.8 * seconds))
    for _ in range(2):
        os.kill(child, signal.SIGINT)
        sleep_while_alive(child, rng.uniform(0, 0.05))
    status = wait(child)
    said = training.log.read_text(errors="replace")
    if "Traceback" in said or status not in (0, 130):
        sys.exit(f"status {status}:\n{said}")
    return status


def disturb(folder, whole, n, ways, rng, seconds):
    """Train with so many faults, in as many runs as that takes; return the faults by way, and the runs."""
    counts, n_runs = dict.fromkeys((way.__name__ for way in ways), 0), 0
    while sum(counts.values()) < n or n_runs == 0:
        training = Training(folder, f"disturbed-{n_runs}")
        ended = 1
        while sum(counts.values()) < n and ended != 0:
            way = ways[sum(counts.values()) % len(ways)]
            ended = way(training, rng, seconds)
            if ended in (-signal.SIGKILL, 130):
                counts[way.__name__] += 1
            elif ended:
                sys.exit(f"{training.name}: status {ended}: {training.last_words()}")
            show(f"{sum(counts.values())} of {n}")
        if said := training.finish():
            sys.exit(f"{training.name}: {said}")
        compare(training, whole)
        n_runs += 1
    return counts, n_runs


def compare(training, whole):
    """Refuse a run that left anything else than the one that was not disturbed."""
    found = training.outcome()
    for name, content in whole.items():
        if found[name] != content:
            sys.exit(f"{training.folder}: {name} differs from the undisturbed run's; kept for a look")


def show(text):
    """Write over the line on a terminal."""
    if sys.stderr.isatty():
        print(f"\r{text} ", end="", file=sys.stderr, flush=True)


def fill_disk(folder, whole):
    """Train on a disk that is full at one size after the other, then on one that is large enough."""
    n_refused = 0
    with Mount(folder / "small", "-t", "tmpfs", "-o", "size=64k", "tmpfs") as disk:
        training = Training(disk, "full")
        training.log = folder / "full.log"
        for kilobytes in (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536):
            subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)
            status = wait(training.start())
            if status == 0:
                break
            check_refusal(training, status, "No space left on device")
            n_refused += 1
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        if said := training.finish():
            sys.exit(said)
        compare(training, whole)
    print(f"full disk: refused {n_refused} times in one line each; went on to the same weights when there was room")


def deny_disk(folder, whole):
    """Train in a folder that becomes read-only, then can be written again."""
    training = Training(folder, "denied")
    wait(training.start(n_operations=200))
    with Mount(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        with tempfile.TemporaryDirectory() as elsewhere:
            training.log = Path(elsewhere) / "denied.log"
            check_refusal(training, wait(training.start()), "Read-only file system")
    training.log = folder / "denied.log"
    if said := training.finish():
        sys.exit(said)
    compare(training, whole)
    print("read-only run folder: refused in one line; went on to the same weights when it could be written")


def check_refusal(training, status, reason):
    """Refuse an end that is not one line with status 2."""
    said = training.log.read_text(errors="replace")
    if status != 2 or reason not in training.last_words() or "Traceback" in said:
        sys.exit(f"status {status}, expected 2 and {reason!r}:\n{said}")


class Mount:
    """A mount, for as long as a block lasts."""

    def __init__(self, folder, *options):
        self.folder, self.options = folder, options

    def __enter__(self):
        self.folder.mkdir(exist_ok=True)
        subprocess.run(["mount", *self.options, str(self.folder)], check=True)
        return self.folder

    def __exit__(self, *error):
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


def preload():
    """Import all that a training needs, once for all children."""
    # torch's optimisers ask for its compiler, which takes longer to import than all else.
    for name in ("torch._dynamo", "myna.__main__", "myna.cli.training", "myna.engine.loop", "myna.mathqa.task"):
        importlib.import_module(name)


def main():
    """Bring about the faults that are asked for, and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--stops", type=int, default=0)
    parser.add_argument(
        "--only-operations", action="store_true", help="kill at disk operations alone, the same each time"
    )
    parser.add_argument("--disks", action="store_true", help="needs root, for mounts")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    preload()

    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    rng = random.Random(options.seed)
    training = Training(folder, "whole")
    begun = time.monotonic()
    if said := training.finish():
        sys.exit(said)
    seconds, whole = time.monotonic() - begun, training.outcome()
    steps = json.loads((training.folder / "metrics.jsonl").read_text().splitlines()[-1])["step"]
    print(f"undisturbed: {steps} steps in {seconds:.1f} s, a checkpoint after each", flush=True)
    ways = [kill_at_operation] if options.only_operations else [kill_any_time, kill_in_write, kill_at_operation]
    for n, of in ((options.kills, ways), (options.stops, [stop_twice])):
        if n:
            counts, n_runs = disturb(folder, whole, n, of, rng, seconds)
            said = ", ".join(f"{count} by {name}" for name, count in counts.items())
            print(f"{n} faults ({said}) in {n_runs} runs: all end with the same bytes", flush=True)
            for number in range(n_runs):
                shutil.rmtree(folder / f"disturbed-{number}")
    if options.disks:
        fill_disk(folder, whole)
        deny_disk(folder, whole)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
