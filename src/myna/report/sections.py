"""Which sections a report has, in the order of the assignment; each is built from the study's results."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from myna.report.document import (
    Block,
    Command,
    Missing,
    Notes,
    Paragraph,
    Report,
    Section,
    Terms,
    merge_missing,
)
from myna.report.figures import draw_dev_figure, draw_loss_figure, draw_subset_figure
from myna.report.measures import (
    SPLITS,
    SUBSETS,
    Results,
    as_mapping,
    as_mappings,
    as_number,
    as_text,
    baselines_of,
    lines_of,
    run_command,
    runs_of,
    scores_of,
    study_command,
    titles_of,
)
from myna.report.observations import describe_details, describe_standing, find_main_split
from myna.report.tables import (
    make_cost_table,
    make_curve_table,
    make_environment_table,
    make_fact_tables,
    make_failure_table,
    make_published_table,
    make_run_table,
    make_score_table,
    make_setting_tables,
)

_TERMS = (
    ("Exact match (EM)", "The predicted program is the reference program, text for text, once a closing | is dropped."),
    (
        "Raw exact match",
        "The same without dropping it. In the course's data a third of the references lack the last |.",
    ),
    ("Execution accuracy (Exec)", "The predicted program runs, and its value is within 2 % of the answer."),
    (
        "Token match",
        "The share of operations and arguments that stand at the same position as in the reference, over the longer of"
        " the two, averaged over problems.",
    ),
    (
        "Seen, novel, far",
        "Seen problems read exactly like one in training once numbers are masked; novel ones do not; far ones, a part"
        " of the novel, are not even near one (TF-IDF cosine under 0.7). The far ones tell understanding from memory.",
    ),
    (
        "Baselines",
        "Look-up gives the most frequent program of the same masked training text, and nothing otherwise; nearest"
        " neighbour gives the program of the most similar one. Neither learns anything.",
    ),
    (
        "Search",
        "Plain beam search; with the grammar, only tokens that can follow; with execution guidance too, no program that"
        " fails to run.",
    ),
    ("95 % interval", "From the bootstrap over problems: the error of sampling the problems, not that of the seed."),
)


def build_report(results: Results) -> Report:
    """Build the report of a study.

    Raises:
        ValueError: there are no sections for this kind of study.
    """
    study = as_text(results.get("study")) or "math"
    if study not in SECTIONS:
        raise ValueError(f"study: {study!r}; choices: {', '.join(SECTIONS)}")
    sections = tuple(section for build in SECTIONS[study] if (section := build(results)) is not None)
    minutes = as_number(results.get("minutes"))
    commit = as_text(as_mapping(results.get("environment")).get("commit"))
    made_from = (
        as_text(results.get("source")),
        f"{minutes:.1f} minutes in all" if minutes is not None else "",
        f"commit {commit}" if commit else "",
    )
    banner = ""
    if results.get("is_generated"):
        banner = (
            "Made from a GENERATED sample, not the real data. The figures show that every part works; they say nothing"
            " about the task, and cannot be compared with published ones."
        )
    title = as_text(results.get("title")) or f"Study {as_text(results.get('name'))}".strip()
    return Report(title, " · ".join(filter(None, made_from)), banner, sections)


def _build_summary(results: Results) -> Section:
    sentences = tuple(describe_standing(results))
    missing = Missing("the scores of the trained models", study_command(results))
    return Section("summary", "In short", (Notes("", sentences),) if sentences else (missing,))


def _build_data(results: Results) -> Section:
    source = as_text(results.get("source"))
    blocks: list[Block] = [Paragraph(f"Source: {source}.")] if source else []
    blocks += make_fact_tables(results) or [Missing("the facts of the data", study_command(results))]
    return Section("data", "Data", tuple(blocks), "2.1")


def _build_metrics(results: Results) -> Section:
    return Section("metrics", "Measures", (Terms(_TERMS),), "2.2")


def _build_curves(results: Results) -> Section:
    runs = runs_of(results)
    missing = [
        Missing(f"the curves of {title}", run_command(results, run))
        for run, title in zip(runs, titles_of(runs), strict=True)
        if not as_mappings(run.get("curves"))
    ]
    blocks = [draw_loss_figure(results), draw_dev_figure(results), make_curve_table(results)]
    return _collect("curves", "Learning curves", blocks, missing or _no_runs(results), "2.3.1")


def _build_scores(results: Results) -> Section:
    tables: list[Block | None] = [make_score_table(results, split) for split in SPLITS]
    published = None if results.get("is_generated") else make_published_table()
    figure = draw_subset_figure(results, find_main_split(results))
    missing = [*_no_runs(results), *_missing_scores(results)]
    return _collect("scores", "Scores", [tables[0], figure, *tables[1:], published], missing, "2.3.1")


def _build_settings(results: Results) -> Section:
    runs = runs_of(results)
    missing = [
        Missing(f"the settings of {title}", run_command(results, run))
        for run, title in zip(runs, titles_of(runs), strict=True)
        if not as_mapping(run.get("config"))
    ]
    return _collect("settings", "Hyper-parameters", make_setting_tables(results), missing or _no_runs(results), "2.3.1")


def _build_failures(results: Results) -> Section | None:
    table = make_failure_table(results, find_main_split(results))
    return Section("failures", "Programs that fail", (table,)) if table else None


def _build_observations(results: Results) -> Section | None:
    notes = describe_details(results)
    return Section("observations", "Observations", tuple(notes), "2.3.1") if notes else None


def _build_cost(results: Results) -> Section | None:
    table = make_cost_table(results, find_main_split(results))
    return Section("cost", "Cost", (table,)) if table else None


def _build_reproduction(results: Results) -> Section:
    intro = Paragraph("The whole study, with this report at its end, is made by one command:")
    missing = [] if results.get("environment") else [Missing("the versions and the machine", study_command(results))]
    tables = make_run_table(results), make_environment_table(results)
    return _collect("reproduce", "How to reproduce", (intro, Command(study_command(results)), *tables), missing)


SECTIONS: dict[str, tuple[Callable[[Results], Section | None], ...]] = {
    "math": (
        _build_summary,
        _build_data,
        _build_metrics,
        _build_curves,
        _build_scores,
        _build_settings,
        _build_failures,
        _build_observations,
        _build_cost,
        _build_reproduction,
    ),
}
"""The sections of each kind of study; a builder that has nothing to say returns None."""


def _collect(
    section_id: str, title: str, blocks: Sequence[Block | None], missing: Sequence[Missing], assignment: str = ""
) -> Section:
    """Return a section of the blocks that there are, and what is missing after them."""
    present = [block for block in blocks if block is not None]
    return Section(section_id, title, (*present, *merge_missing(missing)), assignment)


def _no_runs(results: Results) -> list[Missing]:
    """Return what to say where a study has no run at all."""
    return [] if runs_of(results) else [Missing("the runs", study_command(results))]


def _missing_scores(results: Results) -> list[Missing]:
    """Return the scores that a run or baseline lacks."""
    command = study_command(results)
    runs, baselines = runs_of(results), baselines_of(results)
    missing = [] if baselines else [Missing("the baselines", command)]
    measured = [split for split in SPLITS if lines_of(results, split)] or SPLITS
    for entry, title in zip([*runs, *baselines], titles_of(runs) + titles_of(baselines), strict=True):
        for split in measured:
            scores = scores_of(entry, split)
            if not scores:
                missing.append(Missing(f"the scores of {title} on {split}", command))
            absent = [s for s in SUBSETS if scores and not all(as_mapping(score.get(s)) for score in scores)]
            if absent:
                missing.append(Missing(f"the {', '.join(absent)} scores of {title} on {split}", command))
    for split in set(SPLITS) - set(measured):
        # The study does not ask for this split, so its own command would not measure it.
        name = shlex.quote(as_text(runs[0].get("name"))) if runs else "RUN"
        missing.append(
            Missing(f"scores on {split}, here of one run", f"myna math eval {name} --split {split} --beam 10")
        )
    return missing
