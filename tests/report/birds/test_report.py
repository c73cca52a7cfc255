"""The whole report of a birds study."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from myna.report.document import Figure, Panel
from myna.report.outline import build_report
from myna.report.render import render

Results = dict[str, Any]

SECTION_IDS = (
    "summary",
    "data",
    "metrics",
    "curves",
    "scores",
    "sanity",
    "comparisons",
    "classes",
    "gradcam",
    "observations",
    "settings",
    "cost",
    "reproduce",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, norm_study: Callable[[], Results]) -> tuple[Path, str, str]:
    """The report of the small study of all norms: its folder, HTML and Markdown."""
    html = render([norm_study()], tmp_path_factory.mktemp("report"))
    return html.parent, html.read_text(encoding="utf-8"), (html.parent / "report.md").read_text(encoding="utf-8")


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes the time, and draws the same few curves each time."""
    for module in ("figures", "sanity"):
        monkeypatch.setattr(f"myna.report.birds.{module}.draw_curves", lambda name, *_: Panel(name, "", "<svg/>"))
    empty = Figure("confusion", "", "", ())
    monkeypatch.setattr("myna.report.birds.sections.draw_confusion_figure", lambda *_: empty)


def test_all_sections_are_there_in_order(whole: tuple[Path, str, str]) -> None:
    assert re.findall(r'<section id="([\w-]+)"', whole[1]) == list(SECTION_IDS)
    assert re.findall(r'<a id="([\w-]+)"', whole[2]) == list(SECTION_IDS)


def test_batch_sizes_have_a_section_of_their_own(batches: Results, undrawn: None) -> None:
    ids = [section.section_id for section in build_report([batches]).sections]
    assert "batch-size" in ids
    assert "sanity" not in ids


def test_ids_are_unique_and_drawings_are_there(whole: tuple[Path, str, str]) -> None:
    folder, html, markdown = whole
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    linked = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", markdown)
    # Four measures of val and of train, three losses, seven gaps, two of the sanity check, the confusion matrix.
    assert html.count("<svg") == 4 + 4 + 3 + 7 + 2 + 1
    # Three photos of a confused pair, and three maps.
    assert html.count("<img") == 3 + 3
    assert len(linked) == html.count("<svg") + html.count("<img")
    assert sorted(linked) == sorted(f"figures/{path.name}" for path in (folder / "figures").iterdir())


def test_figures_can_be_folded_in_both(whole: tuple[Path, str, str]) -> None:
    for text in whole[1:]:
        assert re.search(r"<details>\s*<summary>Scores on train by epoch</summary>", text)
        assert not re.search(r"<details>\s*<summary>Scores on val by epoch</summary>", text)


def missing_items(results: Results) -> list[tuple[str, str, str]]:
    """What a report says is missing: section, what, command."""
    sections = build_report([results]).sections
    return [(s.section_id, b.what, b.command) for s in sections for b in s.blocks if b.kind == "missing"]


def test_nothing_is_missing_from_a_whole_study(results: Results, batches: Results, undrawn: None) -> None:
    assert missing_items(results) == []
    assert missing_items(batches) == []


def test_what_is_missing_names_the_command_that_makes_it(results: Results, undrawn: None) -> None:
    first = results["runs"][0]
    first |= {"curves": [], "config": {}}
    first["scores"].pop("test")
    results |= {"baselines": [], "comparisons": [], "n_planned": 15}
    own, study = first["command"], results["command"]
    assert missing_items(results) == [
        ("curves", "the curves of bn, seed 0", own),
        ("scores", "the floors; 1 of 15 runs; the scores of bn, seed 0 on test", study),
        ("comparisons", "the paired comparisons", study),
        ("settings", "the settings of bn, seed 0", own),
    ]


def test_a_generated_sample_stands_beside_no_published_figure(results: Results, undrawn: None) -> None:
    report = build_report([results | {"is_generated": True}])
    assert report.banner
    assert "PiyushC1480" not in str(report)
    assert "PiyushC1480" in str(build_report([results]))


def test_an_empty_study_has_a_report(tmp_path: Path) -> None:
    html = render([{"study": "birds", "name": "a b"}], tmp_path).read_text(encoding="utf-8")
    assert "myna study run &#39;configs/studies/a b.toml&#39;" in html


def test_hostile_names_do_nothing(results: Results, tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script> | `b`"
    results["runs"] = results["runs"][:1]
    results["runs"][0]["label"] = hostile
    results["baselines"][0]["label"] = hostile
    results["facts"]["unreadable"] = [{hostile: hostile}]
    for score in results["runs"][0]["scores"].values():
        score["per_class"][0]["name"] = hostile
    html = render([results], tmp_path).read_text(encoding="utf-8")
    assert html.count("<script>") == 1
    assert "alert(1)" in html


def without_each_part(value: Any) -> Iterator[Any]:
    """The value with each part in turn taken away, or put to None, at any depth."""
    if isinstance(value, dict):
        for key in value:
            yield {k: v for k, v in value.items() if k != key}
            yield value | {key: None}
            for less in without_each_part(value[key]):
                yield value | {key: less}
    elif isinstance(value, list) and value:
        yield []
        for less in without_each_part(value[0]):
            yield [less, *value[1:]]


def test_any_part_may_be_missing(results: Results, undrawn: None) -> None:
    results["runs"] = [results["runs"][0], results["runs"][-2]]
    results["comparisons"] = results["comparisons"][:1]
    for entry in results["runs"] + results["baselines"]:
        entry["curves"] = entry.get("curves", [])[:2]
        for score in entry["scores"].values():
            score["per_class"], score["confusion"] = score["per_class"][:2], [[3, 1], [2, 2]]
    results["baselines"] = results["baselines"][:1]
    results["facts"] = {"copies": results["facts"]["copies"], "source_bias": {"chance": 0.1, "accuracy": {"all": 0.2}}}
    n_variants = 0
    for variant in without_each_part(results):
        if variant.get("study") == "birds":
            assert build_report([variant]).sections
            n_variants += 1
    assert n_variants > 200
