"""The impact of the batch size: each norm that was trained at several."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from myna.report.birds.measures import Variant, batch_sizes_of, epochs_of, find_main_split, score_of
from myna.report.birds.published import IMAGENET_ERRORS
from myna.report.document import Column, Notes, Row, Table, number_cell, percent_cell, text_cell
from myna.report.results import Results, as_number, as_text, in_percent
from myna.report.seeds import Change, measure_change, say_interval
from myna.report.tables import finish, minutes_cell


def make_batch_table(results: Results) -> Table | None:
    """Return accuracy, epochs and minutes at each batch size, norm by norm."""
    columns = (
        Column("Norm", is_number=False),
        Column("Batch size"),
        Column("Seeds"),
        *(Column(title, split.capitalize(), best="high") for split in ("test", "val") for title in _MEASURES.values()),
        Column("Best", "Epochs"),
        Column("Trained", "Epochs"),
        Column("Allowed", "Epochs"),
        Column("Minutes"),
    )
    rows = []
    for norm, variants in batch_sizes_of(results).items():
        for each in variants:
            cells = [percent_cell(each.value(s, m), each.interval(s, m)) for s in ("test", "val") for m in _MEASURES]
            best, last = _mean_epochs(each)
            allowed = as_number(each.setting("training.epochs"))
            costs = number_cell(best, 1), number_cell(last, 1), number_cell(allowed), minutes_cell(each.cost("minutes"))
            sizes = number_cell(each.batch_size), number_cell(len(each.runs))
            rows.append(Row((text_cell(norm), *sizes, *cells, *costs), "run"))
    caption = (
        "Percent, means over seeds with their 95 % interval. Best: the epoch that was most accurate on val; trained:"
        " the last one before early stopping."
    )
    return finish(Table("batch-sizes", "Batch sizes", caption, columns, tuple(rows))) if rows else None


def describe_batch_sizes(results: Results) -> Notes | None:
    """Say how each norm's accuracy moves with the batch size, and which moves less."""
    split, changes, sentences = find_main_split(results), {}, []
    for norm, variants in batch_sizes_of(results).items():
        by_seed = _accuracies_by_seed(variants[0], variants[-1], split)
        if not all(by_seed):
            continue
        before, after = (in_percent(mean(each.values())) for each in by_seed)
        change = changes[norm] = measure_change(*by_seed) or (after - before, None, None)
        sentences.append(
            f"From batch {variants[0].batch_size} to {variants[-1].batch_size} the {split} accuracy of {norm} changes"
            f" by {change[0]:+.1f} points{say_interval(change)}, from {before:.1f} to {after:.1f}."
        )
    if len(changes) > 1:
        sentences.append(_compare_changes(changes))
    sentences += [_describe_stopping(each) for each in _stopped(results)]
    if {"bn", "gn"} <= set(changes):
        sentences.append(_cite())
    return Notes("", tuple(sentences)) if sentences else None


_MEASURES = {"accuracy": "Accuracy", "macro_f1": "Macro F1"}


def _accuracies_by_seed(small: Variant, large: Variant, split: str) -> list[dict[str, float]]:
    """Return the accuracies of two settings at the seeds that both have, or at all where they share none."""
    by_seed: list[dict[str, float]] = [{}, {}]
    for known, each in zip(by_seed, (small, large), strict=True):
        for run in each.runs:
            if (value := as_number(score_of(run, split).get("accuracy"))) is not None:
                known[as_text(run.get("seed"))] = value
    shared = by_seed[0].keys() & by_seed[1].keys()
    return [{seed: known[seed] for seed in sorted(shared or known)} for known in by_seed]


def _compare_changes(changes: dict[str, Change]) -> str:
    """Say which norm moved least, and whether the intervals leave a doubt."""
    ordered = sorted(changes, key=lambda norm: abs(changes[norm][0]))
    least, most = ordered[0], ordered[-1]
    by_least, by_most = (f"{abs(changes[norm][0]):.1f}" for norm in (least, most))
    if by_least == by_most:
        return f"{least} and {most} move by as much."
    sentence = f"{least} is the less sensitive here: it moves by {by_least} points, {most} by {by_most}"
    (_, low_a, high_a), (_, low_b, high_b) = changes[least], changes[most]
    if low_a is None or high_a is None or low_b is None or high_b is None:
        return f"{sentence}; with one seed in common, that may be chance."
    if max(low_a, low_b) <= min(high_a, high_b):
        return f"{sentence}; the intervals of the two changes overlap, so that these seeds do not settle it."
    return f"{sentence}, and the intervals of the two changes do not overlap."


def _stopped(results: Results) -> list[Variant]:
    """Return the settings whose trainings ended before the epochs that they were allowed."""
    stopped = []
    for variants in batch_sizes_of(results).values():
        for each in variants:
            allowed, (_, last) = as_number(each.setting("training.epochs")), _mean_epochs(each)
            if allowed is not None and last is not None and last < allowed:
                stopped.append(each)
    return stopped


def _describe_stopping(variant: Variant) -> str:
    best, last = _mean_epochs(variant)
    allowed = as_text(variant.setting("training.epochs"))
    return (
        f"{variant.norm} at batch {variant.batch_size} stopped early, after {last:g} of {allowed} epochs; it was most"
        f" accurate on val in epoch {best:g}" + (" (means over seeds)." if len(variant.runs) > 1 else ".")
    )


def _mean_epochs(variant: Variant) -> tuple[float | None, float | None]:
    """Return the best epoch and the last, means over seeds."""
    epochs: Sequence[tuple[int, int]] = [found for run in variant.runs if (found := epochs_of(run)) is not None]
    if not epochs:
        return None, None
    best, last = (round(mean(values), 1) for values in zip(*epochs, strict=True))
    return best, last


def _cite() -> str:
    bn, gn = (IMAGENET_ERRORS[norm] for norm in ("bn", "gn"))
    return (
        f"Wu and He (2018) on ImageNet: from {max(bn)} photos a worker down to {min(bn)}, BN's error grows from"
        f" {100 * bn[max(bn)]:.1f} to {100 * bn[min(bn)]:.1f} %, and GN's goes from {100 * gn[max(gn)]:.1f}"
        f" to {100 * gn[min(gn)]:.1f} %; at 8 photos it is {100 * bn[8]:.1f} against {100 * gn[8]:.1f} %."
    )
