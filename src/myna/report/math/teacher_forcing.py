"""The effect of the teacher-forcing ratio: runs that differ in it alone."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean

from myna.report.document import (
    NOTHING,
    Cell,
    Column,
    Figure,
    Notes,
    Panel,
    Row,
    Table,
    number_cell,
    percent_cell,
    text_cell,
)
from myna.report.math.comparisons import comparisons_of, say_test
from myna.report.math.measures import SPLITS, main_score
from myna.report.math.observations import find_main_split
from myna.report.math.published import PUBLISHED, Published
from myna.report.math.seeds import combine_curves, over_seeds, seeds_of, values_by_seed
from myna.report.math.tables import count_seeds
from myna.report.math.trends import draw_trend, find_direction, find_span, say_trend
from myna.report.plots import Curve, draw_curves
from myna.report.results import Results, Run, Score, as_mapping, as_number, as_text, in_percent, interval, join_words
from myna.report.seeds import measure_change, say_interval
from myna.report.tables import MARKS_CAPTION, NAMES_OF_RUN, finish

KEY = "teacher_forcing.ratio"
MEASURES = {"exact_match": "EM", "execution_accuracy": "Exec", "token_match": "Token match"}
_IN_TEXT = {"token_match": "token match"}
_OTHERWISE_EQUAL = (KEY, "training.seed", *NAMES_OF_RUN)
"""Settings that may differ between the runs that are compared."""


def ratios_of(results: Results) -> dict[float, Run]:
    """Return the most runs that differ in their ratio alone, by it, the lowest first; none where there are not two."""
    alike: dict[str, dict[float, Run]] = {}
    for run in over_seeds(results)["runs"]:
        config = as_mapping(run.get("config"))
        ratio = as_number(config.get(KEY))
        if ratio is not None:
            rest = {key: as_text(value) for key, value in sorted(config.items()) if key not in _OTHERWISE_EQUAL}
            alike.setdefault(repr(rest), {}).setdefault(ratio, run)
    found = max(alike.values(), key=len, default={})
    return dict(sorted(found.items())) if len(found) > 1 else {}


def make_ratio_table(results: Results) -> Table | None:
    """Return the scores at each ratio, and what others report."""
    runs = ratios_of(results)
    columns = [Column("Teacher forcing"), Column("System", is_number=False), Column("Seeds")]
    columns += [Column(name, split.capitalize(), best="high") for split in SPLITS for name in MEASURES.values()]
    rows = []
    for ratio, run in runs.items():
        scores = [main_score(run, split) for split in SPLITS]
        cells = [percent_cell(as_number(score.get(m)), interval(score, m)) for score in scores for m in MEASURES]
        rows.append(
            Row((number_cell(ratio, 1), text_cell(_title(run)), count_seeds(len(seeds_of(run))), *cells), "run")
        )
    if all(cell.value is None for row in rows for cell in row.cells[3:]):
        return None
    rows += [_published_row(each) for each in _published(results, runs)]
    caption = (
        f"Percent, at {_say_search(runs)}. Means over seeds with their 95 % interval (Student's t); of one seed, the"
        f" bootstrap interval over problems. {MARKS_CAPTION}"
    )
    return finish(Table("ratio-table", "Teacher forcing", caption, tuple(columns), tuple(rows)))


def draw_ratio_figure(results: Results) -> Figure | None:
    """Return the scores against the ratio, and the losses of all ratios on the same axes."""
    runs = ratios_of(results)
    if not runs:
        return None
    ours = {split: {ratio: main_score(run, split) for ratio, run in runs.items()} for split in SPLITS}
    panels = [_draw_scores(results, runs, ours, measure) for measure in MEASURES]
    losses = {
        split: [_make_loss_curve(f"{ratio:g}", run, split) for ratio, run in runs.items()] for split in ("train", "val")
    }
    known = [curve for curves in losses.values() for curve in curves if curve.points]
    for split, title in (("train", "Loss on train"), ("val", "Loss on dev")):
        if any(curve.points for curve in losses[split]):
            name = f"ratio-loss-{split}"
            panels.append(draw_curves(name, title, "Loss (nats a token)", losses[split], find_span(known)))
    drawn = tuple(panel for panel in panels if panel is not None)
    caption = (
        "Scores: means over seeds, with bands of their 95 % interval where there are several. Losses: a line for each"
        " ratio, the band from the lowest to the highest seed; on train the decoder sees a mixture of the reference's"
        " tokens and its own, on dev the reference's alone."
    )
    return Figure("ratio-figure", "Scores and losses by teacher forcing", caption, drawn) if drawn else None


def describe_ratios(results: Results) -> Notes | None:
    """Say how scores move with the ratio, whether seeds and problems leave a doubt, and what others found."""
    runs, split = ratios_of(results), find_main_split(results)
    if not runs:
        return None
    sentences = []
    for measure, name in MEASURES.items():
        shares = _shares(runs, split, measure)
        if len(shares) > 1:
            trend = say_trend(_IN_TEXT.get(measure, name), shares, "ratio")
            sentences.append(f"On {split}, {trend}{_say_change(runs, split, measure)}.")
    sentences += _compare_splits(runs)
    sentences += _compare_spreads(runs, split)
    sentences += _describe_tests(results, runs)
    sentences += _describe_losses(runs)
    if split == "test" and not results.get("is_generated"):
        sentences += _compare_with_published(results, runs)
    return Notes("", tuple(sentences)) if sentences else None


def _title(run: Run) -> str:
    return as_text(run.get("label") or run.get("name")) or "unnamed"


def _say_search(runs: Mapping[float, Run]) -> str:
    """Return how programs were searched for, from the first score."""
    score: Score = next((s for run in runs.values() for split in SPLITS if (s := main_score(run, split))), {})
    return f"beam {as_text(score.get('beam_size'))}, {as_text(score.get('search'))} search"


def _shares(runs: Mapping[float, Run], split: str, measure: str) -> dict[float, float]:
    """Return a measure by ratio, where it is known."""
    found = {ratio: as_number(main_score(run, split).get(measure)) for ratio, run in runs.items()}
    return {ratio: value for ratio, value in found.items() if value is not None}


def _draw_scores(
    results: Results, runs: Mapping[float, Run], ours: Mapping[str, Mapping[float, Score]], measure: str
) -> Panel | None:
    """Draw a measure against the ratio, with what others report of it."""
    curves: dict[str, Mapping[float, Score]] = dict(ours)
    for figures in _by_source(results, runs).values():
        owner = next(iter(figures.values())).owner
        curves[owner] = {ratio: each.line.score for ratio, each in figures.items()}
    name = f"ratio-{measure.replace('_', '-')}"
    return draw_trend(name, MEASURES[measure], "% of the problems", "Teacher forcing", curves, measure)


def _make_loss_curve(label: str, run: Run, split: str) -> Curve:
    points, low, high = (combine_curves(run, split, "loss", combine) for combine in (mean, min, max))
    return Curve(label, points, low, high) if len(seeds_of(run)) > 1 else Curve(label, points)


def _published(results: Results, runs: Mapping[float, Run]) -> list[Published]:
    """Return what others report of the same model at a stated ratio."""
    models = {as_text(as_mapping(run.get("config")).get("model.type")) for run in runs.values()}
    if results.get("is_generated"):
        return []
    return [each for each in PUBLISHED if each.teacher_forcing is not None and each.model in models and each.is_test]


def _by_source(results: Results, runs: Mapping[float, Run]) -> dict[str, dict[float, Published]]:
    """Return the figures of each source that has several ratios, by ratio."""
    by_source: dict[str, dict[float, Published]] = {}
    for each in _published(results, runs):
        by_source.setdefault(each.source, {})[each.teacher_forcing or 0.0] = each
    return {source: dict(sorted(found.items())) for source, found in by_source.items() if len(found) > 1}


def _published_row(published: Published) -> Row:
    cells = [percent_cell(as_number(published.line.score.get(m))) for m in MEASURES] + [Cell(NOTHING)] * len(MEASURES)
    names = number_cell(published.teacher_forcing, 1), text_cell(published.model, published.source)
    return Row((*names, Cell(NOTHING), *cells), "published")


def _say_change(runs: Mapping[float, Run], split: str, measure: str) -> str:
    """Say what the change from the lowest to the highest ratio is over seeds, and whether they agree on its sign."""
    (low_ratio, lowest), *_, (high_ratio, highest) = runs.items()
    change = measure_change(*(values_by_seed(run, split, measure) for run in (lowest, highest)))
    if change is None:
        return ""
    points, low, high = change
    text = f"; from {low_ratio:g} to {high_ratio:g} that is {points:+.1f} points{say_interval(change)}"
    if low is None or high is None:
        return f"{text}, which with one seed may be chance"
    return text if low > 0 or high < 0 else f"{text}, so that these seeds do not settle it"


def _compare_splits(runs: Mapping[float, Run]) -> list[str]:
    """Say whether dev would have chosen the ratio that is best on test."""
    best = {}
    for split in SPLITS:
        shares = _shares(runs, split, "exact_match")
        if len(shares) < len(runs):
            return []
        best[split] = max(shares, key=shares.__getitem__)
    if len(set(best.values())) == 1:
        return [f"Dev would have chosen the ratio that has the highest EM on test, {best['test']:g}."]
    return [f"By EM dev would have chosen {best['dev']:g}, where test has its highest at {best['test']:g}."]


def _compare_spreads(runs: Mapping[float, Run], split: str) -> list[str]:
    """Say how far seeds of one ratio lie apart, beside how far ratios do."""
    by_seed = [[*values_by_seed(run, split, "exact_match").values()] for run in runs.values()]
    shares = [in_percent(share) for share in _shares(runs, split, "exact_match").values()]
    if len(shares) < 2 or all(len(values) < 2 for values in by_seed):
        return []
    of_seeds = max(in_percent(max(values) - min(values)) for values in by_seed if values)
    of_ratios = max(shares) - min(shares)
    return [
        f"In EM on {split}, the means of the ratios lie {of_ratios:.1f} points apart at most, and the seeds of one"
        f" ratio {of_seeds:.1f}."
    ]


def _describe_tests(results: Results, runs: Mapping[float, Run]) -> list[str]:
    """Say what the paired tests between the ratios found."""
    labels = {_title(run): ratio for ratio, run in runs.items()}
    found = [each for each in comparisons_of(results, "models") if {each.get("a"), each.get("b")} <= labels.keys()]
    by_pair: dict[tuple[float, float], list[str]] = {}
    for each in found:
        a, b = labels[each["a"]], labels[each["b"]]
        by_pair.setdefault((max(a, b), min(a, b)), []).append(say_test(each, sign=1 if a > b else -1))
    parts = [f"{high:g} less {low:g} is {join_words(tests)}" for (high, low), tests in by_pair.items()]
    return [f"Paired over problems, {'; '.join(parts)}."] if parts else []


def _describe_losses(runs: Mapping[float, Run]) -> list[str]:
    """Say where the losses of the lowest and the highest ratio end."""
    (low_ratio, lowest), *_, (high_ratio, highest) = runs.items()
    parts = []
    for split, name in (("train", "Training"), ("val", "dev")):
        curves = [combine_curves(run, split, "loss") for run in (lowest, highest)]
        if all(curves):
            before, after = (points[-1][1] for points in curves)
            parts.append(
                f"{name} loss ends at {before:.3f} with a ratio of {low_ratio:g} and at {after:.3f} with {high_ratio:g}"
            )
    return [f"{'; '.join(parts)}."] if len(parts) == 2 else []


def _compare_with_published(results: Results, runs: Mapping[float, Run]) -> list[str]:
    """Say what others report at several ratios, and whether ours moves the same way."""
    ours = find_direction(_shares(runs, "test", "exact_match")) if len(_shares(runs, "test", "exact_match")) > 1 else 0
    parts, directions = [], []
    for source, figures in _by_source(results, runs).items():
        shares = {ratio: each.exact_match for ratio, each in figures.items() if each.exact_match is not None}
        if len(shares) > 1:
            directions.append(find_direction(shares))
            parts.append(f"{source}: {say_trend('EM', shares, 'ratio')}")
    if not parts:
        return []
    agree = sum(direction == ours for direction in directions)
    return [
        f"Others report, of one training each: {'; '.join(parts)}. From the lowest ratio to the highest,"
        f" {agree or 'none'} of the {len(parts)} move{'s' * (agree <= 1)} the way that ours does."
    ]
