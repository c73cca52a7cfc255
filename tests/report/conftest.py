"""A small study with hand-made figures, of which the tests know every value."""

from __future__ import annotations

import copy
from collections.abc import Callable
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
    }


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
    }


@pytest.fixture(scope="session")
def small_study() -> Callable[[], dict[str, Any]]:
    """Makes the small study anew at each call."""
    return _make_results


@pytest.fixture
def results() -> dict[str, Any]:
    """The small study, for a test to change as it likes."""
    return _make_results()
