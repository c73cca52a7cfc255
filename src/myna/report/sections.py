"""The sections that every report has, and how a section is put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from myna.report.document import Block, Command, Missing, Paragraph, Section, merge_missing
from myna.report.facts import make_fact_tables
from myna.report.results import (
    Results,
    as_mapping,
    as_mappings,
    as_text,
    measure_command,
    run_command,
    runs_of,
    study_command,
    titled_runs,
)
from myna.report.tables import Config, make_environment_table, make_run_table, make_setting_tables


def build_data(results: Results, titles: Mapping[str, str], assignment: str) -> Section:
    """Return where the data is from and the facts of it; `titles` are as `make_fact_tables` takes them."""
    source = as_text(results.get("source"))
    blocks: list[Block] = [Paragraph(f"Source: {source}.")] if source else []
    blocks += make_fact_tables(results, titles) or [Missing("the facts of the data", study_command(results))]
    return Section("data", "Data", tuple(blocks), assignment)


def build_settings(results: Results, configs: Sequence[tuple[str, Config]], assignment: str) -> Section:
    """Return the hyper-parameters of titled configs, and which runs have none."""
    missing = [
        Missing(f"the settings of {title}", run_command(results, run))
        for run, title in titled_runs(results)
        if not as_mapping(run.get("config"))
    ]
    tables = make_setting_tables(configs)
    return collect("settings", "Hyper-parameters", tables, missing or no_runs(results), assignment)


def build_curves(results: Results, blocks: Sequence[Block | None], assignment: str) -> Section:
    """Return what shows the curves, and which runs have none."""
    missing = [
        Missing(f"the curves of {title}", run_command(results, run))
        for run, title in titled_runs(results)
        if not as_mappings(run.get("curves"))
    ]
    return collect("curves", "Learning curves", blocks, missing or no_runs(results), assignment)


def build_reproduction(results: Results) -> Section:
    """Return the commands, the versions and the machine."""
    intro: tuple[Block, ...] = (
        Paragraph("The whole study, with this report at its end, is made by one command:"),
        Command(study_command(results)),
    )
    if results.get("is_loose"):
        intro = (Paragraph("These runs were made one by one, each by its own command:"),)
    missing = [] if results.get("environment") else [Missing("the versions and the machine", study_command(results))]
    tables = make_run_table(results), make_environment_table(results)
    return collect("reproduce", "How to reproduce", (*intro, *tables), missing)


def collect(
    section_id: str, title: str, blocks: Sequence[Block | None], missing: Sequence[Missing], assignment: str = ""
) -> Section:
    """Return a section of the blocks that there are, and what is missing after them."""
    present = [block for block in blocks if block is not None]
    return Section(section_id, title, (*present, *merge_missing(missing)), assignment)


def no_runs(results: Results) -> list[Missing]:
    """Return what to say where a study has no run at all."""
    return [] if runs_of(results) else [Missing("the runs", study_command(results))]


def missing_scores_at_all(results: Results, split: str) -> Missing:
    """Return what to say where no run has a score."""
    run = next(iter(runs_of(results)), {})
    return Missing("the scores of the trained models", measure_command(results, run, split))
