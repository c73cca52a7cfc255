"""The report of a search: trials, what mattered, learning curves, and how to get them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import mean
from typing import Any

from myna.report.document import (
    NOTHING,
    Cell,
    Column,
    Command,
    Missing,
    Notes,
    Paragraph,
    Row,
    Section,
    Table,
    number_cell,
    text_cell,
)
from myna.report.grid.figures import draw_effects, draw_trials
from myna.report.grid.measures import (
    curve_of,
    effect_epoch,
    effects_of,
    is_share,
    name_metric,
    name_split,
    ranked_trials,
    score_cell,
    short,
    state_of,
    trials_in,
)
from myna.report.grid.observations import observe_best, observe_effects, observe_pruning
from myna.report.results import Results, as_mapping, as_mappings, as_number, as_text, study_command
from myna.report.sections import build_reproduction, collect
from myna.report.significance import p_cell
from myna.report.tables import code_cell, drop_empty_columns, minutes_cell

_SAMPLERS = {
    "grid": "the whole grid, in an order drawn at random",
    "random": "random search",
    "tpe": "the tree-structured Parzen estimator, after a few at random",
}


def _build_summary(results: Results) -> Section:
    """Return what was searched, and what was found."""
    sentences = _describe_search(results), *observe_best(results), *observe_effects(results)
    return Section("summary", "In short", (Notes("", sentences),))


def _describe_search(results: Results) -> str:
    """Say what was searched, how."""
    n, size = len(as_mappings(results.get("trials"))), as_number(results.get("size")) or 0
    n_keys = len(as_mapping(results.get("space")))
    n_settings = f"{n_keys} setting{'s' if n_keys > 1 else ''}"
    return (
        f"{n} trials of the {size:,.0f} combinations of {n_settings} of {as_text(results.get('config'))},"
        f" chosen by {_SAMPLERS.get(as_text(results.get('sampler')), 'hand')}, and compared by"
        f" {name_metric(results)} on {name_split(results)}."
    )


def _build_trials(results: Results) -> Section:
    """Return the table of trials, best first, what became of those that did not finish, and how to train the best."""
    keys = list(as_mapping(results.get("space")))
    rows = []
    for place, trial in enumerate(ranked_trials(results), start=1):
        settings = as_mapping(trial.get("settings"))
        cells = (
            number_cell(place),
            number_cell(as_number(trial.get("number"))),
            score_cell(results, as_number(trial.get("best"))),
            number_cell(as_number(trial.get("best_epoch"))),
            text_cell(state_of(trial)),
            *(code_cell(settings.get(key)) for key in keys),
            number_cell(as_number(trial.get("epochs"))),
            minutes_cell(as_number(trial.get("minutes"))),
            text_cell(as_text(trial.get("run")), is_code=True),
        )
        rows.append(Row(cells))
    unit = " (%)" if is_share(results) else ""
    columns = (
        Column("Place"),
        Column("Trial"),
        Column(f"{name_metric(results).capitalize()}{unit}"),
        Column("At epoch"),
        Column("State", is_number=False),
        *(Column(short(key), group="Settings", is_number=False) for key in keys),
        Column("Epochs"),
        Column("Minutes"),
        Column("Run", is_number=False),
    )
    caption = (
        "Each trial's best epoch. Finished trials first, then those that were pruned, whose scores are of fewer epochs."
    )
    table = Table("grid-trials", "Trials, best first", caption, columns, tuple(rows))
    fixed = [Cell(as_text(override), is_code=True) for override in results.get("overrides") or ()]
    shared = Table(
        "grid-fixed",
        "Laid over every trial",
        "",
        (Column("Setting", is_number=False),),
        tuple(Row((cell,)) for cell in fixed),
        is_folded=True,
    )
    pruning = observe_pruning(results)
    best = next(iter(trials_in(results, "finished")), None)
    blocks = (
        drop_empty_columns(table),
        Notes("Trials that did not finish", tuple(pruning)) if pruning else None,
        Paragraph("The best settings, to train with:") if best else None,
        Command(as_text(best.get("command"))) if best else None,
        shared if fixed else None,
    )
    return collect("trials", "Trials", blocks, (), _assigned(results))


def _build_effects(results: Results) -> Section:
    """Return how far the score goes with each setting."""
    effects = effects_of(results)
    rows = []
    for effect in effects:
        head = (code_cell(effect.get("name")), *(_percent(effect.get(key)) for key in ("share", "chance")))
        tests = tuple(p_cell(as_number(effect.get(key))) for key in ("p", "p_holm"))
        rows.append(Row((*head, *tests, _means_cell(results, effect), _finished_cell(results, effect))))
    columns = (
        Column("Setting", is_number=False),
        Column("Share of variance (%)"),
        Column("By chance (%)"),
        Column("p"),
        Column("p, adjusted"),
        Column(f"Mean {name_metric(results)} by value", is_number=False),
        Column("Of finished trials, at their best", is_number=False),
    )
    n_trials = as_text(as_mapping(results.get("effects")).get("n_trials"))
    caption = (
        f"{n_trials} trials, finished and pruned, at epoch {effect_epoch(results)}. Share: of the variance of the"
        " scores' ranks, what lies between the values of a setting (eta squared). By chance: what a setting without"
        " effect has on average. p: the share of 10,000 shuffles of the scores with a share as large. Each setting is"
        " looked at alone. Last column: the best scores of finished trials, which pruning has chosen."
    )
    table = Table("grid-importance", "Importance of each setting", caption, columns, tuple(rows)) if rows else None
    missing = [] if rows else [Missing("trials with a score at the same epoch", study_command(results))]
    return collect("importance", "What mattered", [table, draw_effects(results)], missing, _assigned(results))


def _build_curves(results: Results) -> Section:
    """Return the learning curves of all trials, and their points."""
    rows = [
        Row((number_cell(trial["number"]), number_cell(epoch), score_cell(results, value)))
        for trial in ranked_trials(results)
        for epoch, value in curve_of(trial)
    ]
    columns = (Column("Trial"), Column("Epoch"), Column(name_metric(results).capitalize()))
    points = Table("curve-points", "The points of these curves", "", columns, tuple(rows), is_folded=True)
    return collect("curves", "Learning curves", [draw_trials(results), points if rows else None], ())


def _assigned(results: Results) -> str:
    """Return which part of the assignment asks for a search."""
    return "2.3.1" if results.get("study") == "math" else ""


def _percent(share: Any) -> Cell:
    value = as_number(share)
    return Cell(NOTHING) if value is None else Cell(f"{100 * value:.0f}", value)


def _means_cell(results: Results, effect: Mapping[str, Any]) -> Cell:
    """Return the mean score of each value, with how many trials it is of."""
    return text_cell(", ".join(_say_mean(results, row) for row in as_mappings(effect.get("values"))))


def _finished_cell(results: Results, effect: Mapping[str, Any]) -> Cell:
    """Return the mean best score of the finished trials with each value."""
    rows = [
        {"value": row.get("value"), "n": len(scores), "mean": mean(scores) if scores else None}
        for row in as_mappings(effect.get("values"))
        for scores in [_finished_scores(results, effect.get("name"), row.get("value"))]
    ]
    return text_cell(", ".join(_say_mean(results, row) for row in rows))


def _finished_scores(results: Results, name: Any, value: Any) -> list[float]:
    """Return the best scores of the finished trials with a value."""
    return [trial["best"] for trial in trials_in(results, "finished") if trial["settings"].get(name) == value]


def _say_mean(results: Results, row: Mapping[str, Any]) -> str:
    """Return "0.1: 61.2 (n = 4)"."""
    score = score_cell(results, as_number(row.get("mean"))).text
    return f"{code_cell(row.get('value')).text}: {score} (n = {row.get('n')})"


SECTIONS: tuple[Callable[[Results], Section], ...] = (
    _build_summary,
    _build_trials,
    _build_effects,
    _build_curves,
    build_reproduction,
)
