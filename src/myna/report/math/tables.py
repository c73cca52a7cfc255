"""The tables of a math study, built from its results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from myna.report.document import NOTHING, Cell, Column, Row, Table, number_cell, percent_cell, text_cell
from myna.report.math.measures import SPLITS, SUBSETS, Line, failures_of, lines_of, main_score
from myna.report.math.published import NEIGHBOURS, PUBLISHED, REFERENCE_SPEEDS, Published
from myna.report.results import Results, as_mapping, as_number, as_text, curve_of, interval, runs_of, titled_runs
from myna.report.tables import MARKS_CAPTION, finish, loss_cell, make_point_table, minutes_cell, rate_cell

_ALL_MEASURES = {
    "exact_match": "EM",
    "raw_exact_match": "Raw EM",
    "execution_accuracy": "Exec",
    "token_match": "Token",
}
_SEED_MEASURES = {"exact_match": "EM", "execution_accuracy": "Exec", "token_match": "Token"}
INTERVALS = (
    "a mean over seeds with its 95 % interval over seeds (Student's t), or with one seed the 95 % bootstrap interval"
    " over problems."
)
_SUBSET_MEASURES = {"exact_match": "EM", "execution_accuracy": "Exec"}
FACT_TITLES = {
    "distinct_training_texts": "Distinct masked training texts",
    "texts_with_several_programs": "… of them with more than one program",
    "words": "Distinct training words",
    "words_that_occur_twice": "… of them at least twice",
    "program_tokens": "Distinct program tokens in training",
    "problems": "Problems",
    "seen_share": "Seen: masked text also in training (%)",
    "words_mean": "Words a problem, mean",
    "words_longest": "Words a problem, longest",
    "program_tokens_mean": "Tokens a program, mean",
    "program_tokens_longest": "Tokens a program, longest",
    "numbers_mean": "Numbers a problem, mean",
    "unknown_word_share": "Words not in training (%)",
    "tokens_never_seen": "Program tokens not in training",
    "references_without_last_bar": "References without the last | (%)",
}
_CURVES = {
    "Training loss": ("train", "loss"),
    "Dev loss": ("val", "loss"),
    "Dev EM": ("val", "exact_match"),
    "Dev Exec": ("val", "execution_accuracy"),
    "Dev token": ("val", "token_match"),
    "Learning rate": ("train", "learning_rate"),
    "Minutes": ("val", "minutes"),
}
"""Columns of the points of curves: where each is found."""
_FORMATS: dict[str, Callable[[float | None], Cell]] = {
    "loss": loss_cell,
    "learning_rate": rate_cell,
    "minutes": minutes_cell,
}
"""How measures are shown that are no shares."""


def make_score_table(results: Results, split: str) -> Table | None:
    """Return every score on a split: runs, baselines, and on real test problems the published figures."""
    lines = lines_of(results, split)
    if not lines:
        return None
    published = [] if split != "test" or results.get("is_generated") else _published_beside(results)
    columns = [
        Column("System", is_number=False),
        Column("Seeds"),
        Column("Search", is_number=False),
        *(Column(title, _group_title(lines, ""), best="high") for title in _ALL_MEASURES.values()),
        *(Column(title, _group_title(lines, s), best="high") for s in SUBSETS for title in _SUBSET_MEASURES.values()),
    ]
    rows = [_score_row(line) for line in lines] + [_score_row(each.line, each.source) for each in published]
    caption = f"Percent; {INTERVALS} {MARKS_CAPTION}"
    if published:
        caption += (
            " Published rows: teacher forcing 0.6 and beam 10, or not stated; exact match and execution accuracy"
            " are un-swapped where a report had them the wrong way round."
        )
    return finish(Table(f"scores-{split}", f"Scores on {split}", caption, tuple(columns), tuple(rows)))


def make_published_table() -> Table:
    """Return every published figure on the course's data, and the neighbours on other splits."""
    columns = (
        Column("Source", is_number=False),
        Column("Model", is_number=False),
        Column("Teacher forcing"),
        Column("Beam"),
        Column("EM"),
        Column("Exec"),
        Column("Note", is_number=False),
    )
    caption = (
        "Percent. The rows marked MathQA are on the full data set under other splits: neighbours, not the same measure."
    )
    rows = [_published_row(each) for each in (*PUBLISHED, *NEIGHBOURS)]
    return Table("published-table", "All published figures", caption, columns, tuple(rows), is_folded=True)


def make_failure_table(results: Results, split: str) -> Table | None:
    """Return how many predictions of each line have no value, by reason."""
    lines = [line for line in lines_of(results, split) if isinstance(line.score.get("failures"), Mapping)]
    totals = Counter[str]()
    for line in lines:
        totals.update(failures_of(line))
    if not lines:
        return None
    columns = [
        Column("System", is_number=False),
        Column("Search", is_number=False),
        Column("All"),
        Column("Share (%)", best="low"),
        *(Column(reason, "By reason") for reason, _ in totals.most_common()),
    ]
    rows = []
    for line in lines:
        counts, n = failures_of(line), as_number(line.score.get("n"))
        n_failures = sum(counts.values())
        cells = [number_cell(n_failures), percent_cell(n_failures / n if n else None)]
        cells += [number_cell(counts.get(reason, 0)) for reason, _ in totals.most_common()]
        rows.append(Row((text_cell(line.title), text_cell(line.search), *cells), line.kind))
    caption = "Predicted programs that have no value, so that they cannot be right. Bold: the fewest."
    return finish(Table(f"failures-{split}", f"Failures on {split}", caption, tuple(columns), tuple(rows)))


def make_cost_table(results: Results, split: str) -> Table | None:
    """Return what each run costs: parameters, minutes of training, speed of decoding."""
    columns = (
        Column("System", is_number=False),
        Column("Search", is_number=False),
        Column("Parameters"),
        Column("Minutes to train"),
        Column("Problems/s"),
    )
    rows, titled = [], {title: run for run, title in titled_runs(results)}
    lines = lines_of(results, split)
    for title in dict.fromkeys([*titled, *(line.title for line in lines if line.kind == "baseline")]):
        run = titled.get(title, {})
        costs = number_cell(as_number(run.get("n_parameters"))), number_cell(as_number(run.get("minutes")), 1)
        own: list[Line | None] = [line for line in lines if line.title == title]
        for line in own or [None]:
            speed = as_number(line.score.get("problems_per_second")) if line else None
            kind = line.kind if line else "run"
            rows.append(
                Row((text_cell(title), text_cell(line.search if line else ""), *costs, speed_cell(speed)), kind)
            )
    if all(cell.value is None for row in rows for cell in row.cells[2:]):
        return None
    beam_sizes = {as_number(line.score.get("beam_size")) for line in lines if line.kind == "run"}
    for other in (speed for speed in REFERENCE_SPEEDS if speed.beam_size in beam_sizes):
        cells = text_cell(other.source, other.note), text_cell(f"beam {other.beam_size}")
        costs = number_cell(other.n_parameters), Cell(NOTHING)
        rows.append(Row((*cells, *costs, speed_cell(other.problems_per_second)), "reference"))
    caption = (
        f"Means over seeds where there are several. Speed of decoding {split}. The reference speeds are of one core of"
        " a similar machine, batch 64, loading"
        " excluded: a rough comparison, since machine and load are not the same."
    )
    return finish(Table("costs", "Training and decoding", caption, columns, tuple(rows)))


def make_curve_table(results: Results) -> Table | None:
    """Return the points of all curves, a row for each run and epoch."""
    titled = [
        (title, {name: curve_of(run, *where) for name, where in _CURVES.items()}) for run, title in titled_runs(results)
    ]
    formats = {name: _FORMATS.get(where[1], percent_cell) for name, where in _CURVES.items()}
    note = (
        "Losses in nats a token, scores in percent; means over seeds where there are several. Dev is decoded greedily."
    )
    return make_point_table(titled, formats, note)


def make_seed_table(results: Results) -> Table | None:
    """Return the scores of each single training, where a setting has several."""
    labels = Counter(as_text(run.get("label")) for run in runs_of(results))
    if all(count == 1 for count in labels.values()):
        return None
    columns = [Column("System", is_number=False), Column("Search", is_number=False)]
    columns += [Column(title, split.capitalize()) for split in SPLITS for title in _SEED_MEASURES.values()]
    rows = []
    for run, title in titled_runs(results):
        scores = [main_score(run, split) for split in SPLITS]
        search = next((line.search for score in scores if score and (line := Line(title, "run", score))), "")
        cells = [percent_cell(as_number(score.get(m)), interval(score, m)) for score in scores for m in _SEED_MEASURES]
        rows.append(Row((text_cell(title), text_cell(search), *cells), "run"))
    if all(cell.value is None for row in rows for cell in row.cells[2:]):
        return None
    caption = "Percent; small figures are 95 % bootstrap intervals over problems."
    return finish(Table("seed-table", "Each training", caption, tuple(columns), tuple(rows), is_folded=True))


def _published_beside(results: Results) -> list[Published]:
    """Return the published figures of the models that a study has, of all where none says which it is."""
    models = {as_text(as_mapping(run.get("config")).get("model.type")) for run in runs_of(results)} - {""}
    return [
        each
        for each in PUBLISHED
        if each.is_as_assigned and (not models or each.model in models or each.kind == "reference")
    ]


def _score_row(line: Line, source: str = "") -> Row:
    """Return a line of the score table."""
    cells = [percent_cell(line.share(measure), interval(line.score, measure)) for measure in _ALL_MEASURES]
    cells += [percent_cell(line.share(measure, subset)) for subset in SUBSETS for measure in _SUBSET_MEASURES]
    return Row((text_cell(line.title, source), count_seeds(line.n_seeds), text_cell(line.search), *cells), line.kind)


def _group_title(lines: Sequence[Line], subset: str) -> str:
    """Return the header over a subset's columns, with its size where the lines agree on it."""
    sizes = {as_number((as_mapping(line.score.get(subset)) if subset else line.score).get("n")) for line in lines}
    sizes -= {None}
    size = f", n = {sizes.pop():,.0f}" if len(sizes) == 1 else ""
    return (subset or "all").capitalize() + size


def _published_row(published: Published) -> Row:
    """Return a published figure with all that is stated of it."""
    cells = (
        text_cell(published.source),
        text_cell(published.model),
        number_cell(published.teacher_forcing, 1),
        number_cell(published.beam_size),
        percent_cell(published.exact_match),
        percent_cell(published.execution_accuracy),
        text_cell(published.note),
    )
    return Row(cells)


def count_seeds(n: int | None) -> Cell:
    """Return how many trainings a figure is the mean of; None is of no training."""
    return Cell(NOTHING) if n is None else Cell("one seed" if n == 1 else f"{n} seeds", n)


def speed_cell(speed: float | None) -> Cell:
    """Return problems a second: more decimals for the slow."""
    return number_cell(speed, 0 if speed is None or speed >= 100 else 1 if speed >= 1 else 3)
