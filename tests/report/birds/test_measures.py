from __future__ import annotations

from typing import Any

import pytest
from scipy import stats

from myna.report.birds.measures import (
    Confusion,
    batch_sizes_of,
    confusion_of,
    epochs_of,
    find_best,
    find_main_split,
    variants_of,
)

Results = dict[str, Any]


def set_accuracies(results: Results, label: str, split: str, values: list[float]) -> None:
    runs = [run for run in results["runs"] if run["label"] == label]
    for run, value in zip(runs, values, strict=True):
        run["scores"][split]["accuracy"] = value


def test_runs_of_one_label_are_one_setting(results: Results) -> None:
    variants = variants_of(results)
    assert [variant.title for variant in variants] == ["bn", "in", "bin", "ln", "gn", "nn", "inbuilt"]
    assert all(len(variant.runs) == 2 for variant in variants)


def test_a_run_that_does_not_say_its_batch_size_stays_with_its_label(results: Results) -> None:
    results["runs"][0]["config"] = {}
    variant = variants_of(results)[0]
    assert (variant.title, len(variant.runs), variant.norm, variant.batch_size) == ("bn", 2, "bn", 32)


def test_one_label_at_two_batch_sizes_is_two_settings(batches: Results) -> None:
    for run in batches["runs"]:
        run["label"] = run["config"]["model.norm"]
    assert [v.title for v in variants_of(batches)] == ["bn, batch 8", "bn, batch 128", "gn, batch 8", "gn, batch 128"]


def test_interval_over_seeds_is_that_of_student(results: Results) -> None:
    values = [0.5, 0.52]
    set_accuracies(results, "bn", "test", values)
    variant = variants_of(results)[0]
    assert variant.value("test", "accuracy") == pytest.approx(0.51)
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    assert variant.interval("test", "accuracy") == pytest.approx((expected.low, expected.high))


def test_interval_of_one_seed_is_the_bootstrap_over_photos(results: Results) -> None:
    run = results["runs"][0]
    results["runs"] = [run]
    run["scores"]["test"]["intervals"]["accuracy"] = [0.4, 0.6]
    assert variants_of(results)[0].interval("test", "accuracy") == (0.4, 0.6)


def test_interval_of_shares_stays_among_shares(results: Results) -> None:
    set_accuracies(results, "bn", "test", [0.2, 0.9])
    assert variants_of(results)[0].interval("test", "accuracy") == (0.0, 1.0)


def test_mean_curve_ends_where_the_first_seed_stops(results: Results) -> None:
    first, second = results["runs"][:2]
    for run, values in ((first, [0.1, 0.2, 0.3]), (second, [0.3, 0.4])):
        run["curves"] = [{"split": "val", "epoch": i, "accuracy": value} for i, value in enumerate(values, 1)]
    variant = variants_of(results)[0]
    assert variant.curve("val", "accuracy") == [(1, pytest.approx(0.2)), (2, pytest.approx(0.3))]
    assert variant.curve("val", "accuracy", max) == [(1, 0.3), (2, 0.4)]


def test_best_is_chosen_on_val_even_where_test_would_choose_another(results: Results) -> None:
    set_accuracies(results, "nn", "val", [0.9, 0.9])
    set_accuracies(results, "gn", "test", [0.95, 0.95])
    best = find_best(results)
    assert best is not None
    assert best.title == "nn"
    set_accuracies(results, "nn", "val", [0.8, 0.95])
    assert find_best(results) == best
    assert best.best_run["seed"] == 1


def test_main_split_is_val_where_test_is_not_measured(results: Results) -> None:
    assert find_main_split(results) == "test"
    for run in results["runs"]:
        del run["scores"]["test"]
    assert find_main_split(results) == "val"


def test_batch_sizes_are_found_for_norms_that_have_several(results: Results, batches: Results) -> None:
    assert batch_sizes_of(results) == {}
    sizes = {norm: [v.batch_size for v in variants] for norm, variants in batch_sizes_of(batches).items()}
    assert sizes == {"bn": [8, 128], "gn": [8, 128]}


def test_mistakes_are_ranked_and_right_answers_are_none() -> None:
    confusion = Confusion(("a", "b", "c"), ((5, 1, 0), (3, 7, 0), (0, 2, 8)))
    assert confusion.mistakes() == [(1, 0), (2, 1), (0, 1)]
    assert confusion.share(1, 0) == pytest.approx(0.3)


@pytest.mark.parametrize("confusion", [None, [], [[1]], [[1, 2], [3]], [[1, 2], [3, None]], "text"])
def test_a_matrix_that_is_not_whole_is_none(confusion: Any) -> None:
    assert confusion_of({"per_class": [{"name": "a"}, {"name": "b"}], "confusion": confusion}) is None


def test_epochs_of_a_run() -> None:
    curves = [{"split": "val", "epoch": i, "accuracy": value} for i, value in enumerate([0.1, 0.5, 0.4], 1)]
    assert epochs_of({"curves": curves}) == (2, 3)
    assert epochs_of({}) is None
