from __future__ import annotations

from typing import Any

import pytest

from myna.report.math.measures import lines_of, main_score
from myna.report.math.seeds import combine_curves, over_seeds, seeds_of, values_by_seed
from myna.report.math.tables import make_score_table, make_seed_table
from myna.studies.statistics import seed_interval

Results = dict[str, Any]


def merged(results: Results) -> list[Any]:
    return list(over_seeds(results)["runs"])


def test_runs_of_a_label_become_their_mean_with_its_interval(forcing: Results) -> None:
    first = merged(forcing)[0]
    assert [run["label"] for run in merged(forcing)] == [f"teacher forcing {r}" for r in (0.3, 0.6, 0.9)]
    values = [run["scores"]["test"][0]["exact_match"] for run in forcing["runs"][:3]]
    mean, low, high = seed_interval(values)
    (score,) = first["scores"]["test"]
    assert score["exact_match"] == pytest.approx(mean)
    assert score["intervals"]["exact_match"] == pytest.approx((low, high))
    assert score["intervals"]["token_match"]
    assert (score["n"], score["n_seeds"], first["n_seeds"]) == (1925, 3, 3)
    assert score["novel"]["exact_match"] == pytest.approx(sum(values) / 3 - 0.4)
    assert first["minutes"] == pytest.approx(25.0)
    assert first["config"]["training.seed"] == "0, 1, 2"
    assert first["config"]["teacher_forcing.ratio"] == 0.3


def test_counts_that_a_run_lacks_are_zero_there(forcing: Results) -> None:
    forcing["runs"][0]["scores"]["test"][0]["failures"] = {"too large": 3, "rare": 6}
    forcing["runs"][0]["mistakes"] = {"test": {"kinds": {"exact": 9}, "by_steps": [{"name": "1", "n": 4}]}}
    forcing["runs"][1]["mistakes"] = {"test": {"kinds": {"exact": 3, "long": 4}, "by_steps": [{"name": "1", "n": 4}]}}
    first = merged(forcing)[0]
    assert first["scores"]["test"][0]["failures"] == {"too large": 3, "rare": 2}
    assert first["mistakes"]["test"] == {"kinds": {"exact": 6, "long": 2}, "by_steps": [{"name": "1", "n": 4}]}


def test_curves_reach_as_far_as_all_do(forcing: Results) -> None:
    forcing["runs"][1]["curves"] = forcing["runs"][1]["curves"][:10]
    run = merged(forcing)[0]
    mean, lowest, highest = (combine_curves(run, "val", "loss", how) for how in (lambda v: sum(v) / len(v), min, max))
    assert [epoch for epoch, _ in mean] == [1, 2, 3, 4, 5]
    assert len([point for point in run["curves"] if point["split"] == "val"]) == 5
    assert all(low < middle < high for (_, low), (_, middle), (_, high) in zip(lowest, mean, highest, strict=True))


def test_a_search_that_one_seed_lacks_is_the_mean_of_the_others(forcing: Results) -> None:
    forcing["runs"][2]["scores"]["dev"] = []
    (score,) = merged(forcing)[0]["scores"]["dev"]
    assert score["n_seeds"] == 2
    assert score["exact_match"] == pytest.approx(0.4575)


def test_single_runs_and_repeated_seeds_stay_as_they_are(models: Results, forcing: Results) -> None:
    assert merged(models) == models["runs"]
    assert seeds_of(models["runs"][0]) == [models["runs"][0]]
    forcing["runs"][1]["seed"] = 0
    assert len(merged(forcing)) == 5


def test_values_by_seed_are_of_the_main_score(forcing: Results) -> None:
    assert values_by_seed(merged(forcing)[0], "test", "exact_match") == pytest.approx(
        {"0": 0.455, "1": 0.46, "2": 0.465}
    )
    assert values_by_seed({}, "test", "exact_match") == {}


def test_the_main_score_is_plain_at_beam_10_where_there_is_one() -> None:
    scores = [{"beam_size": 1, "search": "plain"}, {"beam_size": 10, "search": "grammar"}]
    assert main_score({"scores": {"test": scores}}, "test") == scores[0]
    scores.append({"beam_size": 10, "search": "plain"})
    assert main_score({"scores": {"test": scores}}, "test") == scores[2]
    assert main_score({}, "test") == {}


def test_score_table_says_how_many_seeds_there_are(forcing: Results, models: Results) -> None:
    for results, expected in ((forcing, "3 seeds"), (models, "one seed")):
        table = make_score_table(over_seeds(results), "test")
        assert table is not None
        assert {row.cells[1].text for row in table.rows if row.kind == "run"} == {expected}
        assert {row.cells[1].text for row in table.rows if row.kind != "run"} == {"–"}
    assert [line.n_seeds for line in lines_of(over_seeds(forcing), "test")] == [3, 3, 3, None, None]


def test_each_training_stands_in_a_table_of_its_own(forcing: Results, models: Results) -> None:
    table = make_seed_table(forcing)
    assert table is not None
    assert [row.cells[0].text for row in table.rows][:2] == [
        "teacher forcing 0.3, seed 0",
        "teacher forcing 0.3, seed 1",
    ]
    assert [row.cells[2].text for row in table.rows][:3] == ["45.5", "46.0", "46.5"]
    assert make_seed_table(models) is None


def test_nothing_becomes_nothing() -> None:
    assert merged({}) == []
    assert merged({"runs": [{}, {"label": "a", "seed": 1}, {"label": "a", "seed": 2}]})[1]["n_seeds"] == 2
