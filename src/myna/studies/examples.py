"""What a search goes by: how many examples its scores are of, and where they are from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Examples:
    """The examples that trials are scored on.

    Attributes:
        n: how many.
        source: of the data.
        is_generated: whether they are a stand-in for the real data.
    """

    n: int
    source: str
    is_generated: bool


def load_examples(study: str, data: Path | None) -> Examples:
    """Return what a half's trainings are evaluated on.

    Args:
        study: "math" or "birds".
        data: the data folder asked for on the command line.

    Raises:
        UserError: the folder has no such data.
    """
    if study == "birds":
        from myna.birds.splits import load_splits as load_photos

        photos = load_photos(data)
        return Examples(len(photos.val), photos.source, photos.is_generated)
    from myna.mathqa.splits import load_splits as load_problems

    problems = load_problems(data)
    return Examples(len(problems.dev), problems.source, problems.is_generated)
