"""What runs have to show beside their scores: photos, Grad-CAM maps, attention maps.

Studies write numbers. This is added when a report is made, so that it shows what was explained after the study too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from myna import runs
from myna.birds.confusion import show_confused
from myna.birds.splits import load_splits
from myna.birds.thumbnails import make_thumbnail
from myna.config import find_data
from myna.errors import UserError
from myna.files import read_json
from myna.report.birds.measures import find_best, score_of
from myna.report.results import Results, Run, as_mapping, as_mappings, as_number, as_text, runs_of

EXPLANATIONS = "explanations"
"""Folder beside the runs, with a folder for each run that was explained (`myna birds explain`)."""
ATTENTION = "attention.json"
"""In a run folder, what `myna math explain` found."""


def add_evidence(results: Results, data: Path | None = None) -> Results:
    """Return a study's results with what its runs have to show.

    Args:
        results: of a study, or of loose runs; left as they are.
        data: the data folder asked for; else $MYNA_DATA, then ./data. Where it lacks the photos, none are shown.

    Returns:
        for math, runs with `attention`; for birds, the best run with `confused_photos` (see
        `myna.birds.confusion.show_confused`), and the best of those that were explained with `explanation`: its
        index, with each photo and its map below it as a data URI under `tile`, and under `findings` sentences on its
        analysis.

    Raises:
        UserError: a file is not what it should be.
    """
    shown = _find_attention(results) if results.get("study") == "math" else _find_photos(results, data)
    return {**results, "runs": [{**run, **shown.get(as_text(run.get("name")), {})} for run in runs_of(results)]}


def _find_attention(results: Results) -> dict[str, dict[str, Any]]:
    """Return the attention of runs by their names."""
    paths = {as_text(run.get("name")): _folder_of(run) / ATTENTION for run in runs_of(results)}
    return {name: {"attention": read_json(path)} for name, path in paths.items() if path.is_file()}


def _find_photos(results: Results, data: Path | None) -> dict[str, dict[str, Any]]:
    """Return the confused photos of the best run, and the maps of the best that was explained."""
    shown: dict[str, dict[str, Any]] = {}
    best = find_best(results)
    if best is not None and (confused := _find_confused(results, best.best_run, data)):
        shown[as_text(best.best_run.get("name"))] = {"confused_photos": confused}
    explained = [run for run in runs_of(results) if _explanation_of(run).is_file()]
    if explained:
        run = max(explained, key=lambda run: as_number(score_of(run, "val").get("accuracy")) or 0.0)
        shown.setdefault(as_text(run.get("name")), {})["explanation"] = read_explanation(_explanation_of(run))
    return shown


def read_explanation(path: Path) -> dict[str, Any]:
    """Read an index that `myna birds explain` wrote, with its pictures and the findings of its analysis.

    Raises:
        UserError: a file is missing or broken.
    """
    index = as_mapping(read_json(path))
    classes = [
        {**each, "photos": [_with_tile(photo, path.parent) for photo in as_mappings(each.get("photos"))]}
        for each in as_mappings(index.get("classes"))
    ]
    analysis = path.parent / "analysis.json"
    findings = []
    if analysis.is_file():
        # Brings torch along, which a report needs for nothing else.
        from myna.birds.map_findings import describe_maps

        findings = describe_maps(read_json(analysis))
    return {**index, "classes": classes, "findings": findings}


def _with_tile(photo: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Add the photo with its map below it."""
    return {**photo, "tile": make_thumbnail(*(folder / as_text(photo.get(key)) for key in ("picture", "overlay")))}


def _find_confused(results: Results, run: Run, data: Path | None) -> list[dict[str, Any]]:
    """Return the photos that a run confuses, none where predictions or photos are not there."""
    path = _folder_of(run) / "predictions-val.json"
    # Drawn photos belong to studies of drawn photos.
    is_generated = find_data(data) is None
    if not path.is_file() or is_generated != bool(results.get("is_generated")):
        return []
    try:
        splits = load_splits(data)
    except UserError:
        # A data folder may hold word problems alone.
        return []
    return show_confused(read_json(path), splits.val) if splits.source == results.get("source") else []


def _folder_of(run: Run) -> Path:
    return Path(as_text(run.get("folder"))) if run.get("folder") else runs.runs_folder() / as_text(run.get("name"))


def _explanation_of(run: Run) -> Path:
    return runs.runs_folder() / EXPLANATIONS / _folder_of(run).name / "index.json"
