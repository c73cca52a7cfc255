"""Several processes at one training, as `torchrun` starts them: work is divided among them, and results are shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from torch import distributed

T = TypeVar("T")
R = TypeVar("R")


def split(items: Sequence[T], n_parts: int) -> list[Sequence[T]]:
    """Cut items into parts of nearly equal size; some are empty where there are too few."""
    bounds = [round(len(items) * part / n_parts) for part in range(n_parts + 1)]
    return [items[start:end] for start, end in pairwise(bounds)]


def share_out(items: Sequence[T], compute: Callable[[Sequence[T]], list[R]]) -> list[R]:
    """Compute something of each item, in each process for a part of them.

    Args:
        items: the same in all processes.
        compute: returns a result for each item of a part, which may be empty.

    Returns:
        The results of all items, in order, in every process.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return compute(items)
    n_processes = distributed.get_world_size()
    own = compute(split(items, n_processes)[distributed.get_rank()])
    parts: list[Any] = [None] * n_processes
    distributed.all_gather_object(parts, own)
    return [result for part in parts for result in part]
