"""What runs have to show beside their scores: photos, Grad-CAM maps, attention maps, kinds of mistakes.

Studies write numbers. This is added when a report is made, so that it shows what was explained after the study too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from myna import runs
from myna.birds.confusion import show_confused
from myna.birds.predictions import read_predictions as read_photos
from myna.birds.splits import load_splits
from myna.birds.thumbnails import make_thumbnail
from myna.config import find_data
from myna.errors import UserError
from myna.files import read_json
from myna.report.birds.measures import find_best, score_of
from myna.report.results import Results, Run, as_mapping, as_mappings, as_number, as_text, runs_of


def add_evidence(results: Results, data: Path | None = None) -> Results:
    """Return a study's results with what its runs have to show.

    Args:
        results: of a study, or of loose runs; left as they are.
        data: the data folder asked for; else $MYNA_DATA, then ./data. Where it lacks the photos or problems that runs
            were measured on, these are not shown.

    Returns:
        for math, runs with `attention`, and loose ones with `mistakes`, as a study counts them; for birds, the best run
        with `confused_photos` (see `myna.birds.confusion.show_confused`), and the best of those that were explained
        with `explanation`: its index, with each photo and its map below it as a data URI under `tile`, its `analysis`,
        and under `findings` sentences on that.

    Raises:
        UserError: a file is not what it should be.
    """
    shown = _find_math(results, data) if results.get("study") == "math" else _find_photos(results, data)
    return {**results, "runs": [{**run, **shown.get(as_text(run.get("name")), {})} for run in runs_of(results)]}


def _find_math(results: Results, data: Path | None) -> dict[str, dict[str, Any]]:
    """Return the attention of runs, and the mistakes of loose ones, by their names."""
    shown: dict[str, dict[str, Any]] = {}
    for run in runs_of(results):
        path = _folder_of(run) / runs.ATTENTION
        shown[as_text(run.get("name"))] = {"attention": read_json(path)} if path.is_file() else {}
    for name, mistakes in _count_mistakes(results, data).items() if results.get("is_loose") else ():
        shown[name]["mistakes"] = mistakes
    return shown


def _count_mistakes(results: Results, data: Path | None) -> dict[str, dict[str, Any]]:
    """Return what kinds of mistakes runs made by their names and splits, where predictions and problems are there."""
    paths = {
        (as_text(run.get("name")), split): path
        for run in runs_of(results)
        for split in ("test", "dev")
        if (path := _folder_of(run) / f"predictions-{split}-10-plain.json").is_file()
    }
    # Generated problems belong to runs on generated problems.
    if not paths or (find_data(data) is None) != bool(results.get("is_generated")):
        return {}
    # Bring scikit-learn along, which birds need not wait for.
    from myna.mathqa import splits as math_splits
    from myna.mathqa.baselines import NeighbourIndex
    from myna.mathqa.evaluation import read_predictions
    from myna.mathqa.mistakes import count_mistakes

    try:
        splits = math_splits.load_splits(data)
    except UserError:
        # A data folder may hold photos alone.
        return {}
    if splits.source != results.get("source"):
        return {}
    index = NeighbourIndex(splits.train)
    counted: dict[str, dict[str, Any]] = {}
    for (name, split), path in paths.items():
        items, problems = read_predictions(path), splits.named(split)
        if [item["Problem"] for item in items] == [problem.text for problem in problems]:
            predicted = [item["predicted"] for item in items]
            counted.setdefault(name, {})[split] = count_mistakes(problems, predicted, index)
    return counted


def _find_photos(results: Results, data: Path | None) -> dict[str, dict[str, Any]]:
    """Return the confused photos of the best run, and the maps of the best that was explained."""
    shown: dict[str, dict[str, Any]] = {}
    best = find_best(results)
    if best is not None and (confused := _find_confused(results, best.best_run, data)):
        shown[as_text(best.best_run.get("name"))] = {"confused_photos": confused}
    explained = [run for run in runs_of(results) if _is_explained(run)]
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
    analysis, findings = path.parent / runs.MAP_ANALYSIS, []
    figures = as_mapping(read_json(analysis)) if analysis.is_file() else {}
    if figures:
        # Brings torch along, which a report needs for nothing else.
        from myna.birds.map_findings import describe_maps

        try:
            findings = describe_maps(figures)
        except (LookupError, TypeError, ValueError) as error:
            raise UserError(f"{analysis}: not what `myna birds explain --analyse` writes: {error!r}") from None
    return {**index, "classes": classes, "analysis": figures, "findings": findings}


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
    return show_confused(read_photos(path), splits.val) if splits.source == results.get("source") else []


def _folder_of(run: Run) -> Path:
    return Path(as_text(run.get("folder"))) if run.get("folder") else runs.runs_folder() / as_text(run.get("name"))


def _is_explained(run: Run) -> bool:
    """Return whether a run's net was explained: that very one, not another of the same name or an earlier one."""
    path = _explanation_of(run)
    if not path.is_file():
        return False
    known = as_mapping(read_json(path)).get("weights_sha256")
    # What does not say so is believed.
    return known is None or known == runs.read_checksum(_folder_of(run))


def _explanation_of(run: Run) -> Path:
    return runs.explanation_folder(_folder_of(run).name) / runs.EXPLANATION
