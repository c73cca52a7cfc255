from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

from myna import runs
from myna.config import BirdsConfig, MathConfig, save
from myna.errors import UserError
from myna.files import write_json, write_text
from myna.report.comparison import compare_runs

PROBLEM = {"Problem": "what is 2 plus 3 ?", "linear_formula": "add(n0,n1)|", "answer": 5}


def write_run(name: str, right: list[bool], accuracies: list[float], norm: str = "bn") -> Path:
    """Write a run that names the first test photos rightly."""
    folder = runs.runs_folder() / name
    folder.mkdir(parents=True)
    save(BirdsConfig.model_validate({"name": name, "model": {"norm": norm}}), folder / runs.CONFIG)
    write_json(folder / runs.SUMMARY, {"n_parameters": 7, "minutes": 1.5, "best_score": 0.5})
    lines = [
        f'{{"split": "val", "epoch": {epoch}, "loss": {1 - value}, "accuracy": {value}}}\n'
        for epoch, value in enumerate(accuracies, 1)
    ]
    write_text(folder / runs.METRICS, "".join(lines))
    write_json(folder / "scores-test.json", {"accuracy": sum(right) / len(right), "macro_f1": 0.5})
    photos = [
        {"photo": f"Crow/{i}.png", "class": "Crow", "predicted": "Crow" if each else "Egret", "probability": 0.5}
        for i, each in enumerate(right)
    ]
    write_json(folder / "predictions-test.json", photos)
    return folder


def write_math_run(name: str, programs: list[str]) -> Path:
    folder = runs.runs_folder() / name
    folder.mkdir(parents=True)
    save(MathConfig.model_validate({"name": name}), folder / runs.CONFIG)
    write_json(folder / runs.SUMMARY, {"n_parameters": 7, "minutes": 1.5, "best_score": 0.5})
    write_json(folder / "predictions-test-10-plain.json", [{**PROBLEM, "predicted": text} for text in programs])
    write_json(folder / "scores-test-10-plain.json", {"beam_size": 10, "search": "plain", "exact_match": 0.5})
    return folder


def test_a_clear_difference_is_more_than_noise() -> None:
    write_run("a", [True] * 5 + [False] * 35, [0.2, 0.4, 0.3])
    write_run("b", [True] * 30 + [False] * 10, [0.5], norm="gn")
    found = compare_runs("a", "b")
    assert found["settings"] == [{"name": "model.norm", "a": "bn", "b": "gn"}]
    (test,) = found["tests"]
    assert test["difference"] == pytest.approx(25 / 40)
    assert test["p"] == pytest.approx(binomtest(25, 25).pvalue)
    (sentence,) = found["sentences"]
    assert sentence.startswith(
        "On test, b is 62.5 points above a in accuracy: more than noise (p < 0.001, paired over 40"
    )
    by_measure = {row["measure"]: row for row in found["scores"]}
    assert by_measure["accuracy"]["difference"] == pytest.approx(25 / 40)
    assert by_measure["macro_f1"]["difference"] == 0
    curves: dict[str, Any] = {curve["name"]: curve for curve in found["curves"]}
    assert curves["val accuracy"]["a"] == {"final": 0.3, "best": 0.4, "best_epoch": 2, "epochs": 3}
    assert curves["val loss"]["a"]["best"] == pytest.approx(0.6)
    assert set(curves) == {"val accuracy", "val loss"}
    assert found["missing"] == []


def test_a_small_difference_is_not() -> None:
    write_run("a", [True, True, False, False], [0.5])
    write_run("b", [True, True, True, False], [0.5])
    found = compare_runs("a", "b")
    assert "not more than noise (p = 1.000" in found["sentences"][0]
    assert found["settings"] == []


def test_other_photos_cannot_be_paired() -> None:
    write_run("a", [True, False], [0.5])
    write_run("b", [True, False, True], [0.5])
    found = compare_runs("a", "b")
    assert found["tests"] == []
    assert found["sentences"] == [
        "On test there is no paired test: the two runs were not measured on the same examples."
    ]


def test_a_file_without_predictions_is_named() -> None:
    write_run("a", [True, False], [0.5])
    write_json(write_run("b", [True, False], [0.5]) / "predictions-test.json", [{"photo": "Crow/0.png"}])
    with pytest.raises(UserError, match=r"b/predictions-test\.json: item 0: class: missing"):
        compare_runs("a", "b")
    write_math_run("c", ["add(n0,n1)|"])
    write_json(write_math_run("d", ["add(n0,n1)|"]) / "predictions-test-10-plain.json", [PROBLEM])
    with pytest.raises(UserError, match=r"d/predictions-test-10-plain\.json: item 0: predicted: missing"):
        compare_runs("c", "d")


def test_predictions_that_are_not_there_are_named_with_their_command() -> None:
    write_run("a", [True, False], [0.5])
    (write_run("b", [True, False], [0.5]) / "predictions-test.json").unlink()
    found = compare_runs("a", "b")
    (command,) = found["missing"]
    assert command.startswith(f"myna birds eval {runs.runs_folder() / 'b'} --split test --output ")


def test_p_is_adjusted_where_more_than_one_test_is_read() -> None:
    for name, right in (("a", [True] * 5 + [False] * 35), ("b", [True] * 11 + [False] * 29)):
        folder = write_run(name, right, [0.5])
        photos = (folder / "predictions-test.json").read_text()
        (folder / "predictions-val.json").write_text(photos)
    found = compare_runs("a", "b")
    assert [test["p_holm"] for test in found["tests"]] == [pytest.approx(2 * test["p"]) for test in found["tests"]]
    # By itself, 0.03 would have been more than noise.
    assert found["tests"][0]["p"] < 0.05 < found["tests"][0]["p_holm"]
    assert all("not more than noise (adjusted p = 0.06" in sentence for sentence in found["sentences"])


def test_programs_are_judged_again() -> None:
    write_math_run("a", ["add(n0,n1)|"] * 9)
    # Another program with the right value, and one without a value.
    write_math_run("b", ["add(n1,n0)|"] * 8 + ["fish"])
    exact, executed = compare_runs("a", "b")["tests"]
    assert (exact["what"], exact["measure"], exact["difference"]) == ("test, beam 10, plain", "exact_match", -1.0)
    assert executed["difference"] == pytest.approx(-1 / 9)
    assert exact["p"] < 0.01 < executed["p"]


def test_runs_of_two_halves_and_studies_are_refused() -> None:
    write_run("a", [True], [0.5])
    write_math_run("b", ["x"])
    write_json(runs.runs_folder() / "studies" / "norms" / "results.json", {"study": "birds"})
    with pytest.raises(UserError, match="a run of math; expected one of birds"):
        compare_runs("a", "b")
    with pytest.raises(UserError, match="norms: a study; expected a run"):
        compare_runs("norms", "a")
    with pytest.raises(UserError, match="nowhere: neither a study nor a run"):
        compare_runs("a", "nowhere")
