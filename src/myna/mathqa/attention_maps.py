"""What a model with attention looks at while it writes, and whether that is what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from myna.engine.tracking import progress
from myna.errors import UserError
from myna.mathqa.batches import collate_sources
from myna.mathqa.evaluation import judge_problem
from myna.mathqa.prediction import predict
from myna.mathqa.problems import Problem, check_scorable, mask
from myna.mathqa.readers import NeighbourReader
from myna.mathqa.task import MathModel
from myna.mathqa.vocabulary import END, SPECIAL_TOKENS, START, UNKNOWN

ORDERS = ("attention", "random", "reversed")
"""In which words are hidden: those attended to most first, any, those attended to least first."""
_LONGEST_MAPPED = 40


@dataclass(frozen=True)
class AttentionMap:
    """How the prediction of each token spreads over the words of a problem.

    Attributes:
        words: S, of the problem, numbers masked; then the tokens of the neighbours' programs, where a model sees them.
        tokens: T, of the program, its end included.
        weights: (T, S), each row sums to 1.
    """

    words: list[str]
    tokens: list[str]
    weights: Tensor


@torch.inference_mode()
def map_attention(model: MathModel, text: str, tokens: Sequence[str]) -> AttentionMap:
    """Return the attention of a model while it writes a given program.

    Raises:
        UserError: the model has no attention whose weights can be had.
    """
    words = mask(text).split() or [""]
    source = model.reader(words)
    inputs = [START, *model.vocabularies.tokens.ids(tokens)]
    translator = model.translator.eval()
    state, memory = translator.start(*collate_sources([source], model.device))
    try:
        weights = translator.decoder.attention_weights(torch.tensor([inputs], device=model.device), state, memory)[0]
    except ValueError:
        raise UserError(f"{model.config.model.type}: has no attention to look at, or feeds it back") from None
    if isinstance(model.reader, NeighbourReader):
        # Behind the words stand the tokens of the neighbours' programs.
        words = [*words, *(model.vocabularies.tokens.tokens[token_id] for token_id in source[1])]
    return AttentionMap(words, [*tokens, model.vocabularies.tokens.tokens[END]], weights.cpu())


def explain(model: MathModel, problems: Sequence[Problem], n_maps: int = 4) -> dict[str, Any]:
    """Decode problems greedily, and return what the model attends to and whether that is what it needs.

    Args:
        model: with attention.
        problems: with references and answers.
        n_maps: maps of right programs, and as many of wrong ones; the first problems of no more than 40 words.

    Returns:
        `maps`, each with the `text`, `words`, `tokens`, `weights`, the program's `value`, and whether it is `right`;
        and `deletion`, as `delete_words` gives it, over all problems.

    Raises:
        UserError: the model has no attention whose weights can be had, or a problem cannot be scored against.
    """
    check_scorable(problems)
    texts = [problem.text for problem in problems]
    with progress("writing programs", len(texts)) as tick:
        found = predict(model.translator, model.reader, texts, beam_size=1, tick=tick)
    programs = [predictions[0] for predictions in found]
    maps: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for problem, program in zip(problems, programs, strict=True):
        verdict = judge_problem(problem, program.text)
        if len(maps[verdict.executes]) < n_maps and len(mask(problem.text).split()) <= _LONGEST_MAPPED:
            attention = map_attention(model, problem.text, program.tokens)
            weights = [[round(weight, 3) for weight in row] for row in attention.weights.tolist()]
            maps[verdict.executes].append(
                {
                    "text": problem.text,
                    "words": attention.words,
                    "tokens": attention.tokens,
                    "weights": weights,
                    "value": verdict.value,
                    "right": verdict.executes,
                }
            )
    deletion = delete_words(model, texts, [program.tokens for program in programs])
    return {"maps": maps[True] + maps[False], "deletion": deletion}


def delete_words(
    model: MathModel, texts: Sequence[str], programs: Sequence[Sequence[str]], n_steps: int = 10, seed: int = 0
) -> dict[str, Any]:
    """Hide the words of problems little by little, and see how soon the model loses faith in its program.

    If attention shows what the model needs, hiding the words attended to most hurts sooner than hiding any words, and
    hiding those attended to least hurts later. A hidden word is read as unknown, by BERT and by the look-up of
    neighbours too.
    Source: the deletion test of Petsiuk et al. 2018, arXiv 1806.07421, on words instead of pixels.

    Args:
        model: with attention.
        texts: of problems.
        programs: the tokens that the model wrote for each.
        n_steps: into which the words of a problem are parted.
        seed: of the random order.

    Returns:
        `shares` of the words hidden; for each of `ORDERS` a curve, the mean log-probability of a token of the
        programs at each share; and under `areas` the mean over each curve, lower where faith is lost sooner.
    """
    rng = np.random.default_rng(seed)
    curves = {order: np.zeros(n_steps + 1) for order in ORDERS}
    with progress("hiding words", len(texts)) as tick:
        for text, program in zip(texts, programs, strict=True):
            n_words = len(mask(text).split() or [""])
            attention = map_attention(model, text, program).weights[:, :n_words].mean(0).numpy()  # (S)
            by_attention = np.argsort(-attention, kind="stable")
            orders = (by_attention, rng.permutation(len(attention)), by_attention[::-1])
            for name, order in zip(ORDERS, orders, strict=True):
                curves[name] += _delete(model, text, program, order, n_steps)
            tick()
    means = {name: (curve / max(1, len(texts))) for name, curve in curves.items()}
    return {
        "n": len(texts),
        "shares": [step / n_steps for step in range(n_steps + 1)],
        "curves": {name: curve.round(4).tolist() for name, curve in means.items()},
        "areas": {name: round(float(curve.mean()), 4) for name, curve in means.items()},
    }


@torch.inference_mode()
def _delete(
    model: MathModel, text: str, program: Sequence[str], order: np.ndarray[Any, Any], n_steps: int
) -> np.ndarray[Any, Any]:
    """Return the mean log-probability of a token of a program as more and more words are hidden, (n_steps + 1)."""
    words = mask(text).split() or [""]
    sources = []
    for step in range(n_steps + 1):
        hidden = set(order[: round(len(words) * step / n_steps)].tolist())
        unknown = SPECIAL_TOKENS[UNKNOWN]
        sources.append(model.reader([unknown if place in hidden else word for place, word in enumerate(words)]))
    translator = model.translator.eval()
    state, memory = translator.start(*collate_sources(sources, model.device))
    tokens = torch.tensor([START, *model.vocabularies.tokens.ids(program), END], device=model.device)  # (T + 1)
    inputs, targets = tokens[:-1].expand(len(sources), -1), tokens[1:]  # (n_steps + 1, T), (T)
    log_probabilities = translator.decoder(inputs, state, memory)[0].float().log_softmax(-1)  # (n_steps + 1, T, V)
    chosen = log_probabilities.gather(2, targets.expand(len(sources), -1).unsqueeze(2)).squeeze(2)  # (n_steps + 1, T)
    return chosen.mean(1).double().cpu().numpy()  # type: ignore[no-any-return]
