"""TF-IDF vectors of texts, and how similar another text is to each of them. No torch in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Tfidf:
    """Vectors of unit length, one for each text, kept by term: which texts hold it, and with what weight.

    Terms are the 1- and 2-grams of everything between spaces, so that "a", "%" and "n0" are terms too. A term weighs
    as often as it occurs, times 1 + ln((1 + texts) / (1 + texts with it)).
    Source: Salton and Buckley 1988, Information Processing & Management 24(5); the weight is scikit-learn's.
    Checked against: scikit-learn's `TfidfVectorizer`, to the last bit (tests/mathqa/test_tfidf.py). Importing that and
    fitting it takes longer than all else that is needed to solve a problem.

    Args:
        terms: in alphabetical order.
        starts: (terms + 1,), where the entries of each term begin, and their end.
        places: (entries,), of the texts that hold a term, in order.
        weights: (entries,), of the term in that text.
        n_texts: texts in all.
    """

    def __init__(
        self, terms: Sequence[str], starts: NDArray[Any], places: NDArray[Any], weights: Floats, n_texts: int
    ) -> None:
        self.terms, self.starts, self.places, self.weights, self.n_texts = terms, starts, places, weights, n_texts
        self._ids = {term: term_id for term_id, term in enumerate(terms)}
        self._idf = _inverse_frequencies(starts, n_texts)  # (terms,)

    @classmethod
    def fit(cls, texts: Sequence[str]) -> Tfidf:
        """Count the terms of texts."""
        counts = [Counter(_grams(text)) for text in texts]
        ids: dict[str, int] = {}
        term_ids = np.array([ids.setdefault(term, len(ids)) for count in counts for term in count], dtype=np.intp)
        places = np.repeat(np.arange(len(texts), dtype=np.int32), [len(count) for count in counts])
        n_times = np.array([n for count in counts for n in count.values()], dtype=np.float64)
        # A sum depends on its order in the last bit, which decides between texts that are equally similar: a vector's
        # length is summed up in the order in which the terms first occur, as scikit-learn does it.
        order = np.lexsort((term_ids, places))
        term_ids, places, n_times = term_ids[order], places[order], n_times[order]
        terms = sorted(ids)
        term_ids = np.argsort([ids[term] for term in terms])[term_ids]
        starts = np.concatenate([[0], np.cumsum(np.bincount(term_ids, minlength=len(terms)))])
        weights = _scale(n_times * _inverse_frequencies(starts, len(texts))[term_ids], places)
        order = np.argsort(term_ids, kind="stable")
        return cls(terms, starts, places[order], weights[order], len(texts))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Tfidf:
        """Make again what `to_arrays` took apart."""
        terms = arrays["terms"].tobytes().decode(errors="surrogatepass").split("\n")
        return cls(terms, arrays["starts"], arrays["places"], arrays["weights"], int(arrays["n_texts"]))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that the vectors are made of as arrays of numbers."""
        return {
            "terms": np.frombuffer("\n".join(self.terms).encode(errors="surrogatepass"), dtype=np.uint8),
            "starts": self.starts,
            "places": self.places,
            "weights": self.weights,
            "n_texts": np.array(self.n_texts),
        }

    def cosines(self, text: str) -> Floats:
        """Return how similar a text is to each of the texts, from 0 to 1; terms that are in none of them do not count.

        Shape:
            output (texts,).
        """
        counts = Counter(self._ids[term] for term in _grams(text) if term in self._ids)
        if not counts:
            return np.zeros(self.n_texts)
        term_ids = np.array(sorted(counts))
        n_times = np.array([counts[term_id] for term_id in term_ids], dtype=np.float64)
        weights = _scale(n_times * self._idf[term_ids], np.zeros(len(term_ids), dtype=int))
        entries = [slice(*self.starts[term_id : term_id + 2]) for term_id in term_ids]
        places = np.concatenate([self.places[entry] for entry in entries])
        products = [weight * self.weights[entry] for weight, entry in zip(weights, entries, strict=True)]
        return np.asarray(np.bincount(places, np.concatenate(products), self.n_texts), dtype=np.float64)


def _grams(text: str) -> list[str]:
    """Return the words of a text and its pairs of neighbouring words."""
    words = text.split()
    return [*words, *map(" ".join, pairwise(words))]


def _inverse_frequencies(starts: NDArray[Any], n_texts: int) -> Floats:
    """Return the inverse document frequency of each term, smoothed as if one more text held them all."""
    frequencies: Floats = np.log((1 + n_texts) / (1 + np.diff(starts))) + 1
    return frequencies


def _scale(weights: Floats, places: NDArray[Any]) -> Floats:
    """Divide the weights by the length of the vector that each belongs to."""
    scaled: Floats = weights / np.sqrt(np.bincount(places, weights**2))[places]
    return scaled
