"""A typed word problem, answered with reasons."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

from myna.config import find_data
from myna.errors import UserError
from myna.mathqa.answers import Answer, answer
from myna.mathqa.attention_maps import map_attention
from myna.mathqa.baselines import NeighbourIndex
from myna.mathqa.certainty import Certainty
from myna.mathqa.display import as_json_number, show_number, tell_steps
from myna.mathqa.evaluation import FAR_COSINE
from myna.mathqa.index_cache import load_index
from myna.mathqa.language.program import parse
from myna.mathqa.language.score import is_same
from myna.mathqa.problems import mask_with_numbers
from myna.mathqa.readers import NeighbourReader
from myna.mathqa.solution import Attention, Candidate, Nearest, Number, Solution
from myna.mathqa.task import MathModel
from myna.mathqa.wording import find_lost_signs, find_numbers_in_words, separate
from myna.runs import find_model, find_shipped

BEST, WITHOUT_TRAINING = "retrieval_lstm_attn", "lstm_lstm_attn"
"""Shipped models: the best; and of those that need neither training problems nor a pretrained encoder, the one that is
the better at novel problems on dev, and has attention to show."""
MAX_WORDS = 2000
"""Of a problem; several times as many as the longest of the data has."""
_DEGREES = (
    (0.9, "Very likely right"),
    (0.6, "Probably right"),
    (0.4, "As likely right as wrong"),
    (0.1, "Probably wrong"),
    (0.0, "Very likely wrong"),
)


class Solver:
    """Answers word problems with a trained model. Not thread-safe.

    Args:
        model: a trained model.
        model_name: what it is called.
        certainty: how sure one may be of its answers, if that is known.
        index: of the training problems, if they are at hand.
    """

    def __init__(
        self, model: MathModel, model_name: str, certainty: Certainty | None, index: NeighbourIndex | None
    ) -> None:
        self.model_name = model_name
        self._model, self._certainty, self._index = model, certainty, index

    @classmethod
    def load(cls, model: Path | None = None, data: Path | None = None) -> Solver:
        """Read a model, and the training problems where they are at hand.

        Args:
            model: the folder of a run or a model; None takes the best shipped one that can be used here.
            data: the data folder asked for; else $MYNA_DATA, then ./data.

        Raises:
            UserError: there is no such model or no such folder, or the model cannot do without the training problems.
        """
        folder = find_data(data)
        if model is not None:
            return cls._of(model, folder)
        if folder is not None:
            # Without its training problems the best model cannot be used.
            with suppress(UserError):
                return cls._of(find_shipped("math", BEST), folder)
        return cls._of(find_shipped("math", WITHOUT_TRAINING), folder)

    @classmethod
    def _of(cls, folder: Path, data: Path | None) -> Solver:
        """Read one model."""
        model, certainty = MathModel.load(folder, data), Certainty.load(find_model(folder))
        index = model.reader.index if isinstance(model.reader, NeighbourReader) else None
        if index is None and certainty is not None and data is not None:
            with suppress(UserError):
                found = load_index(data, model.config.data.limit)
                # Other problems than those that the model learned from say nothing of it.
                index = found if found.fingerprint() == certainty.training_sha256 else None
        return cls(model, folder.resolve().name, certainty, index)

    def solve(self, text: str, *, beam_size: int = 10, n_best: int = 5, with_attention: bool = False) -> Solution:
        """Answer a problem, or say why there is no answer.

        Args:
            text: the problem as it was typed.
            beam_size: programs that the search keeps.
            n_best: how many of them are told, at most.
            with_attention: tell what the model attended to, if it has attention.
        """
        # Half of a surrogate pair, which a shell makes of bytes that are no text, is nothing that JSON can hold.
        text = text.encode(errors="replace").decode()
        spaced = separate(text)
        words, numbers = mask_with_numbers(spaced)
        solution = self._begin(text, words, numbers)
        if solution.message:
            return solution
        [found] = answer(self._model, self._index, [spaced], beam_size=beam_size)
        solution.nearest = _tell_nearest(found)
        if not found.predictions:
            solution.message = "The model found no program that runs on these numbers."
            return solution
        best, result = found.predictions[0], found.results[0]
        solution.program = best.text
        solution.answer = as_json_number(result.value)
        solution.answer_text = show_number(result.value) if result.value is not None else ""
        solution.message = result.message
        solution.steps = tell_steps(parse(best.text), numbers)
        solution.candidates = _tell_candidates(found)[:n_best]
        self._tell_certainty(solution, found)
        solution.notes += _remark_unused(solution)
        if with_attention:
            solution.attention = self._tell_attention(spaced, best.tokens)
        return solution

    def _begin(self, text: str, words: list[str], numbers: list[float]) -> Solution:
        """Return a solution that has no answer yet, with a message if it will have none."""
        solution = Solution(
            problem=text,
            model=self.model_name,
            answer=None,
            answer_text="",
            message="",
            program="",
            numbers=[],
            steps=[],
            certainty=None,
            certainty_text="",
            candidates=[],
            nearest=None,
            notes=[],
            attention=None,
        )
        if not words:
            solution.message = "There is no text."
        elif len(words) > MAX_WORDS:
            solution.message = f"The text has {len(words):,} words; at most {MAX_WORDS:,} are read."
        elif not numbers:
            solution.message = "There is no number in the text."
        elif not all(map(math.isfinite, numbers)):
            solution.message = "A number in the text is too large to compute with."
        else:
            solution.numbers = [Number(name=f"n{i}", value=value) for i, value in enumerate(numbers)]
        if len(words) <= MAX_WORDS:
            solution.notes = _remark_unread(text)
        return solution

    def _tell_certainty(self, solution: Solution, found: Answer) -> None:
        """Say how sure one may be of the answer, if there is one."""
        if found.value is None:
            return
        if self._certainty is None:
            solution.certainty_text = "How sure one may be of this model is not known (myna math calibrate finds out)."
            return
        evidence = found.evidence
        solution.certainty = certainty = self._certainty.of(evidence)
        degree = next(words for least, words in _DEGREES if certainty >= least)
        share = "more than 99" if certainty > 0.995 else "hardly any" if certainty < 0.005 else f"{100 * certainty:.0f}"
        solution.certainty_text = f"{degree}: where the model was as sure, {share} of 100 answers were right."
        if evidence.likeness is None:
            solution.certainty_text += " The training problems, which would tell more, are not at hand."

    def _tell_attention(self, text: str, tokens: tuple[str, ...]) -> Attention | None:
        """Say what the model attended to while it wrote a program; None if it has no attention."""
        with suppress(UserError):
            found = map_attention(self._model, text, tokens)
            return Attention(words=found.words, tokens=found.tokens, weights=found.weights.tolist())
        return None


def _tell_nearest(found: Answer) -> Nearest | None:
    """Tell the nearest training problem, if it is near."""
    neighbour = found.neighbour
    if neighbour is None or neighbour.cosine < FAR_COSINE:
        return None
    return Nearest(
        text=neighbour.text,
        program=neighbour.program,
        likeness=min(neighbour.cosine, 1.0),
        answer=as_json_number(found.neighbour_value),
        agrees=is_same(found.neighbour_value, found.value),
    )


def _tell_candidates(found: Answer) -> list[Candidate]:
    """Tell the programs that the beam kept."""
    return [
        Candidate(
            program=prediction.text,
            probability=prediction.probability,
            answer=as_json_number(result.value),
            answer_text=show_number(result.value) if result.value is not None else result.message,
        )
        for prediction, result in zip(found.predictions, found.results, strict=True)
    ]


def _remark_unread(text: str) -> list[str]:
    """Say which numbers of a text are not read, or not as they are meant."""
    notes = []
    if in_words := find_numbers_in_words(text):
        quoted = ", ".join(f'"{word}"' for word in in_words)
        notes.append(f"Numbers in words are not read ({quoted}): write them in digits.")
    if signed := find_lost_signs(text):
        notes.append(f"The sign of {' and '.join(signed)} is not read: only decimals, such as -0.5, may have one.")
    return notes


def _remark_unused(solution: Solution) -> list[str]:
    """Say which numbers the program leaves out."""
    used = {argument for step in solution.steps for argument in step.arguments}
    unused = [f"{show_number(number.value)} ({number.name})" for number in solution.numbers if number.name not in used]
    return [f"The program makes no use of {', '.join(unused)}."] if unused else []
