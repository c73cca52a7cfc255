"""Which sections a report has, by kind of study; each is built from the study's results."""

from __future__ import annotations

from collections.abc import Callable

from myna.report.birds.sections import SECTIONS as BIRDS_SECTIONS
from myna.report.document import Report, Section
from myna.report.math.sections import SECTIONS as MATH_SECTIONS
from myna.report.results import Results, as_mapping, as_number, as_text

SECTIONS: dict[str, tuple[Callable[[Results], Section | None], ...]] = {"math": MATH_SECTIONS, "birds": BIRDS_SECTIONS}


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
