"""Class names as people write them, matched with those of the data."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class AskedClass:
    """A class that was asked for.

    Attributes:
        asked: as it was written.
        name: of the class that the data has for it; "" for none.
        is_stand_in: whether that is another class, shown in its place.
    """

    asked: str
    name: str
    is_stand_in: bool = False


def readable(name: str) -> str:
    """Return a class as people write it: folders have hyphens for spaces."""
    return name.replace("-", " ").replace("_", " ")


def match_classes(asked: Sequence[str], known: Sequence[str]) -> list[AskedClass]:
    """Find each class among those of the data, without regard to case, spaces, hyphens and other marks.

    A class that is asked for twice is found once.
    """
    by_letters = {_letters(name): name for name in known}
    matched = {_letters(name): AskedClass(name, by_letters.get(_letters(name), "")) for name in asked}
    return list(matched.values())


def add_stand_ins(matched: Sequence[AskedClass], counts: Mapping[str, int]) -> list[AskedClass]:
    """Put a class of the data in the place of each that it lacks: those nearest in number of photos.

    Nearest to the median of the classes that were found, or of all where none was; of equals, the first by name. As
    many stay without as there are too few classes.

    Args:
        matched: what `match_classes` gives.
        counts: photos of each class of the data.
    """
    taken = {match.name for match in matched if match.name}
    middle = median([counts[name] for name in taken] or list(counts.values()))
    free = sorted(counts.keys() - taken, key=lambda name: (abs(counts[name] - middle), name))
    return [
        AskedClass(match.asked, free.pop(0), is_stand_in=True) if free and not match.name else match
        for match in matched
    ]


def describe_missing(match: AskedClass, known: Sequence[str]) -> str:
    """Say in one line that the data lacks a class, and what is shown in its place or comes near its name."""
    if match.is_stand_in:
        return f"{match.asked}: the data has no such class; {match.name} stands in"
    near = difflib.get_close_matches(match.asked, known, n=1, cutoff=0.6)
    return f"{match.asked}: the data has no such class" + (f"; did you mean {near[0]}?" if near else "")


def _letters(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return "".join(character for character in name.casefold() if character.isalnum())
