from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from myna.report.document import Panel
from myna.report.outline import SECTIONS, build_report
from myna.report.render import render

Results = dict[str, Any]

HOSTILE = "</script><script>alert(1)</script> & \"q\" 'a' | `b` <img src=x onerror=alert(2)> [l](http://x.example)"
SECTION_IDS = (
    "summary",
    "data",
    "metrics",
    "curves",
    "scores",
    "comparisons",
    "settings",
    "failures",
    "mistakes",
    "attention",
    "observations",
    "cost",
    "published",
    "reproduce",
)
VOID = {"meta", "br", "img", "input", "link", "hr"}


class Page(HTMLParser):
    """Counts tags, and checks that each that opens is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, small_study: Callable[[], Results]) -> tuple[Path, str, str]:
    """The report of the whole small study: its folder, HTML and Markdown."""
    folder = tmp_path_factory.mktemp("report")
    return folder, *render_both(small_study(), folder)


def render_both(results: Results, folder: Path) -> tuple[str, str]:
    html = render([results], folder)
    assert html == folder / "report.html"
    return html.read_text(encoding="utf-8"), (folder / "report.md").read_text(encoding="utf-8")


def test_all_sections_are_there_in_order(whole: tuple[Path, str, str]) -> None:
    _, html, markdown = whole
    assert re.findall(r'<section id="([\w-]+)"', html) == list(SECTION_IDS)
    assert re.findall(r'<a id="([\w-]+)"', markdown) == list(SECTION_IDS)
    assert re.findall(r'<a href="#([\w-]+)"', html) == list(SECTION_IDS)


def test_html_is_well_formed_with_unique_ids(whole: tuple[Path, str, str]) -> None:
    page = Page(whole[1])
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert page.tags.count("svg") == 14


def test_html_needs_nothing_else(whole: tuple[Path, str, str]) -> None:
    html = whole[1]
    assert "://" not in html
    page = Page(html)
    loads = [value for _, name, value in page.attributes if name in ("src", "href", "srcset", "data")]
    assert all(value.startswith("#") for value in loads)
    assert not {"link", "img", "iframe", "object"} & set(page.tags)
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_markdown_links_to_drawings_that_are_there(whole: tuple[Path, str, str]) -> None:
    linked = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", whole[2])
    assert len(linked) == 14
    assert sorted(linked) == sorted(f"figures/{path.name}" for path in (whole[0] / "figures").iterdir())


def test_equal_results_give_equal_bytes(whole: tuple[Path, str, str], results: Results, tmp_path: Path) -> None:
    def all_bytes(folder: Path) -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    render([results], tmp_path / "again")
    assert all_bytes(tmp_path / "again") == all_bytes(whole[0])
    assert len(all_bytes(whole[0])) == 2 + 14


def test_drawings_of_an_earlier_report_go_and_others_stay(results: Results, tmp_path: Path) -> None:
    render([results, {**results, "name": "other"}], tmp_path)
    (tmp_path / "figures" / "mine.svg").write_text("<svg/>")
    render([results], tmp_path)
    linked = re.findall(r"\(figures/([^)]+)\)", (tmp_path / "report.md").read_text())
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == sorted([*linked, "mine.svg"])


def test_html_and_markdown_have_the_same_tables(whole: tuple[Path, str, str]) -> None:
    _, html, markdown = whole
    n_tables = html.count("<table")
    assert n_tables > 8
    assert len(re.findall(r"^\|[:-]", markdown, re.MULTILINE)) == n_tables
    n_rows = html.count('scope="row"')
    assert len(re.findall(r"^\| ", markdown, re.MULTILINE)) == n_rows + n_tables


def test_titles_that_columns_share_have_their_groups_in_markdown(whole: tuple[Path, str, str]) -> None:
    markdown = whole[2]
    assert "| All EM | Raw EM |" in markdown
    assert "| Kind | lstm_lstm Programs | lstm_lstm % | lstm_lstm_attn Programs | lstm_lstm_attn % |" in markdown


def test_a_line_of_the_page_tears_no_figure_apart(whole: tuple[Path, str, str]) -> None:
    html = whole[1]
    assert "95\N{NO-BREAK SPACE}%" in html
    assert "p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}0.002" in html
    assert not re.search(r"\d %[^<]*</(?:p|li|dd|td|small|figcaption)>", html)
    assert "95 %" in whole[2]


def test_every_markdown_row_has_as_many_cells_as_its_header(results: Results, tmp_path: Path) -> None:
    results["runs"][0]["label"] = "a|b\\|c`|`"
    results["runs"][0]["command"] = "a | b `c`"
    n_cells = 0
    for line in render_both(results, tmp_path)[1].splitlines():
        if not line.startswith("|"):
            n_cells = 0
            continue
        found = len(re.findall(r"(?<!\\)(?:\\\\)*\|", line))
        n_cells = n_cells or found
        assert found == n_cells, line


def spread(value: Any) -> Any:
    """Put hostile text in the place of every text that the report shows."""
    if isinstance(value, dict):
        return {k: v if k in ("study", "split", "search") else spread(v) for k, v in value.items()}
    if isinstance(value, list):
        return [spread(item) for item in value]
    return HOSTILE if isinstance(value, str) else value


def test_hostile_text_is_shown_and_does_nothing(whole: tuple[Path, str, str], results: Results, tmp_path: Path) -> None:
    plain = Page(whole[1])
    results["facts"]["splits"][HOSTILE] = {HOSTILE: HOSTILE}
    results["runs"][0]["config"][HOSTILE] = 1
    results["runs"][0]["scores"]["test"][0]["failures"][HOSTILE] = 2
    html, markdown = render_both(spread(results), tmp_path)
    page = Page(html)
    assert page.tags.count("script") == plain.tags.count("script") == 1
    assert "img" not in page.tags
    assert not any(name.startswith("on") for _, name, _ in page.attributes)
    assert "alert(1)" in html
    outside_code = re.sub(r"(?ms)^(`{3,})sh\n.*?^\1$|(`+)(?!`).*?(?<!`)\2(?!`)", "", markdown)
    assert "alert(1)" in outside_code
    assert "<script" not in outside_code
    assert "<img" not in outside_code
    assert not re.search(r"(?<!\\)\[l", outside_code)


def test_a_generated_sample_is_said_plainly(whole: tuple[Path, str, str], results: Results, tmp_path: Path) -> None:
    html, markdown = render_both(results | {"is_generated": True}, tmp_path)
    assert 'class="banner"' in html
    assert "> **Made from a GENERATED sample, not the real data." in markdown
    assert "CipherCook" not in html
    assert 'class="banner"' not in whole[1]
    assert "CipherCook" in whole[1]


def missing_items(results: Results) -> list[tuple[str, str, str]]:
    """What a report says is missing: section, what, command."""
    sections = build_report([results]).sections
    return [(s.section_id, b.what, b.command) for s in sections for b in s.blocks if b.kind == "missing"]


def test_nothing_is_missing_from_a_whole_study(results: Results) -> None:
    assert missing_items(results) == []


def test_a_run_without_curves_or_settings_names_its_own_command(results: Results) -> None:
    results["runs"][0] |= {"curves": [], "config": {}}
    train = "myna math train configs/lstm_lstm.toml"
    assert missing_items(results) == [
        ("curves", "the curves of lstm_lstm", train),
        ("settings", "the settings of lstm_lstm", train),
    ]


def test_missing_scores_and_baselines_name_the_command_of_the_study(results: Results) -> None:
    del results["runs"][1]["scores"]["test"]
    del results["runs"][0]["scores"]["dev"][0]["far"]
    results["baselines"] = []
    what = "the baselines; the far scores of lstm_lstm on dev; the scores of lstm_lstm_attn on test"
    assert missing_items(results) == [("scores", what, results["command"])]


def test_a_split_that_the_study_does_not_measure_names_another_command(results: Results) -> None:
    for entry in results["runs"] + results["baselines"]:
        del entry["scores"]["test"]
    command = "myna math eval small-lstm_lstm --split test --beam 10"
    assert missing_items(results) == [("scores", "scores on test, here of one run", command)]


def test_a_study_without_scores_names_its_own_command(results: Results) -> None:
    for entry in results["runs"] + results["baselines"]:
        entry["scores"] = {}
    items = missing_items(results)
    assert [section for section, _, _ in items] == ["summary", "scores"]
    assert {command for _, _, command in items} == {results["command"]}
    assert "the scores of lstm_lstm on test; the scores of lstm_lstm on dev" in items[1][1]


def test_missing_parts_are_shown(results: Results, tmp_path: Path) -> None:
    del results["facts"]
    html, markdown = render_both(results, tmp_path)
    for text in (html, markdown):
        assert "Not there yet:" in text
        assert "the facts of the data" in text
    assert f"```sh\n{results['command']}\n```" in markdown


def test_an_empty_study_has_a_report(tmp_path: Path) -> None:
    html = render_both({"name": "a b"}, tmp_path)[0]
    assert "myna study run &#39;configs/studies/a b.toml&#39;" in html


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


def test_any_part_may_be_missing(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    # Drawing takes the time, and draws the same few curves each time.
    for draw in (
        "figures.draw_curves",
        "figures.draw_dots",
        "mistakes.draw_curves",
        "mistakes.draw_dots",
        "attention.draw_curves",
        "attention._draw_map",
    ):
        monkeypatch.setattr(f"myna.report.math.{draw}", lambda name, *_, **__: Panel(name, "", "<svg/>"))
    results["runs"][0]["curves"] = results["runs"][0]["curves"][:2]
    results["runs"] = results["runs"][:1]
    results["environment"] = {"packages": {}}
    n_variants = 0
    for variant in without_each_part(results):
        assert build_report([variant]).sections
        n_variants += 1
    assert n_variants > 100


def test_an_unknown_study_is_refused() -> None:
    with pytest.raises(ValueError, match="study: 'fish'; choices: math, birds"):
        build_report([{"study": "fish"}])


def test_each_study_is_a_list_of_builders() -> None:
    assert list(SECTIONS) == ["math", "birds"]
    # The small study has nothing to say on teacher forcing and on beam sizes.
    assert len(SECTIONS["math"]) == len(SECTION_IDS) + 2
