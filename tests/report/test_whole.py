"""A report of several studies of both halves."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from myna.report.document import Chapter, Notes, Panel, Table
from myna.report.drawing import prefix_ids
from myna.report.outline import build_report
from myna.report.render import render

Results = dict[str, Any]


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes the time."""
    for place in ("figures.draw_curves", "figures.draw_dots", "mistakes.draw_curves", "mistakes.draw_dots"):
        monkeypatch.setattr(f"myna.report.math.{place}", lambda name, *_, **__: Panel(name, "", "<svg/>"))
    for place in ("attention.draw_curves", "attention._draw_map"):
        monkeypatch.setattr(f"myna.report.math.{place}", lambda name, *_, **__: Panel(name, "", "<svg/>"))


def bird_study(name: str, **more: Any) -> Results:
    """A study of birds with nothing to draw."""
    facts = {"splits": {"train": {"photos": 5}, "val": {"photos": 2}}}
    score = {"accuracy": 0.5, "macro_f1": 0.4, "n": 10}
    run = {
        "name": f"{name}-bn-seed0",
        "label": "bn",
        "seed": 0,
        "config": {"model.norm": "bn"},
        "scores": {"val": score, "test": score},
    }
    return {
        "study": "birds",
        "name": name,
        "title": f"Study of {name}",
        "source": "the photos",
        "facts": facts,
        "runs": [run],
        "environment": {"myna": "0.1.0", "commit": "abc"},
        "minutes": 10.0,
    } | more


def chapters(report_of: list[Results]) -> tuple[Chapter, ...]:
    return build_report(report_of).chapters


def test_birds_come_first_and_what_studies_share_is_told_once(results: Results, undrawn: None) -> None:
    found = chapters([results, bird_study("norms"), bird_study("batches")])
    assert [(chapter.part, chapter.title) for chapter in found] == [
        ("", ""),
        ("Part 1: birds", "What its studies share"),
        ("Part 1: birds", "Study of norms"),
        ("Part 1: birds", "Study of batches"),
        ("Part 2: word problems", "A small study"),
        ("", ""),
    ]
    ids = [
        section.section_id for section in build_report([results, bird_study("norms"), bird_study("batches")]).sections
    ]
    assert ids[0] == "summary"
    assert ids[-1] == "reproduce"
    assert ids[1:3] == ["birds-data", "birds-metrics"]
    assert not {"norms-data", "batches-data", "norms-summary", "norms-reproduce"} & set(ids)
    assert {"norms-scores", "batches-scores", "small-data", "small-scores", "small-mistakes"} <= set(ids)


def test_studies_of_other_data_tell_their_own(undrawn: None) -> None:
    ids = [s.section_id for s in build_report([bird_study("a"), bird_study("b", source="other photos")]).sections]
    assert {"a-data", "b-data", "birds-metrics"} <= set(ids)


def test_the_whole_stands_in_one_page_with_unique_ids(results: Results, tmp_path: Path) -> None:
    report = render([results, {**results, "name": "small 2"}, bird_study("norms")], tmp_path)
    html, markdown = report.read_text(encoding="utf-8"), (tmp_path / "report.md").read_text(encoding="utf-8")
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]+)', html))
    assert referred <= set(ids)
    assert set(re.findall(r"\]\(#([^)]+)\)", markdown)) == set(re.findall(r'<a id="([^"]+)"', markdown))
    linked = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", markdown)
    assert sorted(linked) == sorted(f"figures/{path.name}" for path in (tmp_path / "figures").iterdir())
    # The name of a drawing is that of its study and of what it shows.
    assert {"figures/small-dev-exact-match.svg", "figures/small-2-dev-exact-match.svg"} <= set(linked)
    levels = [int(level) for level in re.findall(r"<h(\d)", html)]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_studies_of_one_name_are_told_apart(undrawn: None) -> None:
    report = build_report([bird_study("a b"), bird_study("a_b"), bird_study("a-b")])
    ids = [section.section_id for section in report.sections]
    assert {"a-b-scores", "a-b-2-scores", "a-b-3-scores"} <= set(ids)


def test_the_summary_says_nothing_twice(undrawn: None) -> None:
    leak = {"copies": {"leaked": {"val": {"photos": 1, "share": 0.1}}}}
    report = build_report([bird_study("a", facts=leak), bird_study("b", facts=leak)])
    notes = [block for block in report.sections[0].blocks if isinstance(block, Notes)]
    sentences = [sentence for block in notes for sentence in block.sentences]
    assert sum(sentence.startswith("Leaks") for sentence in sentences) == 1
    assert [block.title for block in notes if block.title] == ["Study of a", "Study of b"]


def test_all_commands_stand_at_the_end(results: Results, undrawn: None) -> None:
    report = build_report([results, bird_study("norms"), bird_study("batches")])
    end = report.sections[-1]
    assert end.section_id == "reproduce"
    text = str(end)
    assert "myna report make small norms batches" in text
    assert results["command"] in text
    environments = [b for b in end.blocks if isinstance(b, Table) and b.table_id.endswith("environment")]
    # Those of the two studies of birds are the same.
    assert [table.table_id for table in environments] == ["norms-environment", "small-environment"]


def test_a_half_without_a_study_names_the_command(undrawn: None) -> None:
    found = chapters([bird_study("a"), bird_study("b")])
    assert found[-2].part == "Part 2: word problems"
    assert "myna study run configs/studies/quick-math.toml" in str(found[-2].sections)


def test_only_what_is_generated_is_said_to_be(results: Results, undrawn: None) -> None:
    banner = build_report([results, bird_study("a", is_generated=True)]).banner
    assert banner.startswith("Study of a: made from a GENERATED sample")
    assert build_report([results, bird_study("a")]).banner == ""


def test_loose_runs_name_their_own_commands(undrawn: None) -> None:
    loose = bird_study("birds-runs", is_loose=True)
    loose["runs"][0] |= {"command": "myna birds train x.toml", "measure_commands": {"train": "myna birds eval x"}}
    report = build_report([loose, bird_study("a")])
    assert "myna report make birds-runs-bn-seed0 a" in str(report.sections[-1])
    missing = [block for block in report.blocks if block.kind == "missing"]
    assert any(block.what == "the scores of bn on train" and block.command == "myna birds eval x" for block in missing)
    alone = build_report([loose]).sections[-1]
    assert "one by one" in str(alone)
    assert "myna birds train x.toml" in str(alone)


def test_a_report_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="studies: none"):
        build_report([])


def test_ids_of_a_drawing_get_the_prefix_where_they_are_referred_to() -> None:
    svg = '<svg><path id="a" /><use href="#a" clip-path="url(#a)" /><text>id="a"</text></svg>'
    expected = '<svg><path id="x-a" /><use href="#x-a" clip-path="url(#x-a)" /><text>id="a"</text></svg>'
    assert prefix_ids(svg, "x-") == expected


def test_a_single_study_is_the_special_case(small_study: Callable[[], Results], undrawn: None) -> None:
    report = build_report([small_study()])
    assert [chapter.title for chapter in report.chapters] == [""]
    assert report.title == "A small study"


def test_published_figures_stand_once(small_study: Callable[[], Results], undrawn: None) -> None:
    ids = [section.section_id for section in build_report([small_study(), small_study() | {"name": "other"}]).sections]
    assert [each for each in ids if each.endswith("published")] == ["math-published"]


def test_what_is_told_of_the_runs_of_a_larger_study_is_not_told_again(
    small_study: Callable[[], Results], undrawn: None
) -> None:
    part = small_study() | {"name": "part", "title": "A part"}
    part["runs"] = part["runs"][:1]
    sections = {section.section_id: section for section in build_report([part, small_study()]).sections}
    assert {"small-curves", "small-settings", "small-mistakes", "part-scores", "part-cost"} <= set(sections)
    assert not {"part-curves", "part-settings", "part-mistakes", "part-observations"} & set(sections)
    assert "“A small study”" in str(sections["part-elsewhere"])
    assert "Learning curves" in str(sections["part-elsewhere"])
    part["runs"][0]["name"] = "another"
    ids = [section.section_id for section in build_report([part, small_study()]).sections]
    assert "part-curves" in ids
    assert "part-elsewhere" not in ids
