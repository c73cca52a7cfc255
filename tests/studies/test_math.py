"""Paired tests of the math half, on predictions of which every verdict is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

from myna import runs
from myna.errors import UserError
from myna.files import read_json, write_json
from myna.mathqa.problems import as_items
from myna.studies.math import MathMeasures
from myna.studies.plan import StudyConfig

N = 150
"""Problems of a generated split."""


def make_measures(**more: Any) -> MathMeasures:
    plan = {"name": "s", "title": "T", "runs": [{"config": "x"}], "searches": ["plain"]} | more
    return MathMeasures(StudyConfig.model_validate(plan), None)


def predict(measures: MathMeasures, name: str, right: range, split: str = "test", beam_size: int = 10) -> None:
    """Write predictions of a run that has these problems right, and says nothing to the others."""
    problems = measures.splits.named(split)
    texts = [problem.formula or "" if i in right else "" for i, problem in enumerate(problems)]
    write_json(runs.runs_folder() / name / f"predictions-{split}-{beam_size}-plain.json", as_items(problems, texts))


def run(label: str, seed: int = 0) -> dict[str, Any]:
    return {"name": f"{label}-seed{seed}", "label": label, "seed": seed}


def select(found: list[dict[str, Any]], what: str, measure: str = "exact_match") -> list[dict[str, Any]]:
    return [each for each in found if (each["what"], each["measure"]) == (what, measure)]


@pytest.fixture(autouse=True)
def _no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("MYNA_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def test_models_are_compared_on_test_by_both_measures() -> None:
    measures = make_measures()
    predict(measures, "a-seed0", range(90))
    predict(measures, "b-seed0", range(60, N))
    found = measures.compare([run("a"), run("b")])
    for measure in ("exact_match", "execution_accuracy"):
        (comparison,) = select(found, "models", measure)
        assert (comparison["a"], comparison["b"], comparison["split"]) == ("a", "b", "test")
        assert (comparison["n"], comparison["beam_size"], comparison["search"]) == (N, 10, "plain")
        assert comparison["difference"] == pytest.approx(0.0)
        assert comparison["p"] == pytest.approx(binomtest(60, 60 + N - 90).pvalue)
    assert select(found, "beams") == []


def test_seeds_are_compared_together() -> None:
    measures = make_measures()
    for seed in (0, 1):
        predict(measures, f"a-seed{seed}", range(100 + 10 * seed))
        predict(measures, f"b-seed{seed}", range(75))
    (comparison,) = select(measures.compare([run(label, seed) for label in "ab" for seed in (0, 1)]), "models")
    assert comparison["n_seeds"] == 2
    assert comparison["difference"] == pytest.approx(30 / N)


def test_beam_sizes_of_one_run_are_compared() -> None:
    measures = make_measures(beam_sizes=[10, 1, 20])
    for beam_size, n in {10: 90, 1: 60, 20: 96}.items():
        predict(measures, "a-seed0", range(n), beam_size=beam_size)
    found = select(measures.compare([run("a")]), "beams")
    assert [(each["label"], each["a"], each["b"]) for each in found] == [("a", 20, 10), ("a", 20, 1), ("a", 10, 1)]
    assert [each["difference"] for each in found] == pytest.approx([6 / N, 36 / N, 30 / N])
    assert [each["p_holm"] >= each["p"] for each in found] == [True] * 3


def test_baselines_are_compared_on_all_novel_and_far_problems() -> None:
    measures = make_measures()
    predict(measures, "a-seed0", range(N))
    found = select(measures.compare([run("a")]), "baselines")
    by_key = {(each["b"], each["subset"]): each for each in found}
    assert by_key["look-up", ""]["n"] == N
    scores = {each["name"]: each["scores"]["test"][0] for each in measures.measure_baselines()}
    for (name, subset), comparison in by_key.items():
        score = scores[name][subset] if subset else scores[name]
        assert comparison["n"] == score["n"]
        assert comparison["difference"] == pytest.approx(1 - score["exact_match"])
    # Look-up finds nothing for what is novel.
    assert by_key["look-up", "novel"]["difference"] == 1.0


def test_without_test_it_is_dev_and_without_both_nothing() -> None:
    measures = make_measures(splits=["dev"])
    predict(measures, "a-seed0", range(9), split="dev")
    assert {each["split"] for each in measures.compare([run("a")])} == {"dev"}
    assert make_measures(splits=["train"]).compare([run("a")]) == []


def test_predictions_of_other_problems_are_refused() -> None:
    measures = make_measures()
    predict(measures, "a-seed0", range(9))
    path = runs.runs_folder() / "a-seed0" / "predictions-test-10-plain.json"
    write_json(path, read_json(path)[1:])
    with pytest.raises(UserError, match=r"predictions-test-10-plain\.json: not of the test problems"):
        measures.compare([run("a")])


@pytest.mark.parametrize("use", ["describe_run", "measure"])
def test_predictions_of_other_problems_are_refused_wherever_they_are_read(use: str) -> None:
    measures = make_measures(splits=["test"])
    predict(measures, "a-seed0", range(9))
    folder = runs.runs_folder() / "a-seed0"
    write_json(folder / "scores-test-10-plain.json", {"exact_match": 0.0})
    path = folder / "predictions-test-10-plain.json"
    items = read_json(path)
    write_json(path, items[1:])
    with pytest.raises(UserError, match=r"predictions-test-10-plain\.json: not of the test problems"):
        getattr(measures, use)(folder)
    write_json(path, [{"Problem": item["Problem"]} for item in items])
    with pytest.raises(UserError, match=r"predictions-test-10-plain\.json: item 0: linear_formula: missing"):
        getattr(measures, use)(folder)


def test_problems_that_cannot_be_scored_are_refused_before_anything_is_measured(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "mathqa"
    good = {"Problem": "2 + 3 ?", "linear_formula": "add(n0,n1)|", "answer": 5}
    for split, items in {"train": [good], "dev": [good], "test": [good, {"Problem": "2 ?"}]}.items():
        write_json(folder / f"{split}.json", items)
    plan = StudyConfig.model_validate({"name": "s", "title": "T", "runs": [{"config": "x"}]})
    with pytest.raises(UserError, match=r"test\.json: item 1: no linear_formula"):
        MathMeasures(plan, tmp_path / "data")
    MathMeasures(plan.model_copy(update={"splits": ["dev"]}), tmp_path / "data")


def test_a_score_tells_how_long_the_programs_are() -> None:
    measures = make_measures(splits=["test"])
    predict(measures, "a-seed0", range(0))
    write_json(runs.runs_folder() / "a-seed0" / "scores-test-10-plain.json", {"exact_match": 0.0})
    folder = runs.runs_folder() / "a-seed0"
    assert measures.measure(folder)["test"] == [{"exact_match": 0.0, "n_tokens": 0.0}]
    (folder / "predictions-test-10-plain.json").unlink()
    assert measures.measure(folder)["test"][0]["n_tokens"] is None
