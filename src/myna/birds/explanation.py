"""What a net looks at, shown: photos that it names rightly and wrongly, each with its Grad-CAM map.

<folder>/  index.json             every photo: class, prediction, probabilities, files
           <class>.png            a sheet
           <class>/right-1-photo.png, right-1-map.png, wrong-1-photo.png, ...
           analysis.json          what `map_analysis` measured, where it was asked for
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from myna import runs
from myna.birds.assessment import check_classes
from myna.birds.cache import PhotoCache
from myna.birds.class_names import AskedClass, add_stand_ins, describe_missing, match_classes
from myna.birds.contact_sheet import SIDE, Band, Tile, draw_overlay, draw_sheet
from myna.birds.gradcam import Maps, compute_maps
from myna.birds.photos import read_photo
from myna.birds.predictions import name_photo
from myna.birds.splits import BirdSplits
from myna.birds.task import BirdModel, open_labelled
from myna.birds.views import EvalView
from myna.engine.checkpoint import check_replaceable, replace_folder
from myna.engine.tracking import progress
from myna.errors import UserError
from myna.files import read_json, write_json

ASSIGNED_CLASSES = (
    "Cattle Egret",
    "Copper-smith Barbet",
    "Indian Peacock",
    "Red Wattled Lapwing",
    "Ruddy Shelduck",
    "White Breasted Kingfisher",
    "White Breasted Waterhen",
)
"""The classes that the assignment asks about, as it writes them."""
SPLIT = "val"
_COLUMNS = 5


@dataclass(frozen=True)
class Case:
    """A photo of a class, and what the net says of it.

    Attributes:
        index: position of the photo in the cache.
        class_id: the correct class.
        predicted_id: the class that the net names.
        class_probability: of the correct class.
        predicted_probability: of the class that the net names.
    """

    index: int
    class_id: int
    predicted_id: int
    class_probability: float
    predicted_probability: float

    @property
    def is_right(self) -> bool:
        """Whether the net names the correct class."""
        return self.class_id == self.predicted_id


@dataclass(frozen=True)
class Answers:
    """What a net says of the photos of val.

    Attributes:
        model: the net.
        cache: the photos.
        label_ids: their classes.
        logits: (N, n_classes).
    """

    model: BirdModel
    cache: PhotoCache
    label_ids: list[int]
    logits: Tensor

    @classmethod
    def compute(cls, model: BirdModel, splits: BirdSplits) -> Answers:
        """Ask a net about val.

        Raises:
            UserError: the net knows other classes than the data has.
        """
        check_classes(model.labels.classes, splits.classes)
        cache, label_ids = open_labelled(splits.named(SPLIT), model.config.data)
        with progress(f"naming the birds of {SPLIT}", len(cache)) as tick:
            return cls(model, cache, label_ids, model.logits(cache, tick))

    @property
    def n_right(self) -> list[int]:
        """How many photos of each class are named rightly."""
        truth = np.array(self.label_ids)
        hits = truth[self.logits.argmax(1).numpy() == truth]
        return np.bincount(hits, minlength=self.logits.shape[1]).tolist()  # type: ignore[no-any-return]


def find_models(name: str) -> list[Path]:
    """Return the folder of a run or model, or those of a study: its best run of each label, the best of all first.

    The best is that with the highest accuracy on val; of equals, the first.

    Args:
        name: of a run or a study, or the folder of a run or model.

    Raises:
        UserError: there is neither, or the file holds no results of a study of birds.
    """
    path = runs.study_folder(name) / runs.RESULTS
    if not path.exists():
        return [runs.find(name)]
    results = read_json(path)
    if not isinstance(results, dict) or not isinstance(results.get("runs"), list):
        raise UserError(f"{path}: no results of a study; expected one of birds")
    if results.get("study") != "birds" or not results["runs"]:
        raise UserError(
            f"{path}: a study of {results.get('study')} with {len(results['runs'])} runs; expected one of birds"
        )
    best: dict[str, tuple[float, Path]] = {}
    for index, run in enumerate(results["runs"]):
        if not isinstance(run, dict) or not all(isinstance(run.get(key), str) for key in ("name", "label")):
            raise UserError(f"{path}: runs: item {index}: expected an object with a name and a label")
        folder = runs.find(runs.runs_folder() / run["name"])
        score = read_score(folder)
        if run["label"] not in best or score > best[run["label"]][0]:
            best[run["label"]] = score, folder
    return [folder for _, folder in sorted(best.values(), key=lambda scored: -scored[0])]


def read_score(folder: Path) -> float:
    """Return the accuracy on val that a finished run came to.

    Raises:
        UserError: it is not finished, or its summary has no score.
    """
    path = folder / runs.SUMMARY
    summary = read_json(path)
    score = summary.get("best_score") if isinstance(summary, dict) else None
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise UserError(f"{path}: best_score: {score!r}; expected a number")
    return score


def choose_classes(asked: Sequence[str], splits: BirdSplits, *, stand_ins: bool) -> list[AskedClass]:
    """Find the classes that were asked for among those of the data.

    Args:
        asked: names, written in any way.
        splits: whose val counts for stand-ins.
        stand_ins: whether other classes take the place of those that the data lacks.

    Raises:
        UserError: the data has none of them, and nothing stands in.
    """
    matched = match_classes(asked, splits.classes)
    if stand_ins:
        counts = Counter(splits.classes[photo.class_id] for photo in splits.named(SPLIT))
        matched = add_stand_ins(matched, {name: counts[name] for name in splits.classes})
    if not any(match.name for match in matched):
        known = ", ".join(splits.classes)
        raise UserError(f"classes: the data has none of {', '.join(asked)}; it has {known} (or add --stand-ins)")
    return matched


def choose_cases(logits: Tensor, label_ids: Sequence[int], class_id: int, n: int) -> tuple[list[Case], list[Case]]:
    """Return up to n photos of a class that are named rightly, and up to n that are not.

    They are spread evenly over the photos in order of the probability of the correct class, from the highest to the
    lowest, so that neither the best nor the worst of them stand for all.

    Shape:
        logits: (N, n_classes).
    """
    probabilities = logits.softmax(1)
    cases = []
    for index, label_id in enumerate(label_ids):
        if label_id == class_id:
            predicted_id = int(probabilities[index].argmax())
            found = (float(probabilities[index, name]) for name in (class_id, predicted_id))
            cases.append(Case(index, class_id, predicted_id, *found))
    cases.sort(key=lambda case: -case.class_probability)
    right, wrong = ([case for case in cases if case.is_right is is_right] for is_right in (True, False))
    return _spread(right, n), _spread(wrong, n)


def save_explanation(
    folder: Path,
    answers: Answers,
    classes: Sequence[AskedClass],
    per_class: int,
    *,
    about: Mapping[str, Any],
    analysis: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write sheets, pictures and index of some classes; the folder is replaced as a whole.

    The maps are of the correct class, whatever the net names, at the outputs of its last 2n layers.

    Args:
        folder: to write.
        answers: of the net that is asked.
        classes: what `choose_classes` gives.
        per_class: how many photos are shown that are named rightly, and how many that are not.
        about: what else the index says: at least `model`, its name.
        analysis: what `analyse_maps` gives.

    Returns:
        the index; its `notes` are sentences on what there was not to show.

    Raises:
        UserError: the folder holds something else.
    """
    check_folder(folder)
    config, known = answers.model.config, answers.model.labels.classes
    absent = [match for match in classes if not match.name or match.is_stand_in]
    n = len(answers.label_ids)
    index: dict[str, Any] = {
        **about,
        "split": SPLIT,
        "n_photos": n,
        "accuracy": sum(answers.n_right) / n,
        "size": config.data.size,
        "map_size": config.data.size // 4,
        "n_layers": 2 * config.model.n,
        "missing": [match.asked for match in absent],
    }
    found = [match for match in classes if match.name]

    def write(target: Path) -> None:
        index["classes"] = []
        with progress("explaining classes", len(found)) as tick:
            for match in found:
                index["classes"].append(_write_class(target, answers, match, per_class, str(about["model"])))
                tick()
        too_few = [note for explained in index["classes"] for note in _describe_few(explained, per_class)]
        index["notes"] = [describe_missing(match, known) for match in absent] + too_few
        write_json(target / runs.EXPLANATION, index)
        if analysis is not None:
            write_json(target / runs.MAP_ANALYSIS, analysis)

    replace_folder(folder, write)
    return index


def check_folder(folder: Path) -> None:
    """Refuse to replace a folder with something else in it than an explanation.

    Raises:
        UserError: that is what it is.
    """
    check_replaceable(folder, runs.EXPLANATION, "an explanation")


def _write_class(target: Path, answers: Answers, match: AskedClass, per_class: int, model_name: str) -> dict[str, Any]:
    """Write the sheet and the pictures of a class, and return its part of the index."""
    model, class_id = answers.model, answers.model.labels.classes.index(match.name)
    groups = choose_cases(answers.logits, answers.label_ids, class_id, per_class)
    cases = [case for group in groups for case in group]
    views = [EvalView(model.config.data.size)(answers.cache[case.index]) for case in cases]
    inputs = model.normalise(views) if views else answers.logits.new_empty(0, 3, 4, 4)
    maps = compute_maps(model.net, inputs, [class_id] * len(cases))
    n_photos, n_right = answers.label_ids.count(class_id), answers.n_right[class_id]
    photos, tiles = [], []
    (target / match.name).mkdir()
    for i, (case, values) in enumerate(zip(cases, maps, strict=True)):
        tile = _make_tile(answers, case, values)
        number = i + 1 if case.is_right else i + 1 - len(groups[0])
        stem = f"{match.name}/{'right' if case.is_right else 'wrong'}-{number}"
        tile.photo.save(target / f"{stem}-photo.png")
        tile.overlay.save(target / f"{stem}-map.png")
        tiles.append(tile)
        photos.append(_describe_case(answers, case, stem))
    size = model.config.data.size
    n_wrong, n_shown = n_photos - n_right, len(groups[0])
    sheet = draw_sheet(
        match.name + (f" (stands in for {match.asked})" if match.is_stand_in else ""),
        f"Grad-CAM of the correct class in {model_name}, which sees {size} x {size} pixels; photos of {SPLIT}",
        [
            Band(f"Named rightly: {n_shown} of {n_right} photos", tiles[:n_shown]),
            Band(f"Named wrongly: {len(tiles) - n_shown} of {n_wrong} photos", tiles[n_shown:]),
        ],
        n_columns=min(per_class, _COLUMNS),
    )
    sheet.save(target / f"{match.name}.png", optimize=True)
    return {
        "asked": match.asked,
        "name": match.name,
        "is_stand_in": match.is_stand_in,
        "n_photos": n_photos,
        "n_right": n_right,
        "n_wrong": n_wrong,
        "sheet": f"{match.name}.png",
        "photos": photos,
    }


def _make_tile(answers: Answers, case: Case, values: Maps) -> Tile:
    """Draw a photo as the net sees it, but sharper, and its map over it."""
    photo = Image.fromarray(EvalView(SIDE)(np.asarray(read_photo(answers.cache.paths[case.index]))))
    classes = answers.model.labels.classes
    lines = [f"said {_percent(case.predicted_probability)} {classes[case.predicted_id]}"]
    if not case.is_right:
        lines.append(f"true {_percent(case.class_probability)} {classes[case.class_id]}")
    return Tile(photo, draw_overlay(photo, values), lines, case.is_right)


def _describe_case(answers: Answers, case: Case, stem: str) -> dict[str, Any]:
    """Return the part of the index on a photo."""
    path, classes = answers.cache.paths[case.index], answers.model.labels.classes
    return {
        "photo": name_photo(path),
        "is_right": case.is_right,
        "class": classes[case.class_id],
        "class_probability": round(case.class_probability, 4),
        "predicted": classes[case.predicted_id],
        "predicted_probability": round(case.predicted_probability, 4),
        "picture": f"{stem}-photo.png",
        "overlay": f"{stem}-map.png",
    }


def _describe_few(explained: Mapping[str, Any], per_class: int) -> list[str]:
    """Say of which kind a class has fewer photos than were asked for."""
    kinds = (("rightly", explained["n_right"]), ("wrongly", explained["n_wrong"]))
    return [
        f"{explained['name']}: {n} photos of {SPLIT} named {kind}, fewer than the {per_class} asked for"
        for kind, n in kinds
        if n < per_class
    ]


def _spread(cases: Sequence[Case], n: int) -> list[Case]:
    """Return n cases spread evenly over a list; all of them where there are no more."""
    return [cases[i] for i in np.linspace(0, len(cases) - 1, min(n, len(cases))).round().astype(int)]


def _percent(probability: float) -> str:
    return f"{100 * probability:.0f} %"
