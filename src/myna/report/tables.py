"""The tables of the math study, built from its results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from myna.report.document import (
    NOTHING,
    Cell,
    Column,
    Mark,
    Row,
    Table,
    number_cell,
    percent_cell,
    text_cell,
)
from myna.report.measures import (
    SUBSETS,
    Line,
    Results,
    as_mapping,
    as_number,
    as_text,
    curve_of,
    failures_of,
    interval,
    lines_of,
    run_command,
    runs_of,
    titles_of,
)
from myna.report.published import NEIGHBOURS, PUBLISHED, REFERENCE_SPEEDS, Published

_ALL_MEASURES = {
    "exact_match": "EM",
    "raw_exact_match": "Raw EM",
    "execution_accuracy": "Exec",
    "token_match": "Token",
}
_SUBSET_MEASURES = {"exact_match": "EM", "execution_accuracy": "Exec"}
_MARKS_CAPTION = "Bold: the best of its column. Underlined: the best of the trained models, where another row is best."
_FACT_TITLES = {
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
_N_LISTED = 6


def make_score_table(results: Results, split: str) -> Table | None:
    """Return every score on a split: runs, baselines, and on real test problems the published figures."""
    lines = lines_of(results, split)
    if not lines:
        return None
    published = [] if split != "test" or results.get("is_generated") else [p for p in PUBLISHED if p.is_as_assigned]
    columns = [
        Column("System", is_number=False),
        Column("Search", is_number=False),
        *(Column(title, _group_title(lines, ""), best="high") for title in _ALL_MEASURES.values()),
        *(Column(title, _group_title(lines, s), best="high") for s in SUBSETS for title in _SUBSET_MEASURES.values()),
    ]
    rows = [_score_row(line) for line in lines] + [_score_row(each.line, each.source) for each in published]
    caption = "Percent; small figures are 95 % bootstrap intervals. " + _MARKS_CAPTION
    if published:
        caption += (
            " Published rows: teacher forcing 0.6 and beam 10, or not stated; exact match and execution accuracy"
            " are un-swapped where a report had them the wrong way round."
        )
    return _finish(Table(f"scores-{split}", f"Scores on {split}", caption, tuple(columns), tuple(rows)))


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
    return Table("published", "All published figures", caption, columns, tuple(rows), is_folded=True)


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
    return _finish(Table(f"failures-{split}", f"Failures on {split}", caption, tuple(columns), tuple(rows)))


def make_setting_tables(results: Results) -> list[Table]:
    """Return the hyper-parameters: those that differ between the runs, then those that all share."""
    runs = [(run, title) for run, title in _titled_runs(results) if as_mapping(run.get("config"))]
    configs = [as_mapping(run["config"]) for run, _ in runs]
    keys = [key for key in dict.fromkeys(key for config in configs for key in config) if key not in ("name", "study")]
    different = [key for key in keys if any(config.get(key) != configs[0].get(key) for config in configs)]
    shared = [key for key in keys if key not in different]
    setting = Column("Setting", is_number=False)
    tables = []
    if different:
        columns = (setting, *(Column(title, is_number=False) for _, title in runs))
        rows = [Row((_code_cell(key), *(_code_cell(config.get(key)) for config in configs))) for key in different]
        tables.append(Table("settings-different", "Settings that differ", "", columns, tuple(rows)))
    if shared:
        title = "Settings of every run" if len(runs) > 1 else "Settings"
        columns = (setting, Column("Value", is_number=False))
        rows = [Row((_code_cell(key), _code_cell(configs[0].get(key)))) for key in shared]
        tables.append(Table("settings-shared", title, "", columns, tuple(rows), is_folded=len(runs) > 1))
    return tables


def make_fact_tables(results: Results) -> list[Table]:
    """Return the facts of the data: by split where they are given so, then the others."""
    facts = {key: value for key, value in as_mapping(results.get("facts")).items() if key != "source"}
    nested = {key: value for key, value in facts.items() if isinstance(value, Mapping)}
    tables = [_fact_table(f"facts-{i}", key, value) for i, (key, value) in enumerate(nested.items(), 1) if value]
    flat = {key: value for key, value in facts.items() if key not in nested}
    if flat:
        rows = tuple(Row((text_cell(_fact_title(key)), _fact_cell(key, value))) for key, value in flat.items())
        columns = (Column("Fact", is_number=False), Column("Value"))
        tables.append(Table("facts", "Overall", "", columns, rows))
    return tables


def make_cost_table(results: Results, split: str) -> Table | None:
    """Return what each run costs: parameters, minutes of training, speed of decoding."""
    columns = (
        Column("System", is_number=False),
        Column("Search", is_number=False),
        Column("Parameters"),
        Column("Minutes to train"),
        Column("Problems/s"),
    )
    rows, titled = [], {title: run for run, title in _titled_runs(results)}
    lines = lines_of(results, split)
    for title in dict.fromkeys([*titled, *(line.title for line in lines if line.kind == "baseline")]):
        run = titled.get(title, {})
        costs = number_cell(as_number(run.get("n_parameters"))), number_cell(as_number(run.get("minutes")), 1)
        own: list[Line | None] = [line for line in lines if line.title == title]
        for line in own or [None]:
            speed = as_number(line.score.get("problems_per_second")) if line else None
            kind = line.kind if line else "run"
            rows.append(
                Row((text_cell(title), text_cell(line.search if line else ""), *costs, _speed_cell(speed)), kind)
            )
    if all(cell.value is None for row in rows for cell in row.cells[2:]):
        return None
    beam_sizes = {as_number(line.score.get("beam_size")) for line in lines if line.kind == "run"}
    for other in (speed for speed in REFERENCE_SPEEDS if speed.beam_size in beam_sizes):
        cells = text_cell(other.source, other.note), text_cell(f"beam {other.beam_size}")
        costs = number_cell(other.n_parameters), Cell(NOTHING)
        rows.append(Row((*cells, *costs, _speed_cell(other.problems_per_second)), "reference"))
    caption = (
        f"Speed of decoding {split}. The reference speeds are of one core of a similar machine, batch 64, loading"
        " excluded: a rough comparison, since machine and load are not the same."
    )
    return _finish(Table("costs", "Training and decoding", caption, columns, tuple(rows)))


def make_curve_table(results: Results) -> Table | None:
    """Return the points of all curves, a row for each run and epoch."""
    measures = {
        "Training loss": ("train", "loss"),
        "Dev loss": ("val", "loss"),
        "Dev EM": ("val", "exact_match"),
        "Dev Exec": ("val", "execution_accuracy"),
        "Dev token": ("val", "token_match"),
        "Learning rate": ("train", "learning_rate"),
        "Minutes": ("val", "minutes"),
    }
    rows = []
    for run, title in _titled_runs(results):
        curves = [dict(curve_of(run, split, measure)) for split, measure in measures.values()]
        for epoch in sorted({epoch for curve in curves for epoch in curve}):
            values = zip(measures, (curve.get(epoch) for curve in curves), strict=True)
            cells = [_curve_cell(name, value) for name, value in values]
            rows.append(Row((text_cell(title), number_cell(epoch), *cells)))
    if not rows:
        return None
    columns = (Column("System", is_number=False), Column("Epoch"), *map(Column, measures))
    caption = "Losses in nats a token, scores in percent. Dev is decoded greedily."
    return _finish(Table("curve-points", "The points of these curves", caption, columns, tuple(rows), is_folded=True))


def make_run_table(results: Results) -> Table | None:
    """Return the command, seed and minutes of each run."""
    rows = [
        Row(
            (
                text_cell(title),
                number_cell(as_number(run.get("seed"))),
                number_cell(as_number(run.get("minutes")), 1),
                Cell(run_command(results, run), run_command(results, run), is_code=True),
            )
        )
        for run, title in _titled_runs(results)
    ]
    columns = (Column("Run", is_number=False), Column("Seed"), Column("Minutes"), Column("Command", is_number=False))
    return Table("runs", "Runs", "", columns, tuple(rows)) if rows else None


def make_environment_table(results: Results) -> Table | None:
    """Return the versions and the machine."""
    environment = as_mapping(results.get("environment"))
    flat = {key: value for key, value in environment.items() if not isinstance(value, Mapping) and key != "command"}
    flat |= as_mapping(environment.get("packages"))
    rows = tuple(Row((text_cell(as_text(key)), text_cell(as_text(value)))) for key, value in flat.items())
    columns = (Column("What", is_number=False), Column("Version", is_number=False))
    return Table("environment", "Versions and machine", "", columns, rows) if rows else None


def mark_best(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[Row, ...]:
    """Mark the best cells of each column that has a good end, as shown: equal figures share the mark.

    Where the best is not a trained model's, the best of those is marked too. A column that has one figure,
    or the same in every row, has no best.
    """
    marked = [list(row.cells) for row in rows]
    runs = [cells for cells, row in zip(marked, rows, strict=True) if row.kind == "run"]
    for index, column in enumerate(columns):
        if column.best:
            _mark_column(runs, index, column, "best_run")
            _mark_column(marked, index, column, "best")
    return tuple(Row(tuple(cells), row.kind) for cells, row in zip(marked, rows, strict=True))


def _mark_column(rows: Sequence[list[Cell]], index: int, column: Column, mark: Mark) -> None:
    """Mark the best cells of one column, in place."""
    values = [cells[index].value for cells in rows]
    figures = [value for value in values if isinstance(value, int | float)]
    if len(set(figures)) > 1:
        best = max(figures) if column.best == "high" else min(figures)
        for cells, value in zip(rows, values, strict=True):
            if value == best:
                cells[index] = replace(cells[index], mark=mark)


def _finish(table: Table) -> Table:
    """Drop the columns that hold nothing, and mark the best cells of the others."""
    kept = [i for i, _ in enumerate(table.columns) if any(row.cells[i].text != NOTHING for row in table.rows)]
    columns = tuple(table.columns[i] for i in kept)
    rows = [Row(tuple(row.cells[i] for i in kept), row.kind) for row in table.rows]
    return replace(table, columns=columns, rows=mark_best(columns, rows))


def _titled_runs(results: Results) -> list[tuple[Mapping[str, Any], str]]:
    """Return the runs with their titles."""
    runs = runs_of(results)
    return list(zip(runs, titles_of(runs), strict=True))


def _score_row(line: Line, source: str = "") -> Row:
    """Return a line of the score table."""
    cells = [percent_cell(line.share(measure), interval(line.score, measure)) for measure in _ALL_MEASURES]
    cells += [percent_cell(line.share(measure, subset)) for subset in SUBSETS for measure in _SUBSET_MEASURES]
    return Row((text_cell(line.title, source), text_cell(line.search), *cells), line.kind)


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


def _fact_table(table_id: str, key: str, facts: Mapping[str, Any]) -> Table:
    """Return a table of nested facts: a column for each part, such as a split, where there are parts."""
    parts = {name: value for name, value in facts.items() if isinstance(value, Mapping)}
    if not parts:
        parts = {"Value": facts}
    keys = dict.fromkeys(key for values in parts.values() for key in values)
    columns = (Column("Fact", is_number=False), *(Column(as_text(name)) for name in parts))
    rows = tuple(
        Row((text_cell(_fact_title(k)), *(_fact_cell(k, values.get(k)) for values in parts.values()))) for k in keys
    )
    return Table(table_id, _fact_title(key), "", columns, rows)


def _fact_title(key: str) -> str:
    """Return a fact's name for people."""
    percent = " (%)" if _is_share(key) else ""
    return _FACT_TITLES.get(key) or as_text(key).replace("_", " ").capitalize() + percent


def _is_share(key: str) -> bool:
    """Return whether a fact is a share from 0 to 1."""
    return key.endswith(("_share", "_ratio")) or key == "references_without_last_bar"


def _fact_cell(key: str, value: Any) -> Cell:
    """Return a fact: a share in percent, a number, a short list or words."""
    if isinstance(value, list | tuple):
        names = ", ".join(as_text(item) for item in value[:_N_LISTED])
        rest = f" and {len(value) - _N_LISTED} more" if len(value) > _N_LISTED else ""
        return Cell(f"{len(value)}", len(value), names + rest)
    number = as_number(value)
    if number is None:
        return text_cell(as_text(value))
    if _is_share(key):
        return percent_cell(number)
    return number_cell(number, 0 if isinstance(value, int) else 1)


def _code_cell(value: Any) -> Cell:
    """Return a setting's name or value as it is written in a config."""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else as_text(value)
    return Cell(text or NOTHING, as_number(value) if as_number(value) is not None else text or None, is_code=bool(text))


def _speed_cell(speed: float | None) -> Cell:
    """Return problems a second: more decimals for the slow."""
    return number_cell(speed, 0 if speed is None or speed >= 100 else 1 if speed >= 1 else 3)


def _curve_cell(name: str, value: float | None) -> Cell:
    """Return a curve's value in the unit of its column."""
    if value is None or name in ("Dev EM", "Dev Exec", "Dev token"):
        return percent_cell(value)
    if name == "Learning rate":
        return Cell(f"{value:.2e}", value)
    return number_cell(value, 1 if name == "Minutes" else 3)
