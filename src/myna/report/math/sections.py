"""Which sections the report of a math study has, in the order of the assignment."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from myna.report.document import Block, Missing, Notes, Section, Terms
from myna.report.math.attention import missing_attention, show_attention
from myna.report.math.beam_size import describe_beams, draw_beam_figure, make_beam_table, make_beam_test_table
from myna.report.math.comparisons import describe_gains, describe_models, make_baseline_table, make_model_table
from myna.report.math.figures import draw_dev_figure, draw_loss_figure, draw_subset_figure
from myna.report.math.measures import SPLITS, SUBSETS, lines_of, scores_of
from myna.report.math.mistakes import (
    describe_mistakes,
    draw_mistake_figure,
    make_group_tables,
    make_kind_table,
    mistakes_of,
)
from myna.report.math.observations import describe_details, describe_standing, find_main_split
from myna.report.math.seeds import over_seeds
from myna.report.math.tables import (
    FACT_TITLES,
    make_cost_table,
    make_curve_table,
    make_failure_table,
    make_published_table,
    make_score_table,
    make_seed_table,
)
from myna.report.math.teacher_forcing import describe_ratios, draw_ratio_figure, make_ratio_table
from myna.report.results import (
    Results,
    as_mapping,
    as_text,
    baselines_of,
    compare_command,
    measure_command,
    runs_of,
    study_command,
    titled_runs,
    titles_of,
)
from myna.report.sections import build_curves, build_data, build_reproduction, build_settings, collect, no_runs

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
    (
        "95 % interval",
        "With several seeds, where the mean of many may lie (Student's t). With one, from the bootstrap over"
        " problems: what other problems would do.",
    ),
    (
        "Paired test",
        "Whether two systems are right equally often, from the problems that one alone gets right.",
    ),
)


def _build_summary(results: Results) -> Section:
    sentences = describe_standing(over_seeds(results))
    if sentences:
        # Of the effect that a study is about the first sentence tells most.
        sentences += [each.sentences[0] for tell in (describe_ratios, describe_beams) if (each := tell(results))]
    missing = Missing("the scores of the trained models", study_command(results))
    return Section("summary", "In short", (Notes("", tuple(sentences)),) if sentences else (missing,))


def _build_data(results: Results) -> Section:
    return build_data(results, FACT_TITLES, "2.1")


def _build_metrics(results: Results) -> Section:
    return Section("metrics", "Measures", (Terms(_TERMS),), "2.2")


def _build_curves(results: Results) -> Section:
    mean = over_seeds(results)
    blocks = [draw_loss_figure(mean), draw_dev_figure(mean), make_curve_table(mean)]
    return build_curves(results, blocks, "2.3.1")


def _build_scores(results: Results) -> Section:
    mean = over_seeds(results)
    tables: list[Block | None] = [make_score_table(mean, split) for split in SPLITS]
    figure = draw_subset_figure(mean, find_main_split(mean))
    missing = [*no_runs(results), *_missing_scores(results)]
    return collect("scores", "Scores", [tables[0], figure, *tables[1:], make_seed_table(results)], missing, "2.3.1")


def _build_published(results: Results) -> Section | None:
    return None if results.get("is_generated") else Section("published", "Published figures", (make_published_table(),))


def _build_comparisons(results: Results) -> Section | None:
    blocks: list[Block | None] = [
        describe_models(results),
        make_model_table(results),
        describe_gains(results),
        make_baseline_table(results),
    ]
    if not any(blocks) and (len(runs_of(results)) < 2 or not lines_of(results, find_main_split(results))):
        return None
    missing = [] if any(blocks) else [Missing("the paired comparisons", compare_command(results))]
    return collect("comparisons", "Comparisons", blocks, missing, "2.3.1")


def _build_teacher_forcing(results: Results) -> Section | None:
    blocks: list[Block | None] = [describe_ratios(results), make_ratio_table(results), draw_ratio_figure(results)]
    return collect("teacher-forcing", "Teacher forcing", blocks, [], "2.3.2") if any(blocks) else None


def _build_beam_sizes(results: Results) -> Section | None:
    table = make_beam_table(results)
    blocks = [describe_beams(results), table, draw_beam_figure(results), make_beam_test_table(results)]
    return collect("beam-size", "Beam size", blocks, [], "2.3.3") if table else None


def _build_settings(results: Results) -> Section:
    configs = [(title, as_mapping(run.get("config"))) for run, title in titled_runs(over_seeds(results))]
    return build_settings(results, [(title, config) for title, config in configs if config], "2.3.1")


def _build_failures(results: Results) -> Section | None:
    table = make_failure_table(over_seeds(results), find_main_split(results))
    return Section("failures", "Programs that fail", (table,)) if table else None


def _build_observations(results: Results) -> Section | None:
    notes = describe_details(over_seeds(results))
    return Section("observations", "Observations", tuple(notes), "2.3.1") if notes else None


def _build_cost(results: Results) -> Section | None:
    table = make_cost_table(over_seeds(results), find_main_split(results))
    return Section("cost", "Cost", (table,)) if table else None


def _missing_scores(results: Results) -> list[Missing]:
    """Return the scores that a run or baseline lacks."""
    runs, baselines = runs_of(results), baselines_of(results)
    missing = [] if baselines else [Missing("the baselines", study_command(results))]
    scored = [split for split in SPLITS if lines_of(results, split)]
    measured = SPLITS if results.get("is_loose") or not scored else scored
    for entry, title in zip([*runs, *baselines], titles_of(runs) + titles_of(baselines), strict=True):
        for split in measured:
            scores, command = scores_of(entry, split), measure_command(results, entry, split)
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


def _build_mistakes(results: Results) -> Section | None:
    split = find_main_split(results)
    if not runs_of(results):
        return None
    found = mistakes_of(over_seeds(results), split)
    missing = [
        Missing(f"the kinds of mistakes of {title}", measure_command(results, run, split))
        for run, title in titled_runs(over_seeds(results))
        if title not in found
    ]
    blocks: list[Block | None] = [
        describe_mistakes(found, split),
        draw_mistake_figure(found, split),
        make_kind_table(found, split),
        *make_group_tables(found, split),
    ]
    return collect("mistakes", "Mistakes by kind", blocks, missing)


def _build_attention(results: Results) -> Section | None:
    blocks, missing = show_attention(results), missing_attention(results)
    return collect("attention", "What the decoder attends to", blocks, missing) if blocks or missing else None


SECTIONS: tuple[Callable[[Results], Section | None], ...] = (
    _build_summary,
    _build_data,
    _build_metrics,
    _build_curves,
    _build_scores,
    _build_comparisons,
    _build_teacher_forcing,
    _build_beam_sizes,
    _build_settings,
    _build_failures,
    _build_mistakes,
    _build_attention,
    _build_observations,
    _build_cost,
    _build_published,
    build_reproduction,
)
"""A builder that has nothing to say returns None."""
