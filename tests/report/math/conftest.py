"""Generated studies of word problems, as a study writes them: of teacher forcing, of beam sizes, of five models."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import pytest

Results = dict[str, Any]

N = 1925
REACHED = {0.3: 0.46, 0.6: 0.48, 0.9: 0.50}
"""Exact match by teacher-forcing ratio."""
BEAMS = {1: 0.60, 10: 0.63, 20: 0.62}
"""Exact match by beam size."""
MODELS = {
    "lstm_lstm": 0.66,
    "lstm_lstm_attn": 0.71,
    "bert_lstm_attn_frozen": 0.70,
    "bert_lstm_attn_tuned": 0.74,
    "retrieval_lstm_attn": 0.79,
}


def _part(n: int, em: float) -> dict[str, Any]:
    em = min(1.0, max(0.0, em))
    return {
        "n": n, "exact_match": em, "raw_exact_match": em - 0.2 * em, "execution_accuracy": min(1.0, em + 0.03),
        "token_match": min(1.0, em + 0.2),
    }  # fmt: skip


def make_score(em: float, beam_size: int | None = 10, search: str | None = "plain", **more: Any) -> dict[str, Any]:
    """A score whose parts follow from its exact match."""
    half = 1.96 * math.sqrt(em * (1 - em) / N)
    return {
        **_part(N, em), "beam_size": beam_size, "search": search,
        "seen": _part(1384, em + 0.15), "novel": _part(541, em - 0.4), "far": _part(96, em - 0.55),
        "failures": {"too large": 3}, "problems_per_second": 100 / beam_size if beam_size else None, "n_tokens": 9.5,
        "intervals": {"exact_match": [em - half, em + half], "execution_accuracy": [em, em + 0.06]},
    } | more  # fmt: skip


def make_run(
    name: str,
    label: str,
    scores: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any],
    seed: int = 0,
    end: float = 0.5,
) -> dict[str, Any]:
    """A run of 12 epochs whose losses end near `end`."""
    draw, curves = random.Random(name), []
    for epoch in range(1, 13):
        part, noise = 1 - math.exp(-epoch / 3), draw.gauss(0, 0.005)
        at = {"epoch": epoch, "step": 600 * epoch, "minutes": 2.0 * epoch}
        curves.append({"split": "train", **at, "loss": 3 - (3 - end) * part + noise, "learning_rate": 0.001})
        em = scores[0]["exact_match"] * part
        val = {"loss": 2.5 - (2.5 - end) * part + noise, "exact_match": em, "execution_accuracy": em + 0.02 * part}
        curves.append({"split": "val", **at, **val, "token_match": em + 0.1})
    return {
        "name": name, "label": label, "seed": seed, "command": f"myna math train {label}.toml",
        "n_parameters": 2_500_000, "minutes": 24.0 + seed,
        "config": {"study": "math", "name": name, "training.seed": seed, **config},
        "curves": curves, "scores": {split: [dict(score) for score in scores] for split in ("dev", "test")},
    }  # fmt: skip


def make_tests(reached: Mapping[Any, float], n_seeds: int = 1, **more: Any) -> list[dict[str, Any]]:
    """Paired tests of both measures between every two, as far apart as what they reached."""
    return [
        {"split": "test", "measure": measure, "search": "plain", "a": a, "b": b, "n": N, "n_seeds": n_seeds,
         "difference": difference, "low": difference - 0.012, "high": difference + 0.012, "p": p,
         "p_holm": min(1.0, 3 * p)} | more
        for measure in ("exact_match", "execution_accuracy")
        for a, b in combinations(reached, 2)
        for difference in [reached[a] - reached[b]]
        for p in [math.erfc(abs(difference) / 0.0085)]
    ]  # fmt: skip


def make_gains(reached: Mapping[str, float]) -> list[dict[str, Any]]:
    """Paired tests of each with two baselines, on all, novel and far problems."""
    floors = {
        "look-up": {"": 0.7, "novel": 0.0, "far": 0.0},
        "nearest neighbour": {"": 0.77, "novel": 0.27, "far": 0.04},
    }
    sizes = {"": N, "novel": 541, "far": 96}
    gains = []
    for label, em in reached.items():
        for floor, parts in floors.items():
            for subset, below in parts.items():
                own = max(0.0, em - {"": 0.0, "novel": 0.4, "far": 0.55}[subset])
                more = {"what": "baselines", "subset": subset, "n": sizes[subset], "beam_size": 10}
                gains += make_tests({label: own, floor: below}, **more)
    return gains


def make_study(name: str, title: str, runs: list[dict[str, Any]], comparisons: list[dict[str, Any]]) -> Results:
    floors = {"look-up": 0.70, "nearest neighbour": 0.77}
    return {
        "study": "math", "name": name, "title": title, "source": "the real problems", "is_generated": False,
        "command": f"myna study run configs/studies/{name}.toml", "minutes": 90.0, "n_planned": len(runs),
        "environment": {"myna": "0.1.0", "commit": "abc", "packages": {"torch": "2.13.0"}},
        "facts": {
            "words": 9120,
            "splits": {split: {"problems": N, "program_tokens_mean": 10.25} for split in ("train", "dev", "test")},
        },
        "runs": runs,
        "baselines": [
            {"name": floor, "label": floor,
             "scores": {s: [make_score(em, None, None)] for s in ("dev", "test")}}
            for floor, em in floors.items()
        ],
        "comparisons": comparisons,
    }  # fmt: skip


def make_forcing_study(n_seeds: int = 3) -> Results:
    """Three ratios; each seed is half a point from the next."""
    runs = []
    for ratio, em in REACHED.items():
        for seed in range(n_seeds):
            score = make_score(em + 0.005 * (seed - (n_seeds - 1) / 2))
            config = {"model.type": "lstm_lstm_attn", "teacher_forcing.ratio": ratio, "training.epochs": 12}
            name = f"forcing-ratio-{ratio}-seed{seed}"
            runs.append(make_run(name, f"teacher forcing {ratio}", [score], config, seed, end=1 - ratio))
    reached = {f"teacher forcing {ratio}": em for ratio, em in REACHED.items()}
    comparisons = make_tests(reached, n_seeds, what="models", beam_size=10) + make_gains(reached)
    return make_study("teacher-forcing", "Teacher forcing", runs, comparisons)


def make_tuned_run(beams: Mapping[int, float]) -> dict[str, Any]:
    scores = [make_score(em, size, n_tokens=9.5 + 0.01 * size) for size, em in beams.items()]
    config = {"model.type": "bert_lstm_attn_tuned", "teacher_forcing.ratio": 0.6}
    return make_run("bert_lstm_attn_tuned-seed0", "bert_lstm_attn_tuned", scores, config)


def make_beam_study() -> Results:
    """One run at three beam sizes."""
    by_size = {size: BEAMS[size] for size in sorted(BEAMS, reverse=True)}
    comparisons = make_tests(by_size, what="beams", label="bert_lstm_attn_tuned")
    gains = make_gains({"bert_lstm_attn_tuned": BEAMS[10]})
    order = {size: BEAMS[size] for size in (10, 1, 20)}
    return make_study("beam-size", "Beam sizes", [make_tuned_run(order)], comparisons + gains)


def make_model_study() -> Results:
    """Five models, three kinds of search."""
    runs = []
    for label, em in MODELS.items():
        searches = {"plain": 0.0, "grammar": 0.004, "execution": 0.007}
        scores = [make_score(em + more, 10, search) for search, more in searches.items()]
        config = {"model.type": label, "teacher_forcing.ratio": 0.6}
        runs.append(make_run(f"{label}-seed0", label, scores, config))
    comparisons = make_tests(MODELS, what="models", beam_size=10) + make_gains(MODELS)
    return make_study("architectures", "Five models", runs, comparisons)


@pytest.fixture
def forcing() -> Results:
    """A study of teacher forcing, for a test to change as it likes."""
    return make_forcing_study()


@pytest.fixture
def beams() -> Results:
    """A study of beam sizes, for a test to change as it likes."""
    return make_beam_study()


@pytest.fixture
def models() -> Results:
    """A study of five models, for a test to change as it likes."""
    return make_model_study()
