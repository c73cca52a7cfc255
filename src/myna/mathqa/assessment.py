"""A trained model on a split: its predictions, its scores, and how fast it was."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from myna.engine.tracking import progress
from myna.files import check_writable, write_json
from myna.mathqa.baselines import NeighbourIndex
from myna.mathqa.evaluation import evaluate
from myna.mathqa.problems import Problem, as_items, check_scorable
from myna.mathqa.task import MathModel


def assess(
    model: MathModel,
    problems: list[Problem],
    index: NeighbourIndex,
    *,
    title: str,
    beam_size: int,
    search: str,
    output: Path,
    length_penalty: float | None = None,
) -> dict[str, Any]:
    """Decode problems, write the predictions in the course's format, and return the scores.

    Args:
        model: a trained model.
        problems: with references and answers.
        index: over the training problems, which splits the scores into seen, novel and far.
        title: of the progress bar.
        beam_size: hypotheses kept at each step.
        search: as for `MathModel.predict`.
        output: where the predictions go.
        length_penalty: None takes the one chosen for the model.

    Returns:
        the scores as `evaluate` gives them, with beam_size, search, length_penalty, seconds and problems_per_second.

    Raises:
        UserError: a problem has no answer, no reference, or none that parses; the output cannot be written; or the
            model lacks a verifier.
    """
    check_scorable(problems)
    check_writable(output)
    if length_penalty is None:
        length_penalty = model.config.decoding.length_penalty
    texts = [problem.text for problem in problems]
    model.prepare(texts)
    started = time.monotonic()
    with progress(title, len(texts)) as tick:
        found = model.predict(texts, beam_size=beam_size, search=search, length_penalty=length_penalty, tick=tick)
    seconds = time.monotonic() - started
    predicted = [programs[0].text if programs else "" for programs in found]
    write_json(output, as_items(problems, predicted))
    how = {"beam_size": beam_size, "search": search, "length_penalty": length_penalty}
    speed = {"seconds": seconds, "problems_per_second": len(texts) / seconds}
    return {**how, **evaluate(problems, predicted, index), **speed}
