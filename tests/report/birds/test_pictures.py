from __future__ import annotations

from typing import Any

import pytest

from myna.report.birds.measures import find_best
from myna.report.birds.pictures import missing_maps, missing_photos, show_confused, show_maps
from myna.report.document import Gallery, Missing, Notes

Results = dict[str, Any]


@pytest.fixture
def best(results: Results) -> dict[str, Any]:
    """The run that is most accurate on val, to change."""
    found = find_best(results)
    assert found is not None
    return next(run for run in results["runs"] if run["name"] == found.best_run["name"])


def test_confused_species_stand_side_by_side(results: Results) -> None:
    gallery = show_confused(results)
    assert gallery is not None
    (strip,) = gallery.strips
    assert strip.title == "Cattle Egret taken for House Crow: 9 of 40 photos"
    assert [picture.caption for picture in strip.pictures] == [
        "71 % sure",
        "71 % sure",
        "House Crow, named rightly, 71 % sure",
    ]
    assert [picture.name for picture in strip.pictures] == ["confused-1-1", "confused-1-2", "confused-1-3"]
    assert missing_photos(results) == []


def test_without_photos_the_command_is_named(results: Results, best: dict[str, Any]) -> None:
    del best["confused_photos"]
    assert show_confused(results) is None
    assert missing_photos(results) == [Missing("photos of confused species", "myna report make norms --data DATA")]
    best["measure_commands"] = {"val": "myna birds eval bin --split val"}
    assert missing_photos(results | {"is_loose": True})[0].command == "myna birds eval bin --split val"


@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "data:text/html;base64,AAAA", 'data:image/jpeg;base64,A" onload="', None]
)
def test_nothing_but_a_jpeg_is_shown(results: Results, best: dict[str, Any], uri: str | None) -> None:
    for photo in best["confused_photos"][0]["photos"] + best["confused_photos"][0]["typical"]:
        photo["data_uri"] = uri
    for photo in best["explanation"]["classes"][0]["photos"]:
        photo["tile"] = uri
    assert show_confused(results) is None
    assert show_maps(results) == []


def test_maps_are_shown_by_class_with_what_was_measured(results: Results) -> None:
    gallery, notes, findings = show_maps(results)
    assert isinstance(gallery, Gallery)
    assert [strip.title for strip in gallery.strips] == [
        "Cattle Egret, named rightly: 2 of 12",
        "Cattle Egret, named wrongly: 1 of 1",
    ]
    assert gallery.strips[1].pictures[0].caption == "Said House Crow (90 %); the right class (5 %)"
    assert "the last 4 layers (16 x 16)" in gallery.caption
    assert findings == Notes("What the maps show, measured", ("Maps lie in the middle.",))
    assert isinstance(notes, Notes)
    assert missing_maps(results) == []


def test_figures_of_what_was_measured_follow_the_words(results: Results, best: dict[str, Any]) -> None:
    best["explanation"]["analysis"] = {
        "deletion": {"shares": [0.0, 1.0], "curves": {"gradcam": [0.5, 0.1]}},
        "randomisation": {"correlation": [{"mean": 0.9}, {"mean": 0.1}]},
    }
    assert [block.kind for block in show_maps(results)] == ["gallery", "notes", "notes", "figure", "figure"]


def test_maps_of_another_run_than_the_best_are_said_to_be(results: Results, best: dict[str, Any]) -> None:
    command = f"myna birds explain {best['name']} --analyse"
    other = next(run for run in results["runs"] if run["name"] != best["name"])
    other["explanation"] = best.pop("explanation")
    assert show_maps(results)
    (missing,) = missing_maps(results)
    assert missing.command == command
    assert missing.what.startswith("the Grad-CAM maps of")
    other["explanation"] = {}
    assert show_maps(results) == []
    assert missing_maps(results) == [missing]


def test_maps_that_were_not_measured_name_the_command(results: Results, best: dict[str, Any]) -> None:
    best["explanation"]["findings"] = []
    assert missing_maps(results) == [
        Missing("what the maps are worth, measured", f"myna birds explain {best['name']} --analyse")
    ]


def test_a_study_of_batch_sizes_is_not_asked_for_maps(batches: Results) -> None:
    for run in batches["runs"]:
        run.pop("explanation", None)
    assert missing_maps(batches) == []
