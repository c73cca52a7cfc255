from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from myna.report.document import Command
from myna.report.outline import build_report
from myna.report.render import render

Results = dict[str, Any]


@pytest.fixture
def search() -> Results:
    """Three trials of one setting, of which one was pruned."""
    trials = [
        {"number": i, "run": f"grid-{i}", "settings": {"model.dropout": dropout}, "state": state, "best": best,
         "best_epoch": epochs, "epochs": epochs, "planned_epochs": 2, "minutes": 4.5, "command": f"train {i}",
         "values": [[epoch, best * epoch / epochs] for epoch in range(1, epochs + 1)]}
        for i, dropout, state, best, epochs in (
            (1, 0.1, "finished", 0.5, 2), (2, 0.3, "finished", 0.4, 2), (3, 0.3, "pruned", 0.1, 1)
        )
    ]  # fmt: skip
    return {
        "study": "math", "name": "grid", "title": "What matters", "source": "the problems", "minutes": 0.1,
        "command": "myna study grid g", "metric": "exact_match", "n_examples": 1000, "sampler": "random",
        "config": "c.toml", "size": 2, "margin": 0.03, "pruner": "median", "space": {"model.dropout": [0.1, 0.3]},
        "trials": trials, "overrides": [], "environment": {"myna": "0.1.0"},
    }  # fmt: skip


def test_a_search_alone_has_a_report(search: Results, tmp_path: Path) -> None:
    page = render([search], tmp_path, "grid")
    assert page == tmp_path / "grid.html"
    text = (tmp_path / "grid.md").read_text(encoding="utf-8")
    # Of the trainings, not of the command that wrote this.
    assert "14 minutes of training" in text
    assert "Best of 2 finished trials: trial 1 with 50.0 % exact match on dev" in text
    assert [section.section_id for section in build_report([search]).sections] == [
        "summary",
        "trials",
        "importance",
        "curves",
        "reproduce",
    ]


def test_a_search_is_a_chapter_among_studies(search: Results, small_study: Any) -> None:
    study = small_study() | {"runs": []}
    report = build_report([study, {**study, "name": "other", "title": "Another"}, search])
    titles = [(chapter.part, chapter.title) for chapter in report.chapters]
    assert titles[2:] == [
        ("Part 2: word problems", "What its studies share"),
        ("Part 2: word problems", "A small study"),
        ("Part 2: word problems", "Another"),
        ("Part 2: word problems", "What matters"),
        ("", ""),
    ]
    ids = [section.section_id for section in report.sections]
    # What the studies share does not depend on the search, which has no facts of the data.
    assert {"math-data", "grid-trials", "grid-importance", "grid-curves"} <= set(ids)
    assert "Best of 2 finished trials" in str(report.sections[0])
    assert Command("myna report make small other grid") in report.sections[-1].blocks
    assert Command("myna study grid g") in report.sections[-1].blocks
    assert sum("myna study grid g" in str(section) for section in report.sections) == 2


def test_trainings_that_several_studies_have_count_once(search: Results) -> None:
    run = {"name": "grid-1", "label": "a", "minutes": 4.5}
    study = {"study": "math", "name": "s", "runs": [run, {"name": "more", "minutes": 6.5}]}
    assert "20 minutes of training" in build_report([study, search]).subtitle
