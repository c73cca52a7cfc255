"""What can be scored without learning: the training problems looked up, and the most similar one copied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from myna.mathqa.problems import Problem, mask


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
        ValueError: no problem has a program.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        counts: dict[str, Counter[str]] = {}
        for problem in problems:
            if problem.formula is not None:
                counts.setdefault(mask(problem.text), Counter())[problem.formula.removesuffix("|")] += 1
        if not counts:
            raise ValueError("no training problem with a program to look up")
        self._programs = {text: f"{count.most_common(1)[0][0]}|" for text, count in counts.items()}
        self._found: dict[str, Neighbour] = {}

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

    def _search(self, texts: Sequence[str]) -> None:
        """Find the neighbours of distinct texts."""
        novel = [text for text in texts if not self.is_seen(text)]
        self._found.update({text: Neighbour(text, self.look_up(text), 1.0) for text in texts if self.is_seen(text)})
        if not novel:
            return
        vectorizer, vectors = self._vectors
        known = list(self._programs)
        # (novel texts, training texts)
        cosines = (vectorizer.transform(novel) @ vectors.T).toarray()
        for text, row, column in zip(novel, cosines, cosines.argmax(axis=1), strict=True):
            self._found[text] = Neighbour(known[column], self._programs[known[column]], float(row[column]))

    @cached_property
    def _vectors(self) -> tuple[Any, Any]:
        """The fitted vectorizer, and a sparse row of unit length for each training text."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", lowercase=False)
        return vectorizer, vectorizer.fit_transform(self._programs)


BASELINES: dict[str, Callable[[NeighbourIndex], Callable[[str], str]]] = {
    "look-up": lambda index: index.look_up,
    "nearest neighbour": lambda index: lambda text: index.nearest([text])[0].program,
}
"""By name: how to predict the program of a masked text from an index of the training problems."""
