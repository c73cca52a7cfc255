"""What a study of the birds half measures on its runs, and beside them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from myna import runs
from myna.birds.assessment import assess
from myna.birds.audit import audit_splits
from myna.birds.baselines import BASELINES, LabelledPhotos
from myna.birds.evaluation import evaluate
from myna.birds.predictions import name_photo, read_predictions
from myna.birds.splits import load_splits
from myna.birds.task import BirdModel, LabelledCache, hash_photos, open_labelled, open_learned
from myna.config import BirdsDataSection
from myna.errors import UserError
from myna.files import read_json, write_json
from myna.studies.paired import adjust, compare_all, group_by_label
from myna.studies.plan import StudyConfig


class BirdMeasures:
    """Measurements on photos.

    Args:
        study: which splits.
        data: the data folder asked for; else as `load_splits` finds it.
    """

    def __init__(self, study: StudyConfig, data: Path | None) -> None:
        self.splits = load_splits(data)
        self.source, self.is_generated = self.splits.source, self.splits.is_generated
        self.names: list[str] = [*study.splits] or ["train", "val", "test"]
        for name in self.names:
            self.splits.named(name)  # refuses one that there is not, before anything is trained

    def describe_data(self) -> dict[str, Any]:
        """Return the facts of the data, the audit of its splits included."""
        return audit_splits(self.splits)

    def hash_data(self, section: BirdsDataSection) -> str:
        """Return the hash of what a run of these settings would learn from here."""
        return hash_photos(self.splits.classes, open_learned(self.splits, section))

    def describe_run(self, folder: Path) -> dict[str, Any]:
        """Return layers, multiply-adds of a photo, and maps of a run's net."""
        model = BirdModel.load(folder)
        size = model.config.data.size
        return {
            "n_layers": model.net.n_layers,
            "multiply_adds": model.net.multiply_adds(size, size),
            "map_sizes": model.net.map_sizes(size, size),
        }

    def measure(self, folder: Path) -> dict[str, Any]:
        """Return a run's scores by split; what is measured is only read."""
        for split in self.names:
            path = folder / f"scores-{split}.json"
            if not path.exists():
                output = folder / f"predictions-{split}.json"
                write_json(path, assess(BirdModel.load(folder), self.splits, split, output))
        return {split: read_json(folder / f"scores-{split}.json") for split in self.names}

    def measure_baselines(self) -> list[dict[str, Any]]:
        """Fit each baseline to training, with val to choose its setting, and score it as if it were a run."""
        photos = {split: LabelledPhotos(*opened) for split, opened in self._opened.items()}
        measured = []
        for name, fit in BASELINES.items():
            predict = fit(photos["train"], photos["val"], len(self.splits.classes))
            scores = {
                split: evaluate(predict(photos[split].photos), photos[split].label_ids, self.splits.classes)
                for split in self.names
                if split != "train"
            }
            measured.append({"name": name, "label": name, "scores": scores})
        return measured

    def compare(self, measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return a paired test of accuracy on test for every two labels that have seeds in common.

        Raises:
            UserError: a run's predictions are of other photos than those of test.
        """
        if "test" not in self.names:
            return []
        # Photos that cannot be read were not asked about.
        cache, label_ids = self._opened["test"]
        photos = [
            (name_photo(path), self.splits.classes[label_id])
            for path, label_id in zip(cache.paths, label_ids, strict=True)
        ]
        outcomes = {
            label: {seed: _verdicts(name, photos) for seed, name in by_seed.items()}
            for label, by_seed in group_by_label(measured).items()
        }
        return adjust(compare_all(outcomes, split="test"))

    @cached_property
    def _opened(self) -> dict[str, LabelledCache]:
        """The photos of each split that can be read, at the size that baselines see, with their class ids."""
        splits = {"train", "val", *self.names}
        return {split: open_labelled(self.splits.named(split), BirdsDataSection()) for split in splits}


def _verdicts(run: str, photos: list[tuple[str, str]]) -> list[bool]:
    """Return which test photos, given by name and class, a run named rightly.

    Raises:
        UserError: its predictions are of other photos.
    """
    path = runs.runs_folder() / run / "predictions-test.json"
    predictions = read_predictions(path)
    if [(photo["photo"], photo["class"]) for photo in predictions] != photos:
        raise UserError(f"{path}: not of the test photos here; move it away, and measure the run again")
    return [photo["predicted"] == photo["class"] for photo in predictions]
