"""From problems to programs: batches, beam search, and text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from myna.mathqa.batches import collate_sources
from myna.mathqa.beam import Constraint, Hypothesis, beam_search
from myna.mathqa.decoder import IncrementalDecoder
from myna.mathqa.grammar import ExecutionGuide, Grammar
from myna.mathqa.language.program import join_tokens
from myna.mathqa.problems import mask_with_numbers
from myna.mathqa.readers import Reader, Source
from myna.mathqa.translator import Translator
from myna.mathqa.vocabulary import END, START, Vocabularies

SEARCHES = ("plain", "grammar", "execution")
VERIFIED = "verified"
"""What a model with a verifier knows beside SEARCHES: see `myna.mathqa.task.MathModel.predict`."""
# The longest reference has 147 tokens.
MAX_STEPS = 150
BATCH_SIZE = 64


@dataclass(frozen=True)
class Prediction:
    """A program that the model wrote.

    Attributes:
        tokens: its operations and arguments.
        probability: of the whole program, in the model's view.
        ended: whether the model closed it.
    """

    tokens: tuple[str, ...]
    probability: float
    ended: bool

    @property
    def text(self) -> str:
        """The program as text."""
        return join_tokens(self.tokens)


@dataclass(frozen=True)
class _Query:
    """What the search sees of a problem; equal queries get equal answers."""

    source: Source
    numbers: tuple[float, ...]


def predict(
    translator: Translator,
    reader: Reader,
    texts: Sequence[str],
    *,
    beam_size: int,
    search: str = "plain",
    n_best: int = 1,
    length_penalty: float = 0.0,
    tick: Callable[[int], object] = lambda n: None,
) -> list[list[Prediction]]:
    """Write programs for problems.

    Args:
        translator: a trained model.
        reader: the model's, which turns a masked text into what its encoder reads.
        texts: the problems as they were given.
        beam_size: hypotheses kept at each step; 1 is greedy.
        search: "plain" lets any token follow any; "grammar" only those that make a well-formed program;
            "execution" drops in addition what fails to run.
        n_best: programs returned for a problem, at most.
        length_penalty: exponent of the length that divides a log-probability; 0 ranks by probability.
        tick: told how many more problems are done.

    Returns:
        For each problem, in order, its best programs, best first; none if the search found none.

    Raises:
        ValueError: `search` is not one of SEARCHES.
    """
    if search not in SEARCHES:
        raise ValueError(f"search: {search!r}; choices: {', '.join(SEARCHES)}")
    queries = [_query(text, reader, search) for text in texts]
    # Problems of like length together pad little; a query that occurs twice is decoded once.
    counts = Counter(queries)
    distinct = sorted(counts, key=lambda query: (len(query.source[0]), query.source, query.numbers))
    answers: dict[_Query, list[Prediction]] = {}
    was_training, n_threads = translator.training, torch.get_num_threads()
    translator.eval()
    # A step's matrices are too small to share: where another process wants the cores, threads wait for each other, and
    # two took 24 times as long as one.
    torch.set_num_threads(1)
    try:
        for start in range(0, len(distinct), BATCH_SIZE):
            batch = distinct[start : start + BATCH_SIZE]
            found = _search(translator, reader.vocabularies, batch, beam_size, search, n_best, length_penalty)
            answers.update(zip(batch, found, strict=True))
            tick(sum(counts[query] for query in batch))
    finally:
        translator.train(was_training)
        torch.set_num_threads(n_threads)
    return [answers[query] for query in queries]


def _query(text: str, reader: Reader, search: str) -> _Query:
    words, numbers = mask_with_numbers(text)
    # Only running a program depends on what the numbers are.
    values = tuple(numbers) if search == "execution" else (0.0,) * len(numbers)
    return _Query(reader(words), values)


@torch.inference_mode()
def _search(
    translator: Translator,
    vocabularies: Vocabularies,
    queries: Sequence[_Query],
    beam_size: int,
    search: str,
    n_best: int,
    length_penalty: float,
) -> list[list[Prediction]]:
    """Decode one batch."""
    device = next(translator.parameters()).device
    tokens = vocabularies.tokens.tokens
    constraint: Constraint | None = None
    if search == "grammar":
        constraint = Grammar(tokens, [len(q.numbers) for q in queries], end_id=END, device=device)
    elif search == "execution":
        constraint = ExecutionGuide(tokens, [q.numbers for q in queries], end_id=END, device=device)
    sources = collate_sources([query.source for query in queries], device)
    decoder = IncrementalDecoder(translator.decoder)
    results = beam_search(
        decoder.step,
        *decoder.start(*translator.start(*sources)),
        beam_size=beam_size,
        start_id=START,
        end_id=END,
        max_steps=MAX_STEPS,
        n_best=n_best,
        length_penalty=length_penalty,
        constraint=constraint,
    )
    return [[_as_prediction(hypothesis, tokens) for hypothesis in found] for found in results]


def _as_prediction(hypothesis: Hypothesis, tokens: Sequence[str]) -> Prediction:
    written = tuple(tokens[token_id] for token_id in hypothesis.tokens)
    return Prediction(written, math.exp(hypothesis.log_probability), hypothesis.ended)
