"""The tables that every report has: settings, the points of curves, runs, environment; and how one is finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from myna.report.document import NOTHING, Cell, Column, Mark, Row, Table, number_cell, text_cell
from myna.report.results import Points, Results, as_mapping, as_number, as_text, run_command, titled_runs

MARKS_CAPTION = "Bold: the best of its column. Underlined: the best of the trained models, where another row is best."

Config = Mapping[str, Any]
NAMES_OF_RUN = ("name", "study")
"""What a config says that is no setting."""


def describe_rest(config: Config, *but: str) -> str:
    """Return all settings but some and the seed as one text: runs that have it in common differ in those alone."""
    left_out = (*but, "training.seed", *NAMES_OF_RUN)
    return repr({key: as_text(value) for key, value in sorted(config.items()) if key not in left_out})


def make_setting_tables(configs: Sequence[tuple[str, Config]]) -> list[Table]:
    """Return the hyper-parameters: those that differ between titled configs, then those that all share."""
    keys = [key for key in dict.fromkeys(key for _, config in configs for key in config) if key not in NAMES_OF_RUN]
    first = configs[0][1] if configs else {}
    different = [key for key in keys if any(config.get(key) != first.get(key) for _, config in configs)]
    shared = [key for key in keys if key not in different]
    setting = Column("Setting", is_number=False)
    tables = []
    if different:
        columns = (setting, *(Column(title, is_number=False) for title, _ in configs))
        rows = [Row((code_cell(key), *(code_cell(config.get(key)) for _, config in configs))) for key in different]
        tables.append(Table("settings-different", "Settings that differ", "", columns, tuple(rows)))
    if shared:
        title = "Settings of every run" if len(configs) > 1 else "Settings"
        columns = (setting, Column("Value", is_number=False))
        rows = [Row((code_cell(key), code_cell(first.get(key)))) for key in shared]
        tables.append(Table("settings-shared", title, "", columns, tuple(rows), is_folded=len(configs) > 1))
    return tables


def make_point_table(
    titled: Sequence[tuple[str, Mapping[str, Points]]], formats: Mapping[str, Callable[[float | None], Cell]], note: str
) -> Table | None:
    """Return the points of curves, a row for each title and epoch, folded.

    Args:
        titled: curves by the names of their columns, each set under a title.
        formats: of each column, how its values are shown.
        note: the caption.
    """
    rows = []
    for title, curves in titled:
        by_epoch = {name: dict(points) for name, points in curves.items()}
        for epoch in sorted({epoch for points in by_epoch.values() for epoch in points}):
            cells = [show(by_epoch.get(name, {}).get(epoch)) for name, show in formats.items()]
            rows.append(Row((text_cell(title), number_cell(epoch), *cells)))
    if not rows:
        return None
    columns = (Column("System", is_number=False), Column("Epoch"), *map(Column, formats))
    return finish(Table("curve-points", "The points of these curves", note, columns, tuple(rows), is_folded=True))


def rate_cell(rate: float | None) -> Cell:
    """Return a learning rate."""
    return Cell(NOTHING) if rate is None else Cell(f"{rate:.2e}", rate)


def loss_cell(loss: float | None) -> Cell:
    """Return a loss."""
    return number_cell(loss, 3)


def minutes_cell(minutes: float | None) -> Cell:
    """Return minutes."""
    return number_cell(minutes, 1)


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
        for run, title in titled_runs(results)
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


def finish(table: Table) -> Table:
    """Drop the columns that hold nothing, and mark the best cells of the others."""
    return drop_empty_columns(replace(table, rows=mark_best(table.columns, table.rows)))


def drop_empty_columns(table: Table) -> Table:
    """Drop the columns that hold nothing."""
    kept = [i for i, _ in enumerate(table.columns) if any(row.cells[i].text != NOTHING for row in table.rows)]
    rows = tuple(Row(tuple(row.cells[i] for i in kept), row.kind) for row in table.rows)
    return replace(table, columns=tuple(table.columns[i] for i in kept), rows=rows)


def code_cell(value: Any) -> Cell:
    """Return a setting's name or value as it is written in a config."""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else as_text(value)
    return Cell(text or NOTHING, as_number(value) if as_number(value) is not None else text or None, is_code=bool(text))
