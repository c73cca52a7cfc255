from __future__ import annotations

from typing import Any

from myna.report.document import NOTHING, Table
from myna.report.math.published import PUBLISHED
from myna.report.math.teacher_forcing import describe_ratios, draw_ratio_figure, make_ratio_table, ratios_of
from myna.report.outline import build_report

Results = dict[str, Any]


def said(results: Results) -> str:
    notes = describe_ratios(results)
    assert notes is not None
    return "\n".join(notes.sentences)


def found(table: Table | None) -> Table:
    assert table is not None
    return table


def set_scores(results: Results, measure: str, *values: list[float], split: str = "test") -> None:
    """Set a measure of the runs of each ratio, in order of ratio and seed."""
    for run, value in zip(results["runs"], [value for own in values for value in own], strict=True):
        run["scores"][split][0][measure] = value


def test_only_runs_that_differ_in_the_ratio_alone_are_compared(forcing: Results, models: Results) -> None:
    assert list(ratios_of(forcing)) == [0.3, 0.6, 0.9]
    assert ratios_of(models) == {}
    for run in forcing["runs"][6:]:
        run["config"]["training.epochs"] = 99
    assert list(ratios_of(forcing)) == [0.3, 0.6]
    for run in forcing["runs"][3:6]:
        run["config"]["model.dropout"] = 0.9
    assert ratios_of(forcing) == {}
    assert make_ratio_table(forcing) is None
    assert describe_ratios(forcing) is None
    assert draw_ratio_figure(forcing) is None


def test_table_has_means_over_seeds_and_the_published_figures(forcing: Results) -> None:
    table = found(make_ratio_table(forcing))
    cells = [[cell.text for cell in row.cells[:6]] for row in table.rows]
    assert cells[0] == ["0.3", "teacher forcing 0.3", "3 seeds", "46.0", "49.0", "66.0"]
    assert table.rows[0].cells[3].note == "44.8 to 47.2"
    theirs = [each for each in PUBLISHED if each.teacher_forcing is not None and each.model == "lstm_lstm_attn"]
    assert len(theirs) == 5
    assert [row.kind for row in table.rows] == ["run"] * 3 + ["published"] * 5
    assert ["0.9", "lstm_lstm_attn", NOTHING, "49.6", "52.5", NOTHING] in cells
    assert {row.kind for row in found(make_ratio_table(forcing | {"is_generated": True})).rows} == {"run"}


def test_one_seed_says_so(forcing: Results) -> None:
    forcing["runs"] = [run for run in forcing["runs"] if run["seed"] == 0]
    assert [row.cells[2].text for row in found(make_ratio_table(forcing)).rows[:3]] == ["one seed"] * 3
    assert "which with one seed may be chance" in said(forcing)
    assert "seeds of one ratio" not in said(forcing)


def test_change_is_paired_by_seed(forcing: Results) -> None:
    set_scores(forcing, "token_match", [0.5, 0.6, 0.7], [0.7, 0.7, 0.7], [0.55, 0.65, 0.75])
    assert (
        "On test, token match is highest at 0.6: 60.0 at 0.3, 70.0 at 0.6 and 65.0 at 0.9; from 0.3 to 0.9 that is +5.0"
        " points (95 % interval over seeds +5.0 to +5.0)." in said(forcing)
    )
    set_scores(forcing, "token_match", [0.5, 0.6, 0.7], [0.7, 0.7, 0.7], [0.7, 0.6, 0.65])
    assert "so that these seeds do not settle it" in said(forcing)


def test_what_dev_would_have_chosen(forcing: Results) -> None:
    assert "Dev would have chosen the ratio that has the highest EM on test, 0.9." in said(forcing)
    set_scores(forcing, "exact_match", [0.9] * 3, [0.1] * 3, [0.1] * 3, split="dev")
    assert "By EM dev would have chosen 0.3, where test has its highest at 0.9." in said(forcing)


def test_seeds_are_set_beside_ratios(forcing: Results) -> None:
    set_scores(forcing, "exact_match", [0.4, 0.5, 0.45], [0.5] * 3, [0.52] * 3)
    assert "the means of the ratios lie 7.0 points apart at most, and the seeds of one ratio 10.0." in said(forcing)


def test_paired_tests_are_told_as_the_higher_ratio_less_the_lower(forcing: Results) -> None:
    assert "0.9 less 0.3 is +4.0 points of EM (more than noise, adjusted p < 0.001) and +4.0 points of Exec" in said(
        forcing
    )
    del forcing["comparisons"]
    assert "Paired" not in said(forcing)


def test_losses_at_the_end(forcing: Results) -> None:
    for run in forcing["runs"]:
        for point in run["curves"]:
            point["loss"] = run["config"]["teacher_forcing.ratio"] + (point["split"] == "val")
    assert "Training loss ends at 0.300 with a ratio of 0.3 and at 0.900 with 0.9; dev loss ends at 1.300" in said(
        forcing
    )


def test_published_ratios_move_two_ways_and_ours_is_set_beside_them(forcing: Results) -> None:
    text = said(forcing)
    theirs = "CipherCook/Text-to-Math-Equation (lstm_lstm_attn): EM is highest at 0.9: 65.5 at 0.3, 64.5 at 0.6"
    assert theirs in text
    assert (
        "PiyushC1480/COL775-Deep-Learning (lstm_lstm_attn): EM falls with the ratio: 64.3 at 0.3 and 49.6 at 0.9"
        in text
    )
    assert "1 of the 2 moves the way that ours does" in text
    set_scores(forcing, "exact_match", [0.5] * 3, [0.4] * 3, [0.5] * 3)
    assert "none of the 2 moves the way that ours does" in said(forcing)
    assert "Others report" not in said(forcing | {"is_generated": True})


def test_figure_shows_scores_with_published_ones_and_losses_on_the_same_axes(forcing: Results) -> None:
    figure = draw_ratio_figure(forcing)
    assert figure is not None
    assert [panel.title for panel in figure.panels] == ["EM", "Exec", "Token match", "Loss on train", "Loss on dev"]
    exact, _, token, train, dev = (panel.svg for panel in figure.panels)
    assert "test, teacher forcing 0.6: 48.0 %" in exact
    assert "PiyushC1480, teacher forcing 0.9: 49.6 %" in exact
    assert "CipherCook" not in token
    assert all(f"{ratio}, epoch 12: " in svg for ratio in (0.3, 0.6, 0.9) for svg in (train, dev))


def test_runs_without_scores_have_their_losses_alone(forcing: Results) -> None:
    for run in forcing["runs"]:
        run["scores"] = {}
    del forcing["comparisons"]
    assert make_ratio_table(forcing) is None
    assert said(forcing).startswith("Training loss ends at")
    sections = {section.section_id: section for section in build_report([forcing]).sections}
    assert [block.kind for block in sections["teacher-forcing"].blocks] == ["notes", "figure"]
    assert [block.kind for block in sections["summary"].blocks] == ["missing"]


def test_the_summary_tells_the_effect(forcing: Results) -> None:
    (notes,) = build_report([forcing]).sections[0].blocks
    assert "On test, EM rises with the ratio: 46.0 at 0.3, 48.0 at 0.6 and 50.0 at 0.9" in str(notes)
