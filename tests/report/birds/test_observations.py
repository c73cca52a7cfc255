from __future__ import annotations

from typing import Any

import pytest

from myna.report.birds.observations import describe_details, describe_leaks, describe_standing

Results = dict[str, Any]


def standing(results: Results) -> str:
    return "\n".join(describe_standing(results))


def details(results: Results, topic: str) -> str:
    return "\n".join(s for note in describe_details(results) if note.title == topic for s in note.sentences)


def set_score(results: Results, label: str, split: str, **measures: float) -> None:
    """Give every run of a label, or every floor of that name, the same measures."""
    for entry in results["runs"] + results["baselines"]:
        if entry["label"] == label:
            entry["scores"][split].update(measures)


@pytest.fixture
def known(results: Results) -> Results:
    """A study in which gn is best on val and is ahead of bin on test."""
    for run in results["runs"]:
        for split in ("train", "val", "test"):
            run["scores"][split] |= {"accuracy": 0.4, "macro_f1": 0.39}
    set_score(results, "gn", "val", accuracy=0.552)
    set_score(results, "gn", "test", accuracy=0.541, macro_f1=0.53)
    set_score(results, "bin", "test", accuracy=0.501)
    set_score(results, "linear on pixels", "test", accuracy=0.141)
    results["comparisons"] = [{"split": "test", "a": "bin", "b": "gn", "p": 0.01, "p_holm": 0.03}]
    return results


def test_best_is_chosen_on_val_and_told_with_its_interval(known: Results) -> None:
    said = standing(known)
    assert "gn, best on val with 55.2 %, names 54.1 [54.1, 54.1] % of the test photos rightly, mean of 2 seeds" in said
    assert "macro F1 53.0." in said
    assert "On test it is 4.0 points ahead of bin (50.1 [50.1, 50.1]); paired over photos, more than noise" in said
    assert "(adjusted p = 0.030)" in said
    assert "40.0 points above linear on pixels (14.1)" in said


def test_being_behind_on_test_is_told(known: Results) -> None:
    set_score(known, "bin", "test", accuracy=0.561)
    assert "On test it is 2.0 points behind bin" in standing(known)


def test_published_figure_of_the_same_norm_is_of_other_photos(known: Results) -> None:
    said = standing(known)
    assert "reports 84.1 % for gn at 256 pixels, in a split that leaks; ours is of other photos, at 64 pixels" in said
    assert "PiyushC1480" not in standing(known | {"is_generated": True})


def test_leaks_are_counted(results: Results) -> None:
    results["facts"]["copies"]["leaked"] = {"val": {"photos": 3, "share": 0.003}, "test": {"photos": 0, "share": 0.0}}
    assert describe_leaks(results) == [
        "Leaks: photos with a copy in train, exact or near, that the audit finds: 3 of val and 0 of test (at most"
        " 0.30 % of a split)."
    ]
    del results["facts"]["copies"]["leaked"]
    assert describe_leaks(results) == [
        "Leaks: the audit finds 3 pairs of copies, exact or near, that lie in two splits."
    ]
    assert describe_leaks({}) == []


def test_ranking_and_number_of_sure_comparisons(known: Results) -> None:
    said = details(known, "Ranking")
    assert "By test accuracy: gn 54.1, bin 50.1, bn 40.0, in 40.0" in said
    assert "1 of 1 paired comparisons are more than noise" in said
    assert "By macro F1" not in said
    set_score(known, "ln", "test", macro_f1=0.6)
    assert "By macro F1 ln is ahead with 60.0." in details(known, "Ranking")


def test_gap_between_train_and_val(known: Results) -> None:
    set_score(known, "bn", "train", accuracy=0.7)
    said = details(known, "Fit")
    assert "+30.0 for bn" in said
    assert "-15.2 for gn" in said
    assert "The gap is widest for bn and narrowest for gn." in said


@pytest.mark.parametrize(
    ("values", "verdict"),
    [([0.1, 0.2, 0.3, 0.4, 0.5], "was still rising"), ([0.5] * 5, "had levelled off"), ([0.5, 0.4] * 3, "was falling")],
)
def test_whether_a_setting_had_levelled_off(results: Results, values: list[float], verdict: str) -> None:
    results["runs"] = results["runs"][:1]
    results["runs"][0]["curves"] = [{"split": "val", "epoch": i, "accuracy": v} for i, v in enumerate(values, 1)]
    assert verdict in details(results, "Learning")


def test_hardest_class_and_most_confused_pairs_are_of_the_best_training(known: Results) -> None:
    run = next(run for run in known["runs"] if (run["label"], run["seed"]) == ("gn", 1))
    run["scores"]["val"]["accuracy"] = 0.6
    names = ["a", "b"]
    run["scores"]["test"]["per_class"] = [{"name": n, "f1": f1} for n, f1 in zip(names, (0.9, 0.2), strict=True)]
    run["scores"]["test"]["confusion"] = [[9, 1], [8, 2]]
    said = details(known, "Classes")
    assert "gn, seed 1, the best by val accuracy, on test: hardest is b (F1 20.0), easiest a (F1 90.0)." in said
    assert "Most often it takes b for a (8 of 10) and a for b (1 of 10)." in said


def test_calibration(known: Results) -> None:
    for label, error in (("bn", 0.01), ("nn", 0.3)):
        set_score(known, label, "test", calibration_error=error)
    assert "by 1.0 points on average with bn, the least, and by 30.0 with nn." in details(known, "Calibration")


def test_what_files_alone_tell(results: Results) -> None:
    assert "names 23.1 % of val rightly; always the commonest class: 5.2 %" in details(results, "Traces of the sources")


def test_nothing_is_said_of_nothing() -> None:
    assert describe_standing({}) == []
    assert describe_details({}) == []
