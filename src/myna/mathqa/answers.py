"""What a model and the training problems say to a problem, run on its numbers: all that an answer rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from myna.mathqa.baselines import Neighbour, NeighbourIndex
from myna.mathqa.certainty import Evidence
from myna.mathqa.language.execute import Result, execute_text
from myna.mathqa.language.score import is_same
from myna.mathqa.prediction import VERIFIED, Prediction
from myna.mathqa.problems import mask, mask_with_numbers
from myna.mathqa.task import MathModel


@dataclass(frozen=True)
class Answer:
    """The programs for a problem.

    Attributes:
        text: the masked problem.
        numbers: what n0, n1, ... stand for.
        predictions: as many as the beam keeps, best first; the first one's value is the answer.
        neighbour: the nearest training problem; None where they are not at hand.
    """

    text: str
    numbers: list[float]
    predictions: list[Prediction]
    neighbour: Neighbour | None

    @cached_property
    def results(self) -> list[Result]:
        """What each prediction gives."""
        return [execute_text(prediction.text, self.numbers) for prediction in self.predictions]

    @property
    def value(self) -> int | float | None:
        """The answer; None if there is none."""
        return self.results[0].value if self.results else None

    @cached_property
    def neighbour_value(self) -> int | float | None:
        """What the neighbour's program gives on this problem's numbers; None if nothing."""
        return execute_text(self.neighbour.program, self.numbers).value if self.neighbour else None

    @property
    def evidence(self) -> Evidence:
        """What speaks for the answer."""
        agreeing = [
            prediction.probability
            for prediction, result in zip(self.predictions, self.results, strict=True)
            if is_same(result.value, self.value)
        ]
        if self.neighbour is None:
            return Evidence(sum(agreeing))
        is_seen = self.neighbour.text == self.text
        return Evidence(sum(agreeing), self.neighbour.cosine, is_seen, is_same(self.neighbour_value, self.value))


def answer(
    model: MathModel,
    index: NeighbourIndex | None,
    texts: Sequence[str],
    *,
    beam_size: int,
    tick: Callable[[int], object] = lambda n: None,
) -> list[Answer]:
    """Answer problems: programs that run on their numbers, best first, and the nearest training problem.

    They are ranked by the model's verifier, if it has one.

    Args:
        model: a trained model.
        index: of the training problems, if they are at hand.
        texts: the problems.
        beam_size: programs that the search keeps.
        tick: told how many more problems are done.
    """
    search = "execution" if model.verifier is None else VERIFIED
    found = model.predict(texts, beam_size=beam_size, search=search, n_best=beam_size, tick=tick)
    neighbours = index.nearest([mask(text) for text in texts]) if index else [None] * len(texts)
    answers = []
    for text, predictions, neighbour in zip(texts, found, neighbours, strict=True):
        words, numbers = mask_with_numbers(text)
        answers.append(Answer(" ".join(words), numbers, predictions, neighbour))
    return answers
