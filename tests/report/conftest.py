"""A small study with hand-made figures, of which the tests know every value."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest

_STUDY_COMMAND = "myna study run configs/studies/small.toml"


def _part(n: int, exact_match: float, execution_accuracy: float) -> dict[str, Any]:
    measures = {
        "exact_match": exact_match,
        "raw_exact_match": exact_match / 2,
        "execution_accuracy": execution_accuracy,
    }
    return {"n": n, **measures, "token_match": 0.9}


def _score(search: str | None, exact_match: float, **more: Any) -> dict[str, Any]:
    """A score whose subsets and intervals follow from its exact match."""
    low, high = exact_match - 0.02, exact_match + 0.02
    return {
        "search": search,
        "beam_size": 10 if search else None,
        **_part(1000, exact_match, exact_match + 0.05),
        "seen": _part(700, 0.8, 0.85),
        "novel": _part(300, 0.1, 0.2),
        "far": _part(150, 0.0, 0.05),
        "failures": {"too large": 3, "complex": 1},
        "intervals": {"exact_match": [low, high], "execution_accuracy": [low + 0.05, high + 0.05]},
        "problems_per_second": 100.0,
    } | more


def make_mistakes() -> dict[str, Any]:
    """What was counted on 1000 problems, of which 400 are exact."""

    def rows(**accuracies: float) -> list[dict[str, Any]]:
        return [
            {"name": name, "n": 100, "exact_match": value - 0.1, "execution_accuracy": value}
            for name, value in accuracies.items()
        ]

    return {
        "kinds": {
            "exact": 400,
            "right value, other program": 50,
            "does not run": 30,
            "too short": 320,
            "too long": 200,
        },
        "by_steps": rows(**{"1": 0.9, "2": 0.7, "6 or more": 0.2}),
        "by_operation": [*rows(divide=0.8, power=0.3), {"name": "rare", "n": 3, "execution_accuracy": 0.0}],
        "by_cosine": rows(**{"0.0 to 0.7": 0.1, "0.9 to 1.0": 0.6, "1 (seen)": 0.95}),
    }


def make_attention() -> dict[str, Any]:
    """Two maps of right programs and three of wrong ones, and a deletion test that attention passes."""
    weights = [[0.9, 0.1, 0.0], [0.25, 0.25, 0.5]]
    maps = [
        {"text": "a n0 ?", "words": ["a", "n0", "?"], "tokens": ["sqrt", "</s>"], "weights": weights,
         "value": float(i), "right": i < 2}
        for i in range(5)
    ]  # fmt: skip
    curves = {"attention": [-0.1, -1.0, -2.0], "random": [-0.1, -0.6, -2.0], "reversed": [-0.1, -0.3, -2.0]}
    areas = {name: sum(values) / 3 for name, values in curves.items()}
    return {"maps": maps, "deletion": {"n": 60, "shares": [0.0, 0.5, 1.0], "curves": curves, "areas": areas}}


def _run(label: str, exact_match: float) -> dict[str, Any]:
    curves: list[dict[str, Any]] = []
    for epoch in (1, 2, 3, 4):
        at = {"epoch": epoch, "step": 10 * epoch, "minutes": float(epoch)}
        curves.append({"split": "train", **at, "loss": 2 / epoch, "learning_rate": 0.001})
        curves.append(
            {"split": "val", **at, "loss": 1 / epoch, "exact_match": 0.1 * epoch, "execution_accuracy": 0.11 * epoch}
        )
    searches = {
        "plain": _score("plain", exact_match),
        "grammar": _score("grammar", exact_match + 0.01, failures={"complex": 1}, problems_per_second=50.0),
        "execution": _score("execution", exact_match + 0.005, failures={}),
    }
    attention = {"attention": make_attention()} if label == "lstm_lstm_attn" else {}
    return {
        "name": f"small-{label}",
        "label": label,
        "seed": 0,
        "config": {"name": f"small-{label}", "model.type": label, "training.epochs": 4, "data.fold": True},
        "n_parameters": 1_234_567,
        "minutes": 4.0,
        "command": f"myna math train configs/{label}.toml",
        "curves": curves,
        "scores": {split: copy.deepcopy(list(searches.values())) for split in ("dev", "test")},
        "mistakes": {split: make_mistakes() for split in ("dev", "test")},
        **attention,
    }


def make_comparisons(
    pairs: Sequence[tuple[Any, Any, float]], what: str = "models", **more: Any
) -> list[dict[str, Any]]:
    """Paired tests of both measures, each of the difference given; p is 0.001 from 5 points on, else 0.4."""
    return [
        {"what": what, "split": "test", "measure": measure, "search": "plain", "beam_size": 10, "a": a, "b": b,
         "n": 1000, "n_seeds": 1, "difference": difference, "low": difference - 0.02, "high": difference + 0.02,
         "p": p, "p_holm": min(1.0, 2 * p)}
        | more
        for measure in ("exact_match", "execution_accuracy")
        for a, b, difference in pairs
        for p in [0.001 if abs(difference) >= 0.05 else 0.4]
    ]  # fmt: skip


def _make_results() -> dict[str, Any]:
    scores = {
        "dev": [_score(None, 0.7, problems_per_second=None)],
        "test": [_score(None, 0.7, problems_per_second=None)],
    }
    return {
        "study": "math",
        "name": "small",
        "title": "A small study",
        "source": "the real data in data",
        "is_generated": False,
        "command": _STUDY_COMMAND,
        "minutes": 9.5,
        "environment": {"myna": "0.1.0", "commit": "abc", "packages": {"torch": "2.13.0"}},
        "facts": {
            "words": 9120,
            "splits": {
                "train": {"problems": 19791, "seen_share": 1.0, "tokens_never_seen": []},
                "test": {"problems": 1925, "seen_share": 0.719, "tokens_never_seen": ["const_7"]},
            },
        },
        "runs": [_run("lstm_lstm", 0.4), _run("lstm_lstm_attn", 0.5)],
        "baselines": [{"name": "look-up", "label": "look-up baseline", "scores": scores}],
        "comparisons": [
            *make_comparisons([("lstm_lstm", "lstm_lstm_attn", -0.1)]),
            *(
                comparison
                for subset, gain in {"": -0.3, "novel": 0.1, "far": 0.0}.items()
                for comparison in make_comparisons([("lstm_lstm", "look-up", gain)], "baselines", subset=subset)
            ),
        ],
    }


@pytest.fixture(scope="session")
def small_study() -> Callable[[], dict[str, Any]]:
    """Makes the small study anew at each call."""
    return _make_results


@pytest.fixture
def results() -> dict[str, Any]:
    """The small study, for a test to change as it likes."""
    return _make_results()
