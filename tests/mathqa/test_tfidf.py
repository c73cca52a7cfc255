"""TF-IDF vectors: equal to scikit-learn's to the last bit, and the same again after they were taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from myna.mathqa.problems import mask, read_problems, split_path
from myna.mathqa.splits import generate_splits
from myna.mathqa.tfidf import Tfidf

SPLITS = generate_splits()
TEXTS = list(dict.fromkeys(mask(problem.text) for problem in SPLITS.train[:300]))
OTHERS = [*(mask(problem.text) for problem in SPLITS.dev[:20]), TEXTS[0], "apples apples apples", "unknown", ""]


def assert_equals_scikit_learn(texts: Sequence[str], others: Sequence[str]) -> None:
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", lowercase=False)
    columns = vectorizer.fit_transform(texts).T.tocsr()
    ours = Tfidf.fit(texts)
    assert list(ours.terms) == sorted(vectorizer.vocabulary_)
    assert np.array_equal(ours.weights, columns.data)
    assert np.array_equal(ours.places, columns.indices)
    for other, expected in zip(others, (vectorizer.transform(others) @ columns).toarray(), strict=True):
        assert np.array_equal(ours.cosines(other), expected)


def test_equals_scikit_learn_to_the_last_bit() -> None:
    assert_equals_scikit_learn(TEXTS, OTHERS)


@pytest.mark.data
@pytest.mark.slow
def test_so_it_does_on_the_course_s_problems(data_dir: Path) -> None:
    train, dev = (read_problems(split_path(data_dir, split)) for split in ("train", "dev"))
    texts = list(dict.fromkeys(mask(problem.text) for problem in train))
    assert_equals_scikit_learn(texts, [mask(problem.text) for problem in dev[:100]])


def test_a_text_is_as_similar_to_itself_as_can_be() -> None:
    vectors = Tfidf.fit(TEXTS)
    for place in (0, 7, 99):
        cosines = vectors.cosines(TEXTS[place])
        assert cosines.argmax() == place
        assert cosines[place] == pytest.approx(1)


def test_what_is_taken_apart_is_put_together_again() -> None:
    texts = [*TEXTS, "half of a pair \ud800"]
    vectors = Tfidf.fit(texts)
    again = Tfidf.from_arrays(vectors.to_arrays())
    assert list(again.terms) == list(vectors.terms)
    for other in [*OTHERS, texts[-1]]:
        assert np.array_equal(again.cosines(other), vectors.cosines(other))


def test_texts_without_a_word_are_like_nothing() -> None:
    assert Tfidf.fit(["", ""]).cosines("a").tolist() == [0, 0]
