"""What can be scored without learning: the training problems looked up, and the most similar one copied."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from myna.engine.tracking import progress
from myna.errors import UserError
from myna.files import replacing
from myna.mathqa.problems import Problem, mask
from myna.mathqa.tfidf import Tfidf


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The training problem that is most similar to another problem.

    Attributes:
        text: its masked text.
        program: the most frequent program of the training problems that read so.
        cosine: how similar it is, from 0 to 1; 1 if the masked texts are equal.
    """

    text: str
    program: str
    cosine: float


class NeighbourIndex:
    """The training problems by their masked text, with the program that stands beside it most often.

    Programs that differ in a closing `|` alone are counted as one, and of equally frequent ones the first in the
    training file is taken. Similarity is the cosine of TF-IDF vectors of the distinct masked texts, over 1- and 2-grams
    of everything between spaces (so that "a", "%" and "n0" are words too; the pattern that scikit-learn takes if it is
    not told otherwise drops them, and finds 25 far problems fewer in the course's test file). Of equally similar texts
    the first is taken.

    Checked against: the course's data (tests/mathqa/test_baselines.py): look-up EM / Exec 70.0 / 71.5 on test and
    68.8 / 70.7 on dev; nearest neighbour 77.6 / 83.5 on test.

    Args:
        problems: to learn from; those without a program are left out.

    Raises:
        UserError: no problem has a program.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        counts: dict[str, Counter[str]] = {}
        for problem in problems:
            if problem.formula is not None:
                counts.setdefault(mask(problem.text), Counter())[problem.formula.removesuffix("|")] += 1
        if not counts:
            raise UserError("no training problem with a program to look up")
        self._programs = {text: f"{count.most_common(1)[0][0]}|" for text, count in counts.items()}
        self._begin()

    def _begin(self) -> None:
        self._texts = list(self._programs)
        self._found: dict[str, Neighbour] = {}
        self._ranked: dict[tuple[str, int, bool], list[Neighbour]] = {}

    @classmethod
    def load(cls, path: Path) -> NeighbourIndex:
        """Read what `save` wrote.

        Raises:
            OSError, EOFError, ValueError, KeyError, BadZipFile: the file is missing, or holds something else.
        """
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            index = cls.__new__(cls)
            index._programs = json.loads(arrays["programs"].tobytes())
            index._begin()
            index._tfidf = Tfidf.from_arrays(arrays)
        return index

    def save(self, path: Path) -> None:
        """Write texts, programs and vectors as a NumPy archive of numbers alone.

        Raises:
            UserError: the file cannot be written.
        """
        programs = np.frombuffer(json.dumps(self._programs).encode(), dtype=np.uint8)
        arrays: dict[str, Any] = {"programs": programs, **self._tfidf.to_arrays()}
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    def is_seen(self, text: str) -> bool:
        """Return whether a masked text is that of a training problem."""
        return text in self._programs

    def look_up(self, text: str) -> str:
        """Return the program of the training problems with the same masked text; empty if there is none."""
        return self._programs.get(text, "")

    def nearest(self, texts: Sequence[str]) -> list[Neighbour]:
        """Return the most similar training problem for each masked text."""
        for text in dict.fromkeys(texts):
            if text not in self._found:
                self._found[text] = self._find_nearest(text)
        return [self._found[text] for text in texts]

    def ranked(self, texts: Sequence[str], n: int, *, without_itself: bool = False) -> list[list[Neighbour]]:
        """Return the `n` most similar training problems of each masked text, nearest first, no two with one program.

        Args:
            texts: masked.
            n: at most so many; fewer where there are no more programs among the nearest 16 n.
            without_itself: leave out the training problem that reads the same, as for a text of the training data.
        """
        unknown = [text for text in dict.fromkeys(texts) if (text, n, without_itself) not in self._ranked]
        with progress("looking up neighbours", len(unknown), shown=len(unknown) > 1) as tick:
            for text in unknown:
                self._ranked[text, n, without_itself] = self._rank(text, n, without_itself)
                tick()
        return [self._ranked[text, n, without_itself] for text in texts]

    def _rank(self, text: str, n: int, without_itself: bool) -> list[Neighbour]:
        """Find the `n` neighbours of a text."""
        cosines = self._tfidf.cosines(text)
        n_candidates = min(len(self._texts), 16 * n + 1)
        least = np.partition(cosines, -n_candidates)[-n_candidates]
        candidates = np.flatnonzero(cosines >= least)
        # Of equally similar texts the first, also of those that would be one too many.
        candidates = candidates[np.argsort(-cosines[candidates], kind="stable")][:n_candidates]
        found: dict[str, Neighbour] = {}
        if self.is_seen(text) and not without_itself:
            found[self._programs[text]] = Neighbour(text, self._programs[text], 1.0)
        for place in candidates:
            other = self._texts[place]
            if other != text and len(found) < n:
                found.setdefault(self._programs[other], Neighbour(other, self._programs[other], float(cosines[place])))
        return list(found.values())

    def fingerprint(self) -> str:
        """Return the SHA-256 of all texts and programs, in hexadecimal."""
        lines = "\n".join(f"{text}\t{program}" for text, program in self._programs.items())
        return hashlib.sha256(lines.encode(errors="surrogatepass")).hexdigest()

    def _find_nearest(self, text: str) -> Neighbour:
        if self.is_seen(text):
            return Neighbour(text, self._programs[text], 1.0)
        cosines = self._tfidf.cosines(text)
        place = int(cosines.argmax())
        return Neighbour(self._texts[place], self._programs[self._texts[place]], float(cosines[place]))

    @cached_property
    def _tfidf(self) -> Tfidf:
        """The vectors of the training texts."""
        return Tfidf.fit(self._texts)


BASELINES: dict[str, Callable[[NeighbourIndex], Callable[[str], str]]] = {
    "look-up": lambda index: index.look_up,
    "nearest neighbour": lambda index: lambda text: index.nearest([text])[0].program,
}
"""By name: how to predict the program of a masked text from an index of the training problems."""
