"""The effect of the beam size: scores of one run at several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    text_cell,
)
from myna.report.math.comparisons import comparisons_of, make_test_table, say_test
from myna.report.math.measures import SEARCHES, SPLITS, scores_of
from myna.report.math.observations import find_main_split
from myna.report.math.published import Published
from myna.report.math.seeds import over_seeds
from myna.report.math.tables import count_seeds, speed_cell
from myna.report.math.trends import (
    IN_TEXT,
    MEASURES,
    SCORE_COLUMNS,
    Reported,
    compare_with_reported,
    draw_trend,
    find_reported,
    make_score_cells,
    say_trend,
)
from myna.report.plots import Across, Curve, draw_curves, slug
from myna.report.results import Results, Score, as_mapping, as_number, as_text, join_words, titled_runs
from myna.report.tables import MARKS_CAPTION, finish


@dataclass(frozen=True)
class Beams:
    """One run searched by one kind of search at several beam sizes.

    Attributes:
        title: of the run, with the search where the run has several kinds.
        label: of the run.
        search: which kind.
        scores: by split, then by beam size, the smallest first.
    """

    title: str
    label: str
    search: str
    scores: dict[str, dict[float, Score]]

    @property
    def sizes(self) -> list[float]:
        """The beam sizes that some split has."""
        return sorted({size for scores in self.scores.values() for size in scores})

    def shares(self, split: str, measure: str) -> dict[float, float]:
        """Return a number of the scores on a split by beam size, where it is known."""
        found = {size: as_number(score.get(measure)) for size, score in self.scores.get(split, {}).items()}
        return {size: value for size, value in found.items() if value is not None}


def beams_of(results: Results) -> list[Beams]:
    """Return the runs that were measured at several beam sizes with the same search."""
    found = []
    for run, title in titled_runs(over_seeds(results)):
        by_search: dict[str, dict[str, dict[float, Score]]] = {}
        for split in SPLITS:
            for score in scores_of(run, split):
                size = as_number(score.get("beam_size"))
                if size is not None:
                    by_search.setdefault(as_text(score.get("search")), {}).setdefault(split, {})[size] = score
        for search, scores in by_search.items():
            name = title if len(by_search) == 1 else f"{title}, {SEARCHES.get(search, search)}"
            ordered = {split: dict(sorted(own.items())) for split, own in scores.items()}
            found.append(Beams(name, as_text(run.get("label") or run.get("name")), search, ordered))
    return [beams for beams in found if any(len(own) > 1 for own in beams.scores.values())]


def make_beam_table(results: Results) -> Table | None:
    """Return scores, speed and length of programs at each beam size, and what others report."""
    columns = (
        *(Column("System", is_number=False), Column("Beam"), Column("Seeds")),
        *SCORE_COLUMNS,
        *(Column("Problems/s", best="high"), Column("Tokens a program")),
    )
    found, split = beams_of(results), find_main_split(results)
    rows = [_beam_row(beams, size, split) for beams in found for size in beams.sizes]
    if not rows:
        return None
    rows += [_published_row(each) for own in _find_reported(results) for each in own.values()]
    caption = (
        f"Percent, with 95 % intervals: of one seed over problems, else over seeds. Speed and length: of {split}"
        f"{_say_reference_length(results, split)}. {MARKS_CAPTION}"
    )
    return finish(Table("beam-table", "Beam sizes", caption, columns, tuple(rows)))


def make_beam_test_table(results: Results) -> Table | None:
    """Return the paired tests between beam sizes."""
    found = comparisons_of(results, "beams")
    names = [
        (f"{as_text(each.get('label'))}, beam {as_text(each.get('a'))}", f"beam {as_text(each.get('b'))}")
        for each in found
    ]
    return make_test_table("beam-tests", "Paired comparisons of beam sizes", found, names)


def draw_beam_figure(results: Results) -> Figure | None:
    """Return exact match, execution accuracy, token match and speed against the beam size."""
    found = beams_of(results)
    if not found:
        return None
    ours = {
        ", ".join((beams.title, split)) if len(found) > 1 else split: scores
        for beams in found
        for split, scores in beams.scores.items()
    }
    reported = _find_reported(results)
    panels = [draw_trend(f"beam-{slug(measure)}", "Beam size", ours, reported, measure) for measure in MEASURES]
    panels.append(_draw_speed(found, find_main_split(results)))
    drawn = tuple(panel for panel in panels if panel is not None)
    caption = "Bands: 95 % intervals, of one seed over problems, else over seeds; token match has none over problems."
    return Figure("beam-figure", "Scores and speed by beam size", caption, drawn) if drawn else None


def describe_beams(results: Results) -> Notes | None:
    """Say how scores, speed and length move with the beam size, and what others found."""
    split, sentences = find_main_split(results), []
    for beams in beams_of(results):
        for measure, name in IN_TEXT.items():
            shares = beams.shares(split, measure)
            if len(shares) > 1:
                sentences.append(f"On {split}, {say_trend(f'{name} of {beams.title}', shares, 'beam')}.")
        sentences += _describe_tests(results, beams)
        sentences += _describe_speed(beams, split)
        sentences += _describe_length(results, beams, split)
    if sentences:
        exact = [each.shares(split, "exact_match") for each in beams_of(results)]
        sentences += compare_with_reported(_find_reported(results), exact, "beam")
    return Notes("", tuple(sentences)) if sentences else None


def _beam_row(beams: Beams, size: float, split: str) -> Row:
    scores = {each: own[size] for each, own in beams.scores.items() if size in own}
    main = scores.get(split, {})
    costs = speed_cell(as_number(main.get("problems_per_second"))), number_cell(as_number(main.get("n_tokens")), 2)
    n_seeds = int(as_number(next(iter(scores.values()), {}).get("n_seeds")) or 1)
    names = text_cell(beams.title), number_cell(size), count_seeds(n_seeds)
    return Row((*names, *make_score_cells(scores), *costs), "run")


def _find_reported(results: Results) -> list[Reported]:
    """Return what others report at stated beam sizes, of a model at several."""
    return find_reported(results, lambda each: each.beam_size)


def _published_row(published: Published) -> Row:
    note = published.source + (f" ({published.note})" if published.note and not published.is_test else "")
    cells = make_score_cells({"test": published.line.score})
    names = text_cell(published.model, note), number_cell(published.beam_size), Cell(NOTHING)
    return Row((*names, *cells, Cell(NOTHING), Cell(NOTHING)), published.kind)


def _draw_speed(found: Sequence[Beams], split: str) -> Panel | None:
    """Draw problems a second against the beam size."""
    places = sorted({size for beams in found for size in beams.sizes})
    curves = []
    for beams in found:
        speeds = beams.shares(split, "problems_per_second")
        points = [(float(place), speeds[size]) for place, size in enumerate(places, 1) if size in speeds]
        curves.append(Curve(beams.title, points))
    heights = [value for curve in curves for _, value in curve.points]
    if not heights:
        return None
    across = Across("Beam size", tuple(f"{size:g}" for size in places))
    return draw_curves("beam-speed", "Speed", f"Problems of {split} a second", curves, (0, max(heights)), across=across)


def _describe_tests(results: Results, beams: Beams) -> list[str]:
    """Say what the paired tests between the beam sizes of a run found."""
    by_pair: dict[tuple[str, str], list[str]] = {}
    for each in comparisons_of(results, "beams"):
        if (each.get("label"), each.get("search")) == (beams.label, beams.search):
            by_pair.setdefault((as_text(each.get("a")), as_text(each.get("b"))), []).append(say_test(each))
    parts = [f"beam {a} less beam {b} is {join_words(tests)}" for (a, b), tests in by_pair.items()]
    return [f"Paired over problems, {'; '.join(parts)}."] if parts else []


def _describe_speed(beams: Beams, split: str) -> list[str]:
    """Say how much slower larger beams are than the smallest."""
    speeds = {size: speed for size, speed in beams.shares(split, "problems_per_second").items() if speed > 0}
    if len(speeds) < 2:
        return []
    first, *others = speeds
    parts = [f"{speeds[size]:.1f} at {size:g} ({speeds[size] / speeds[first]:.2f} times the speed)" for size in others]
    return [
        f"{beams.title} decodes {speeds[first]:.1f} problems of {split} a second at {first:g}, {join_words(parts)}."
    ]


def _describe_length(results: Results, beams: Beams, split: str) -> list[str]:
    """Say how long the programs are at each beam size, beside the references."""
    lengths = beams.shares(split, "n_tokens")
    if len(lengths) < 2:
        return []
    parts = join_words([f"{length:.2f} at {size:g}" for size, length in lengths.items()])
    return [f"Its programs have {parts} tokens on average{_say_reference_length(results, split)}."]


def _say_reference_length(results: Results, split: str) -> str:
    facts = as_mapping(as_mapping(as_mapping(results.get("facts")).get("splits")).get(split))
    length = as_number(facts.get("program_tokens_mean"))
    return "" if length is None else f"; the references of {split} have {length:.2f} tokens"
