"""How speeds are compared here: in turn, round after round, and a ratio is that of the speeds within a round.

Other work on the machine strikes all variants of a round alike, and so leaves the ratio where it was. With one thread
the clock is the processor time of the process; with more it is the time on the wall, which wants a quiet machine.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch


class Effort(NamedTuple):
    """How long a comparison goes on: so many seconds, and at least so many rounds."""

    seconds: float
    rounds: int


QUICK, FULL = Effort(1.5, 3), Effort(8.0, 7)


@dataclass(frozen=True)
class Variant:
    """One way of doing some work.

    Attributes:
        run: does it.
        amount: how much is done, in `unit`.
        unit: of the amount, in the plural.
    """

    run: Callable[[], object]
    amount: float
    unit: str


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        claim: the script it comes from.
        measured: what is at the top of the ratio.
        against: what is below it.
        ratio, low, high, of_best: the median of the rounds, its quartiles, and the ratio of each side's best round.
        value: what is at the top, by itself, at its best.
        unit: of the value: a speed, or MB of memory.
        note: why there is no ratio.
    """

    claim: str
    measured: str
    against: str
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    of_best: float | None = None
    value: float | None = None
    unit: str = ""
    note: str = ""


class Speeds:
    """Speeds of variants, measured together.

    Args:
        claim: named in the rows.
        variants: by what the table calls them.
        effort: how long to measure.
        clock: gives seconds.
    """

    def __init__(
        self,
        claim: str,
        variants: Mapping[str, Variant],
        effort: Effort,
        clock: Callable[[], float] = time.process_time,
    ) -> None:
        self.claim, self.variants = claim, variants
        self._rounds = _interleave(variants, effort, clock)

    def row(self, measured: str, against: str) -> Row:
        """Compare two of the variants."""
        ours, theirs = self._rounds[measured], self._rounds[against]
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        unit = f"{self.variants[measured].unit}/s"
        return Row(self.claim, measured, against, middle, low, high, max(ours) / max(theirs), max(ours), unit)


def _interleave(variants: Mapping[str, Variant], effort: Effort, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Return each variant's speed in each round: once to warm up, then in rounds, each in an order of its own."""
    for variant in variants.values():
        variant.run()
    speeds: dict[str, list[float]] = {name: [] for name in variants}
    order, rng = list(variants), random.Random(0)
    n_rounds, end = 0, time.monotonic() + effort.seconds
    while n_rounds < effort.rounds or time.monotonic() < end:
        rng.shuffle(order)
        for name in order:
            gc.collect()
            start = clock()
            variants[name].run()
            speeds[name].append(variants[name].amount / (clock() - start))
        n_rounds += 1
    return speeds


def compare_cores(claim: str, what: str, run: Callable[[], object], amount: float, unit: str, effort: Effort) -> Row:
    """Compare some work on two cores with the same on one, on the wall's clock; `run` is left with one."""

    def with_threads(n: int) -> None:
        torch.set_num_threads(n)
        run()
        torch.set_num_threads(1)

    names = {f"{what}, {n} {'core' if n == 1 else 'cores'}": n for n in (1, 2)}
    variants = {name: Variant(partial(with_threads, n), amount, unit) for name, n in names.items()}
    one, two = names
    return Speeds(claim, variants, effort, time.perf_counter).row(two, one)
