from __future__ import annotations

import copy
from typing import Any

import pytest

from myna.report.birds.sanity import Check, check_sanity, describe_sanity, draw_sanity_figure, make_sanity_table

Results = dict[str, Any]


def run_of(results: Results, label: str, seed: int) -> dict[str, Any]:
    return next(run for run in results["runs"] if (run["label"], run["seed"]) == (label, seed))


def check(results: Results) -> Check:
    found = check_sanity(results)
    assert found is not None
    return found


def set_losses(run: dict[str, Any], losses: list[float]) -> None:
    run["curves"] = [{"split": "train", "epoch": i, "loss": loss} for i, loss in enumerate(losses, 1)]


def test_twins_share_a_seed_and_seeds_are_of_inbuilt(results: Results) -> None:
    found = check(results)
    assert [gap.title for gap in found.twins] == ["bn against inbuilt, seed 0", "bn against inbuilt, seed 1"]
    assert [gap.title for gap in found.seeds] == ["inbuilt, seed 0 against seed 1"]


def test_differences_are_absolute_and_over_epochs_that_both_reached(results: Results) -> None:
    set_losses(run_of(results, "bn", 0), [3.0, 2.0, 1.0])
    set_losses(run_of(results, "inbuilt", 0), [2.9, 2.3])
    run_of(results, "bn", 0)["scores"]["test"]["accuracy"] = 0.50
    run_of(results, "inbuilt", 0)["scores"]["test"]["accuracy"] = 0.53
    gap = check(results).twins[0]
    assert gap.curves["Training loss"] == pytest.approx([0.1, 0.3])
    assert gap.final["test", "accuracy"] == pytest.approx(0.03)
    row = [cell.text for cell in make_sanity_table(check(results)).rows[0].cells]
    assert row[:3] == ["bn against inbuilt, seed 0", "0.2000", "0.3000"]
    assert "3.0" in row


@pytest.mark.parametrize(("loss", "verdict"), [(2.05, "within what two seeds"), (2.5, "MORE than what two seeds")])
def test_twins_are_held_against_two_seeds(results: Results, loss: float, verdict: str) -> None:
    for seed, base in ((0, 2.0), (1, 2.2)):
        set_losses(run_of(results, "inbuilt", seed), [base])
        set_losses(run_of(results, "bn", seed), [base + loss - 2.0])
    assert f"{verdict} of inbuilt differ by (0.2000)" in describe_sanity(check(results)).sentences[0]


def test_identical_trainings_are_said_to_be_so(results: Results) -> None:
    for seed in (0, 1):
        twin = copy.deepcopy(run_of(results, "inbuilt", seed))
        run_of(results, "bn", seed).update(curves=twin["curves"], scores=twin["scores"])
    assert all("bn and inbuilt are identical" in s for s in describe_sanity(check(results)).sentences)


def test_one_seed_has_nothing_to_be_held_against(results: Results) -> None:
    results["runs"] = [run for run in results["runs"] if run["seed"] == 0]
    assert "nothing to hold it against" in describe_sanity(check(results)).sentences[0]


def test_no_check_without_both(results: Results) -> None:
    results["runs"] = [run for run in results["runs"] if run["label"] != "inbuilt"]
    assert check_sanity(results) is None
    assert check_sanity({}) is None


def test_figure_shows_loss_and_error_of_both(results: Results) -> None:
    figure = draw_sanity_figure(check(results))
    assert figure is not None
    assert [panel.title for panel in figure.panels] == ["Training loss", "Error on val"]
    for run in results["runs"]:
        run["curves"] = []
    assert draw_sanity_figure(check(results)) is None
