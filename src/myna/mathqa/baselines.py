"""What can be scored without learning: the training problems looked up, and the most similar one copied."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myna.errors import UserError
from myna.mathqa.problems import Problem, mask

_AT_A_TIME = 256  # rows of cosines in memory, 70 kB each on the course's data


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
    training file is taken. Similarity is the cosine of TF-IDF vectors: scikit-learn's `TfidfVectorizer`, fitted on the
    distinct masked texts, over 1- and 2-grams of everything between spaces (so that "a", "%" and "n0" are words too;
    scikit-learn's own pattern drops them, and finds 25 far problems fewer in the course's test file). Of equally
    similar texts the first is taken.

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
        self._texts = list(self._programs)
        self._found: dict[str, Neighbour] = {}
        self._ranked: dict[tuple[str, int, bool], list[Neighbour]] = {}

    def is_seen(self, text: str) -> bool:
        """Return whether a masked text is that of a training problem."""
        return text in self._programs

    def look_up(self, text: str) -> str:
        """Return the program of the training problems with the same masked text; empty if there is none."""
        return self._programs.get(text, "")

    def nearest(self, texts: Sequence[str]) -> list[Neighbour]:
        """Return the most similar training problem for each masked text."""
        self._search([text for text in dict.fromkeys(texts) if text not in self._found])
        return [self._found[text] for text in texts]

    def ranked(self, texts: Sequence[str], n: int, *, without_itself: bool = False) -> list[list[Neighbour]]:
        """Return the `n` most similar training problems of each masked text, nearest first, no two with one program.

        Args:
            texts: masked.
            n: at most so many; fewer where there are no more programs among the nearest 16 n.
            without_itself: leave out the training problem that reads the same, as for a text of the training data.
        """
        unknown = [text for text in dict.fromkeys(texts) if (text, n, without_itself) not in self._ranked]
        for start in range(0, len(unknown), _AT_A_TIME):
            group = unknown[start : start + _AT_A_TIME]
            vectorizer, columns = self._vectors
            cosines = (vectorizer.transform(group) @ columns).toarray()  # (group, training texts)
            for text, row in zip(group, cosines, strict=True):
                self._ranked[text, n, without_itself] = self._rank(text, row, n, without_itself)
        return [self._ranked[text, n, without_itself] for text in texts]

    def _rank(self, text: str, cosines: NDArray[np.float64], n: int, without_itself: bool) -> list[Neighbour]:
        """Return the `n` neighbours of a text, given its cosines to all training texts."""
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
        return hashlib.sha256(lines.encode()).hexdigest()

    def _search(self, texts: Sequence[str]) -> None:
        """Find the neighbours of distinct texts."""
        novel = [text for text in texts if not self.is_seen(text)]
        self._found.update({text: Neighbour(text, self.look_up(text), 1.0) for text in texts if self.is_seen(text)})
        if not novel:
            return
        vectorizer, columns = self._vectors
        cosines = (vectorizer.transform(novel) @ columns).toarray()  # (novel texts, training texts)
        for text, row, column in zip(novel, cosines, cosines.argmax(axis=1), strict=True):
            nearest = self._texts[column]
            self._found[text] = Neighbour(nearest, self._programs[nearest], float(row[column]))

    @cached_property
    def _vectors(self) -> tuple[Any, Any]:
        """The fitted vectorizer, and a sparse column of unit length for each training text."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", lowercase=False)
        return vectorizer, vectorizer.fit_transform(self._programs).T.tocsr()


BASELINES: dict[str, Callable[[NeighbourIndex], Callable[[str], str]]] = {
    "look-up": lambda index: index.look_up,
    "nearest neighbour": lambda index: lambda text: index.nearest([text])[0].program,
}
"""By name: how to predict the program of a masked text from an index of the training problems."""
