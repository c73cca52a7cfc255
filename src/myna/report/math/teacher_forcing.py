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
    Row,
    Table,
    number_cell,
    text_cell,
)
from myna.report.math.comparisons import comparisons_of, say_test
from myna.report.math.measures import SPLITS, main_score
from myna.report.math.observations import find_main_split
from myna.report.math.published import Published
from myna.report.math.seeds import combine_curves, over_seeds, seeds_of, values_by_seed
from myna.report.math.tables import count_seeds
from myna.report.math.trends import (
    IN_TEXT,
    MEASURES,
    SCORE_COLUMNS,
    Reported,
    compare_with_reported,
    draw_trend,
    find_reported,
    find_span,
    make_score_cells,
    say_trend,
)
from myna.report.plots import Curve, draw_curves, slug
from myna.report.results import Results, Run, Score, as_mapping, as_number, as_text, in_percent, join_words
from myna.report.seeds import measure_change, say_interval
from myna.report.tables import MARKS_CAPTION, describe_rest, finish

KEY = "teacher_forcing.ratio"


def ratios_of(results: Results) -> dict[float, Run]:
    """Return the most runs that differ in their ratio alone, by it, the lowest first; none where there are not two."""
    alike: dict[str, dict[float, Run]] = {}
    for run in over_seeds(results)["runs"]:
        config = as_mapping(run.get("config"))
        ratio = as_number(config.get(KEY))
        if ratio is not None:
            alike.setdefault(describe_rest(config, KEY), {}).setdefault(ratio, run)
    found = max(alike.values(), key=len, default={})
    return dict(sorted(found.items())) if len(found) > 1 else {}


def make_ratio_table(results: Results) -> Table | None:
    """Return the scores at each ratio, and what others report."""
    runs = ratios_of(results)
    columns = (Column("Teacher forcing"), Column("System", is_number=False), Column("Seeds"), *SCORE_COLUMNS)
    rows = []
    for ratio, run in runs.items():
        names = Cell(f"{ratio:g}", ratio), text_cell(_title(run)), count_seeds(len(seeds_of(run)))
        rows.append(Row((*names, *make_score_cells({split: main_score(run, split) for split in SPLITS})), "run"))
    if all(cell.value is None for row in rows for cell in row.cells[3:]):
        return None
    rows += [_published_row(each) for own in _find_reported(results, runs) for each in own.values()]
    caption = (
        f"Percent, at {_say_search(runs)}. Means over seeds with their 95 % interval (Student's t); of one seed, the"
        f" bootstrap interval over problems. {MARKS_CAPTION}"
    )
    return finish(Table("ratio-table", "Teacher forcing", caption, columns, tuple(rows)))


def draw_ratio_figure(results: Results) -> Figure | None:
    """Return the scores against the ratio, and the losses of all ratios on the same axes."""
    runs = ratios_of(results)
    if not runs:
        return None
    ours = {split: {ratio: main_score(run, split) for ratio, run in runs.items()} for split in SPLITS}
    reported = _find_reported(results, runs)
    panels = [draw_trend(f"ratio-{slug(m)}", "Teacher forcing", ours, reported, m) for m in MEASURES]
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
    for measure, name in IN_TEXT.items():
        shares = _shares(runs, split, measure)
        if len(shares) > 1:
            trend = say_trend(name, shares, "ratio")
            sentences.append(f"On {split}, {trend}{_say_change(runs, split, measure)}.")
    sentences += _compare_splits(runs)
    sentences += _compare_spreads(runs, split)
    sentences += _describe_tests(results, runs)
    sentences += _describe_losses(runs)
    if split == "test":
        exact = _shares(runs, split, "exact_match")
        sentences += compare_with_reported(_find_reported(results, runs), [exact], "ratio")
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


def _make_loss_curve(label: str, run: Run, split: str) -> Curve:
    points, low, high = (combine_curves(run, split, "loss", combine) for combine in (mean, min, max))
    return Curve(label, points, low, high) if len(seeds_of(run)) > 1 else Curve(label, points)


def _find_reported(results: Results, runs: Mapping[float, Run]) -> list[Reported]:
    """Return what others report of the same model at several ratios, on test."""
    models = {as_text(as_mapping(run.get("config")).get("model.type")) for run in runs.values()}
    return find_reported(results, lambda each: each.teacher_forcing if each.is_test and each.model in models else None)


def _published_row(published: Published) -> Row:
    cells = make_score_cells({"test": published.line.score})
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
    shares = [*_shares(runs, split, "exact_match").values()]
    if len(shares) < 2 or all(len(values) < 2 for values in by_seed):
        return []
    of_seeds = max(in_percent(max(values) - min(values)) for values in by_seed if values)
    of_ratios = in_percent(max(shares) - min(shares))
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
