"""What a search found, in words; a difference that chance makes as well is not called a finding."""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot
from typing import Any

from myna.report.grid.measures import (
    effect_epoch,
    effects_of,
    name_examples,
    name_metric,
    name_split,
    say_difference,
    say_score,
    say_settings,
    say_value,
    short,
    state_of,
    trials_in,
)
from myna.report.results import Results, as_mapping, as_mappings, as_number, as_text, join_words
from myna.report.significance import SIGNIFICANT, say_p


def observe_best(results: Results) -> list[str]:
    """Say which trial is best, and what that is worth."""
    finished = trials_in(results, "finished")
    if not finished:
        return ["No trial is finished yet."]
    best = finished[0]
    sentences = [
        f"Best of {len(finished)} finished trials: trial {best['number']} with {say_score(results, best['best'])}"
        f" {name_metric(results)} on {name_split(results)}, at epoch {best['best_epoch']} ({say_settings(best)})."
    ]
    margin = as_number(results.get("margin"))
    if margin is not None:
        sentences.append(
            f"A score on {name_examples(results)} has a sampling error of ± {say_difference(results, margin)} (95 %)."
        )
    if len(finished) > 1:
        sentences += _compare(results, margin)
    sentences.append(
        "The best was chosen by the score shown here, so that score is a little too high; each trial had one seed."
        " To know what these settings are worth, train them with other seeds and measure on test."
    )
    return sentences


def _compare(results: Results, margin: float | None) -> list[str]:
    """Say how far apart the two best trials are, and how many are within reach of the best."""
    first, second, *_ = finished = trials_in(results, "finished")
    apart = abs(first["best"] - second["best"])
    said = f"The two best, trials {first['number']} and {second['number']}, are {say_difference(results, apart)} apart"
    if margin is None:
        return [f"{said}; how much of that is chance, a {name_metric(results)} alone does not tell."]
    # As of two independent samples; on the same examples it is less, and between seeds it is more.
    reach = hypot(margin, margin)
    if apart > reach:
        return [
            f"{said}: more than the {say_difference(results, reach)} by which sampling alone may set two such scores"
            " apart; whether another seed keeps them in this order was not tried."
        ]
    n_near = sum(abs(first["best"] - trial["best"]) <= reach for trial in finished)
    return [
        f"{said}: less than the {say_difference(results, reach)} by which sampling alone may set two such scores apart,"
        f" so this is no finding. {n_near} of the {len(finished)} finished trials lie that near the best."
    ]


def observe_effects(results: Results) -> list[str]:
    """Say which settings mattered, as far as so many trials can tell."""
    effects = [effect for effect in effects_of(results) if effect.get("p_holm") is not None]
    n_trials, epoch = as_mapping(results.get("effects")).get("n_trials"), effect_epoch(results)
    if not effects:
        return ["What the settings do cannot be said: no two trials that differ in them differ in score at one epoch."]
    clear = [effect for effect in effects if effect["p_holm"] < SIGNIFICANT]
    sentences = [_say_effect(results, effect) for effect in clear]
    others = [short(effect["name"]) for effect in effects if effect not in clear]
    if others:
        what = join_words(others)
        sentences.append(
            f"The effect of {what} cannot be told from chance with {n_trials} trials; that is not to say that"
            f" {'it has' if len(others) == 1 else 'they have'} none."
        )
    planned = max((trial["planned_epochs"] for trial in as_mappings(results.get("trials"))), default=epoch)
    if epoch < planned:
        sentences.append(
            f"The trials are compared at epoch {epoch} of {planned}, the last that all of them reached: what matters"
            " later may differ."
        )
    return sentences


def _say_effect(results: Results, effect: Mapping[str, Any]) -> str:
    """Say what a setting does."""
    sign = 1 if results.get("is_minimised") else -1
    values = sorted(as_mappings(effect["values"]), key=lambda row: sign * row["mean"])
    means = ", ".join(
        f"{say_value(row['value'])}: {say_score(results, row['mean'])} (n = {row['n']})" for row in values
    )
    tried = as_mapping(results.get("space")).get(effect["name"]) or []
    best = values[0]["value"]
    is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in tried)
    is_edge = is_number and len(tried) > 1 and best in (min(tried), max(tried))
    edge = f" Its best value is the {'smallest' if best == min(tried) else 'largest'} tried." if is_edge else ""
    return (
        f"{short(effect['name'])} matters: {100 * effect['share']:.0f} % of the variance of the ranks lies between its"
        f" values, where chance alone makes {100 * effect['chance']:.0f} % ({say_p(effect['p_holm'])} after Holm)."
        f" Means at epoch {effect_epoch(results)}: {means}.{edge}"
    )


def observe_pruning(results: Results) -> list[str]:
    """Say how many trials were stopped, what that saved, and what it may have cost."""
    trials = as_mappings(results.get("trials"))
    pruned = [trial for trial in trials if state_of(trial) == "pruned"]
    failed = [trial for trial in trials if state_of(trial) == "failed"]
    unfinished = sum(state_of(trial) == "unfinished" for trial in trials)
    sentences = []
    if pruned:
        planned = sum(trial["planned_epochs"] for trial in trials)
        saved = sum(trial["planned_epochs"] - trial["epochs"] for trial in pruned)
        sentences.append(
            f"{len(pruned)} of {len(trials)} trials were pruned ({as_text(results.get('pruner'))}), which saved {saved}"
            f" of {planned} epochs. One that starts slowly may be pruned unjustly: a pruned trial's score is of its"
            " beginning."
        )
    sentences += [f"Trial {trial['number']} failed: {as_text(trial.get('error'))}" for trial in failed]
    missing = int(as_number(results.get("n_planned")) or 0) - len(trials) + unfinished
    if missing > 0:
        sentences.append(f"{missing} of {as_text(results.get('n_planned'))} trials are still to be trained.")
    return sentences
