"""Programs of a model's beam and of the nearest training problems, ranked together by a verifier."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from myna.mathqa.baselines import Neighbour
from myna.mathqa.evaluation import judge_problem
from myna.mathqa.language.execute import execute_text
from myna.mathqa.language.program import join_tokens, parse
from myna.mathqa.prediction import Prediction
from myna.mathqa.problems import Problem, mask, mask_with_numbers
from myna.mathqa.verifier import Array, Candidate, Verifier, describe, fit

N_FOLDS = 10
_LARGEST = 1e300  # what a float can hold


def verify(
    verifier: Verifier, text: str, found: Sequence[Prediction], neighbours: Sequence[Neighbour]
) -> list[Prediction]:
    """Return the programs of the beam and of the neighbours that give a value, the most believable first.

    Args:
        verifier: what ranks them.
        text: the problem as it was given.
        found: what the beam kept, best first.
        neighbours: the nearest training problems.

    Returns:
        predictions whose probabilities are the verifier's, and sum to 1.
    """
    candidates, features = gather(text, found, neighbours)
    shares = verifier.shares(features)
    order = np.argsort(-shares, kind="stable")
    return [Prediction(candidates[i].tokens, float(shares[i]), ended=True) for i in order]


def gather(text: str, found: Sequence[Prediction], neighbours: Sequence[Neighbour]) -> tuple[list[Candidate], Array]:
    """Return the distinct programs that give a value, those of the beam first, and their features (C, F)."""
    words, numbers = mask_with_numbers(text)
    in_beam = {each.tokens: math.log(max(each.probability, 1e-300)) for each in found if each.ended}
    by_program: dict[tuple[str, ...], Neighbour] = {}
    for neighbour in neighbours:
        by_program.setdefault(tuple(parse(neighbour.program).tokens), neighbour)
    candidates = []
    for tokens in {**in_beam, **by_program}:
        value = execute_text(join_tokens(tokens), numbers).value
        if value is not None and abs(value) < _LARGEST:
            candidates.append(Candidate(tokens, float(value), in_beam.get(tokens), by_program.get(tokens)))
    return candidates, describe(words, numbers, candidates)


def fit_verifier(
    problems: Sequence[Problem], found: Sequence[Sequence[Prediction]], neighbours: Sequence[Sequence[Neighbour]]
) -> tuple[Verifier, list[str]]:
    """Fit a verifier on problems that nothing else was trained on.

    Args:
        problems: with references and answers.
        found: for each what the beam kept, best first.
        neighbours: for each the nearest training problems.

    Returns:
        the verifier; and for each problem the program that is chosen by one which was fitted without it, by ten-fold
        cross-validation. Problems that read the same but for the numbers are of the same fold.

    Raises:
        ValueError: a problem has no reference or no answer.
    """
    texts = [problem.text for problem in problems]
    gathered = [gather(*each) for each in zip(texts, found, neighbours, strict=True)]
    programs = [[join_tokens(candidate.tokens) for candidate in candidates] for candidates, _ in gathered]
    examples = [
        (features, [judge_problem(problem, program).executes for program in choices])
        for problem, (_, features), choices in zip(problems, gathered, programs, strict=True)
    ]
    masked = [mask(text) for text in texts]
    folds = {text: i % N_FOLDS for i, text in enumerate(dict.fromkeys(masked))}
    others = [
        fit([example for text, example in zip(masked, examples, strict=True) if folds[text] != fold])
        for fold in range(N_FOLDS)
    ]
    chosen = [
        choices[int(others[folds[text]].shares(features).argmax())] if choices else ""
        for text, (features, _), choices in zip(masked, examples, programs, strict=True)
    ]
    return fit(examples), chosen
