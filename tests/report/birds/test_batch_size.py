from __future__ import annotations

from typing import Any

import pytest

from myna.report.birds.batch_size import describe_batch_sizes, make_batch_table

Results = dict[str, Any]


def set_accuracies(batches: Results, values: dict[str, list[float]]) -> None:
    """Set the test accuracy of each label's runs, in order of seed."""
    for label, accuracies in values.items():
        runs = [run for run in batches["runs"] if run["label"] == label]
        for run, accuracy in zip(runs, accuracies, strict=True):
            run["scores"]["test"]["accuracy"] = accuracy


def said(results: Results) -> str:
    notes = describe_batch_sizes(results)
    assert notes is not None
    return "\n".join(notes.sentences)


def test_change_is_paired_by_seed(batches: Results) -> None:
    # Each seed gains 10 points, so that the interval is narrow though the seeds are far apart.
    set_accuracies(batches, {"bn, batch 8": [0.3, 0.5], "bn, batch 128": [0.4, 0.6]})
    assert (
        "From batch 8 to 128 the test accuracy of bn changes by +10.0 points (95 % interval over seeds +10.0 to +10.0),"
        " from 40.0 to 50.0." in said(batches)
    )


def test_all_figures_of_a_change_are_of_the_seeds_that_both_have(batches: Results) -> None:
    set_accuracies(batches, {"bn, batch 8": [0.3, 0.9], "bn, batch 128": [0.4, 0.6]})
    batches["runs"] = [run for run in batches["runs"] if (run["label"], run["seed"]) != ("bn, batch 128", 1)]
    assert "of bn changes by +10.0 points, from 30.0 to 40.0." in said(batches)


@pytest.mark.parametrize(
    ("gn", "verdict"),
    [
        ([0.51, 0.51], "gn is the less sensitive here: it moves by 1.0 points, bn by 10.0, and the intervals"),
        ([0.71, 0.71], "bn is the less sensitive here: it moves by 10.0 points, gn by 21.0, and the intervals"),
        ([0.60, 0.60], "move by as much."),
        ([0.40, 0.64], "it moves by 2.0 points, bn by 10.0; the intervals of the two changes overlap"),
    ],
)
def test_which_norm_is_less_sensitive(batches: Results, gn: list[float], verdict: str) -> None:
    set_accuracies(batches, {"bn, batch 8": [0.3, 0.5], "bn, batch 128": [0.4, 0.6]})
    set_accuracies(batches, {"gn, batch 8": [0.5, 0.5], "gn, batch 128": gn})
    assert verdict in said(batches)


def test_one_seed_may_be_chance(batches: Results) -> None:
    batches["runs"] = [run for run in batches["runs"] if run["seed"] == 0]
    assert "with one seed in common, that may be chance" in said(batches)


def test_early_stopping_is_told_where_it_happened(batches: Results) -> None:
    for run in batches["runs"]:
        run["config"]["training.epochs"] = len(run["curves"]) // 2
    assert "stopped early" not in said(batches)
    batches["runs"][0]["config"]["training.epochs"] = 50
    assert "bn at batch 8 stopped early, after 1 of 50 epochs" in said(batches)


def test_table_has_a_row_for_each_norm_and_size(batches: Results) -> None:
    table = make_batch_table(batches)
    assert table is not None
    assert [[cell.text for cell in row.cells[:3]] for row in table.rows] == [
        ["bn", "8", "2"],
        ["bn", "128", "2"],
        ["gn", "8", "2"],
        ["gn", "128", "2"],
    ]


def test_a_study_of_one_batch_size_says_nothing(results: Results) -> None:
    assert make_batch_table(results) is None
    assert describe_batch_sizes(results) is None
