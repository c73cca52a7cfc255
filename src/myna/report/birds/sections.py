"""Which sections the report of a birds study has, in the order of the assignment."""

from __future__ import annotations

from collections.abc import Callable

from myna.report.birds.batch_size import describe_batch_sizes, make_batch_table
from myna.report.birds.figures import (
    draw_confusion_figure,
    draw_gap_figure,
    draw_loss_figure,
    draw_measure_figure,
)
from myna.report.birds.measures import SPLITS, confusion_of, score_of, variants_of
from myna.report.birds.observations import best_score, describe_best_run, describe_details, describe_standing
from myna.report.birds.pictures import missing_maps, missing_photos, show_confused, show_maps
from myna.report.birds.published import LEAK
from myna.report.birds.sanity import check_sanity, describe_sanity, draw_sanity_figure, make_sanity_table
from myna.report.birds.tables import (
    FACT_TITLES,
    configs_of,
    make_class_table,
    make_comparison_table,
    make_confidence_table,
    make_cost_table,
    make_curve_table,
    make_mistake_table,
    make_paper_table,
    make_published_table,
    make_score_table,
    make_seed_table,
)
from myna.report.document import Block, Missing, Notes, Paragraph, Section, Terms
from myna.report.results import (
    Results,
    as_number,
    baselines_of,
    compare_command,
    measure_command,
    runs_of,
    study_command,
    titled_runs,
    titles_of,
)
from myna.report.sections import (
    build_curves,
    build_data,
    build_reproduction,
    build_settings,
    collect,
    missing_scores_at_all,
    no_runs,
)

_TERMS = (
    ("Accuracy, error", "The share of photos named rightly, and what it leaves to 100 %."),
    (
        "Micro F1, macro F1",
        "F1 is the harmonic mean of precision and recall. Micro counts all photos together, which with one class a"
        " photo is accuracy; macro is the mean over classes, so that a rare one counts as much as a frequent one.",
    ),
    ("Top 5", "The share of photos whose class is among the five likeliest."),
    (
        "Calibration error",
        "By how much confidence misses accuracy, on average over photos (expected calibration error, Guo et al. 2017).",
    ),
    (
        "Norms",
        "bn, in, bin, ln, gn: batch, instance, batch-instance, layer and group normalisation, written from scratch;"
        " inbuilt: torch's BatchNorm2d; nn: no normalisation.",
    ),
    ("Floors", "What needs no deep net. None of them sees the shape of a bird except as pixels in their places."),
    (
        "95 % interval",
        "Over seeds (Student's t) where a setting was trained several times: where the mean of many seeds may lie."
        " Over photos (bootstrap) where it was trained once: what other photos may give.",
    ),
)


def _build_summary(results: Results) -> Section:
    sentences = tuple(describe_standing(results))
    missing = missing_scores_at_all(results, "test")
    return Section("summary", "In short", (Notes("", sentences),) if sentences else (missing,))


def _build_data(results: Results) -> Section:
    return build_data(results, FACT_TITLES, "1.1")


def _build_metrics(results: Results) -> Section:
    return Section("metrics", "Measures", (Terms(_TERMS),), "1.1.3")


def _build_curves(results: Results) -> Section:
    blocks = [
        draw_measure_figure(results, "val"),
        draw_measure_figure(results, "train"),
        draw_loss_figure(results),
        draw_gap_figure(results),
        make_curve_table(results),
    ]
    return build_curves(results, blocks, "1.1.3, 2.5")


def _build_scores(results: Results) -> Section:
    others: list[Block] = (
        [] if results.get("is_generated") else [Paragraph(LEAK), make_published_table(), make_paper_table()]
    )
    own: list[Block | None] = [make_score_table(results), make_confidence_table(results), make_seed_table(results)]
    return collect("scores", "Scores", [*own, *others], [*no_runs(results), *_missing_scores(results)], "1.1.3, 2.5")


def _build_sanity(results: Results) -> Section | None:
    check = check_sanity(results)
    if check is None:
        return None
    blocks: list[Block | None] = [describe_sanity(check), make_sanity_table(check), draw_sanity_figure(check)]
    return collect("sanity", "Sanity check: bn against inbuilt", blocks, [], "2.4")


def _build_comparisons(results: Results) -> Section | None:
    table = make_comparison_table(results)
    if table is None and len(variants_of(results)) < 2:
        return None
    missing = [] if table else [Missing("the paired comparisons", compare_command(results))]
    return collect("comparisons", "Comparisons", [table], missing, "2.5")


def _build_batch_sizes(results: Results) -> Section | None:
    table = make_batch_table(results)
    return collect("batch-size", "Batch size", [describe_batch_sizes(results), table], [], "2.6") if table else None


def _build_classes(results: Results) -> Section | None:
    score, title = best_score(results), describe_best_run(results)
    confusion = confusion_of(score)
    figure = draw_confusion_figure(confusion, title) if confusion else None
    pairs = make_mistake_table(confusion, title) if confusion else None
    blocks: list[Block | None] = [figure, pairs, show_confused(results), make_class_table(score, title)]
    return collect("classes", "Classes", blocks, missing_photos(results)) if any(blocks) else None


def _build_maps(results: Results) -> Section | None:
    blocks, missing = show_maps(results), missing_maps(results)
    return collect("gradcam", "What the net looks at", blocks, missing, "2.7") if blocks or missing else None


def _build_observations(results: Results) -> Section | None:
    notes = describe_details(results)
    return Section("observations", "Observations", tuple(notes), "2.5") if notes else None


def _build_settings(results: Results) -> Section:
    return build_settings(results, configs_of(results), "1.1.2")


def _build_cost(results: Results) -> Section | None:
    table = make_cost_table(results)
    return Section("cost", "Cost", (table,)) if table else None


def _missing_scores(results: Results) -> list[Missing]:
    """Return the runs that are planned and not there, and the scores that a run or floor lacks."""
    command, runs, floors = study_command(results), runs_of(results), baselines_of(results)
    missing = [] if floors else [Missing("the floors", command)]
    n_planned = int(as_number(results.get("n_planned")) or 0)
    if n_planned > len(runs):
        missing.append(Missing(f"{n_planned - len(runs)} of {n_planned} runs", command))
    for run, title in titled_runs(results):
        absent = [split for split in SPLITS if as_number(score_of(run, split).get("accuracy")) is None]
        missing += [
            Missing(f"the scores of {title} on {split}", measure_command(results, run, split)) for split in absent
        ]
    for floor, title in zip(floors, titles_of(floors), strict=True):
        if not any(score_of(floor, split) for split in SPLITS):
            missing.append(Missing(f"the scores of {title}", command))
    return missing


SECTIONS: tuple[Callable[[Results], Section | None], ...] = (
    _build_summary,
    _build_data,
    _build_metrics,
    _build_curves,
    _build_scores,
    _build_sanity,
    _build_comparisons,
    _build_batch_sizes,
    _build_classes,
    _build_maps,
    _build_observations,
    _build_settings,
    _build_cost,
    build_reproduction,
)
"""A builder that has nothing to say returns None."""
