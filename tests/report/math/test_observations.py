from __future__ import annotations

from typing import Any

import pytest

from myna.report.math.observations import describe_details, describe_standing

Results = dict[str, Any]


def standing(results: Results) -> str:
    return "\n".join(describe_standing(results))


def details(results: Results, topic: str) -> str:
    return "\n".join(s for note in describe_details(results) if note.title == topic for s in note.sentences)


def set_scores(results: Results, index: int, **measures: float) -> None:
    """Give every score of a run the same measures."""
    for scores in results["runs"][index]["scores"].values():
        for score in scores:
            score.update(measures)


def test_the_leader_is_named_with_the_search_chosen_on_dev(results: Results) -> None:
    said = standing(results)
    assert "On test, lstm_lstm_attn (grammar, beam 10; chosen on dev) leads the trained models" in said
    assert "EM 51.0 [49.0, 53.0] and Exec 56.0 [54.0, 58.0]" in said


def test_the_leader_follows_the_figures(results: Results) -> None:
    set_scores(results, 0, exact_match=0.9)
    assert "On test, lstm_lstm (" in standing(results)
    assert "by execution accuracy lstm_lstm_attn is ahead" in standing(results)


def test_search_is_chosen_on_dev_even_where_test_would_choose_another(results: Results) -> None:
    for run in results["runs"]:
        run["scores"]["dev"] = [score | {"exact_match": 0.99} for score in run["scores"]["dev"][:1]]
    assert "lstm_lstm_attn (plain, beam 10; chosen on dev)" in standing(results)


def test_without_dev_the_most_guided_search_speaks_for_a_run(results: Results) -> None:
    # The grammar alone scores best on test, so this choice owes nothing to test.
    for entry in results["runs"] + results["baselines"]:
        del entry["scores"]["dev"]
    assert "On test, lstm_lstm_attn (grammar + execution, beam 10) leads" in standing(results)


@pytest.mark.parametrize(("low", "verdict"), [(0.431, "do not overlap"), (0.43, "overlap, so the intervals alone")])
def test_overlap_is_judged_by_the_intervals(results: Results, low: float, verdict: str) -> None:
    results["comparisons"] = []  # where there is a paired test, it is told in their place
    # The grammar line of the other model reaches up to 0.43.
    for score in results["runs"][1]["scores"]["test"]:
        score["intervals"]["exact_match"] = [low, 0.6]
    results["runs"][0]["scores"]["test"][1]["intervals"]["exact_match"] = [0.4, 0.43]
    assert verdict in standing(results)


def test_a_paired_test_says_more_than_intervals(models: Results) -> None:
    said = standing(models)
    assert "overlap" not in said
    test = "paired over problems (plain search, beam 10): +5.0 points of EM (more than noise, adjusted p < 0.001)."
    assert "ahead of bert_lstm_attn_tuned (EM" in said
    assert test in said


def test_distance_to_a_baseline_on_all_novel_and_far_problems(results: Results) -> None:
    baseline = results["baselines"][0]["scores"]["test"][0]
    baseline["novel"] |= {"exact_match": 0.04, "execution_accuracy": 0.25}
    said = standing(results)
    assert (
        "Against the look-up baseline (EM 70.0, Exec 75.0), lstm_lstm_attn is 19.0 points of EM and 19.0 of Exec below"
        in said
    )
    assert "6.0 points of EM above and 5.0 points of Exec below on the novel" in said
    assert "level in EM and level in Exec on the far ones" in said


def test_published_figures_are_compared_on_real_test_problems_alone(results: Results) -> None:
    assert "lstm_lstm_attn is 21.9 points of EM and 21.1 of Exec below the best published model" in standing(results)
    assert "lstm_lstm is 31.9 points of EM and 31.1 of Exec below the best published lstm_lstm (" in standing(results)
    assert "published" not in standing(results | {"is_generated": True})
    for run in results["runs"]:
        del run["scores"]["test"]
    assert "published" not in standing(results)
    assert "On dev, lstm_lstm_attn" in standing(results)


def test_passing_the_published_figures_is_said_too(results: Results) -> None:
    set_scores(results, 1, exact_match=0.8, execution_accuracy=0.9)
    assert "lstm_lstm_attn is 7.1 points of EM and 12.9 of Exec above the best published model" in standing(results)


def test_what_the_grammar_and_execution_changed(results: Results) -> None:
    said = details(results, "Grammar and execution guidance")
    assert "The grammar changed EM by +1.0 and Exec by +1.0 points for lstm_lstm on test" in said
    assert "programs without a value went from 4 to 1; it decodes at 0.50 times the speed" in said
    assert "Execution guidance, on top of the grammar, changed EM by -0.5 and Exec by -0.5 points for lstm_lstm" in said


def test_a_search_that_changed_nothing(results: Results) -> None:
    set_scores(results, 0, exact_match=0.4, execution_accuracy=0.45)
    assert "The grammar left EM and Exec as they were for lstm_lstm on" in details(
        results, "Grammar and execution guidance"
    )


def test_seen_novel_far(results: Results) -> None:
    # 0.8 of 700 seen problems are more than 0.51 of 1,000: the share stops at 100.
    said = details(results, "Seen, novel and far problems")
    assert "lstm_lstm_attn scores EM 80.0 on seen, 10.0 on novel and 0.0 on far problems of test" in said
    assert "the seen ones, 70.0 % of all, give 100.0 % of its exact matches" in said


def test_failures_and_other_right_programs(results: Results) -> None:
    said = details(results, "What goes wrong")
    assert "4 of 1,000 programs of lstm_lstm (plain, beam 10) have no value on test;" in said
    assert "the most frequent reason: too large (3)." in said
    assert "At least 5.0 % of the programs of lstm_lstm differ from the reference" in said


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [
        ([0.1, 0.2, 0.3, 0.4], "was still rising"),
        ([0.4, 0.4, 0.4, 0.4], "had levelled off"),
        ([0.4, 0.3, 0.2, 0.1], "was falling"),
    ],
)
def test_whether_a_run_had_levelled_off(results: Results, scores: list[float], verdict: str) -> None:
    results["runs"] = results["runs"][:1]
    for point in results["runs"][0]["curves"]:
        point["exact_match"] = scores[point["epoch"] - 1]
    assert verdict in details(results, "Learning")


def test_a_dev_loss_that_rises_again(results: Results) -> None:
    results["runs"] = results["runs"][:1]
    results["runs"][0]["curves"][-1]["loss"] = 0.5
    assert "lowest in epoch 3 of 4 (0.333), and has risen by 0.167 at the end" in details(results, "Learning")


def test_nothing_is_said_of_nothing() -> None:
    assert describe_standing({}) == []
    assert describe_details({}) == []
