"""What a study of birds makes of predictions that lie in run folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from myna import runs
from myna.birds.predictions import name_photo
from myna.birds.task import BirdTask
from myna.config import BirdsConfig, check
from myna.errors import UserError
from myna.files import write_json
from myna.studies.birds import BirdMeasures
from myna.studies.plan import StudyConfig


@pytest.fixture
def measures(bird_folder: Path) -> BirdMeasures:
    plan = {"study": "birds", "name": "s", "title": "T", "runs": [{"config": "x"}], "splits": ["test"]}
    return BirdMeasures(StudyConfig.model_validate(plan), bird_folder)


def predict(measures: BirdMeasures, name: str, n_right: int) -> list[dict[str, Any]]:
    """Write predictions of a run that names the first photos rightly."""
    classes = measures.splits.classes
    photos = [
        {
            "photo": name_photo(photo.path),
            "class": classes[photo.class_id],
            "predicted": classes[photo.class_id if i < n_right else photo.class_id - 1],
            "probability": 0.5,
        }
        for i, photo in enumerate(measures.splits.test)
    ]
    write_json(runs.runs_folder() / name / "predictions-test.json", photos)
    return photos


MEASURED = [{"name": name, "label": name, "seed": 0} for name in ("a", "b")]


def test_runs_are_compared_on_the_photos_of_test(measures: BirdMeasures) -> None:
    predict(measures, "a", 9)
    predict(measures, "b", 3)
    (comparison,) = measures.compare(MEASURED)
    assert comparison["difference"] == pytest.approx(6 / 12)


def test_a_split_that_photos_do_not_have_is_refused_at_once(bird_folder: Path) -> None:
    plan = {"study": "birds", "name": "s", "title": "T", "runs": [{"config": "x"}], "splits": ["dev"]}
    with pytest.raises(UserError, match=r"^split: 'dev'; choices: train, val, test$"):
        BirdMeasures(StudyConfig.model_validate(plan), bird_folder)


def test_data_is_known_by_the_hash_that_a_run_records(measures: BirdMeasures) -> None:
    whole, limited = (check(BirdsConfig, {"data": {"size": 8, "limit": limit}}, "test") for limit in (0, 2))
    for settings in (whole, limited):
        assert measures.hash_data(settings.data) == BirdTask(settings, measures.splits).fingerprint()
    assert measures.hash_data(whole.data) != measures.hash_data(limited.data)


@pytest.mark.parametrize("change", [lambda photos: photos[1:], lambda photos: photos[::-1]])
def test_predictions_of_other_photos_are_refused(measures: BirdMeasures, change: Any) -> None:
    predict(measures, "a", 9)
    path = runs.runs_folder() / "b" / "predictions-test.json"
    write_json(path, change(predict(measures, "b", 3)))
    with pytest.raises(UserError) as caught:
        measures.compare(MEASURED)
    assert str(caught.value) == f"{path}: not of the test photos here; move it away, and measure the run again"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, "expected a list of photos, not dict"),
        (["x"], "item 0: expected an object with photo, class, predicted, probability"),
        ([{"photo": "a/1.png", "class": "a"}], "item 0: predicted: missing; expected a text"),
        ([{"photo": 3, "class": "a", "predicted": "a"}], "item 0: photo: 3; expected a text"),
        (
            [{"photo": "a/1.png", "class": "a", "predicted": "a", "probability": "0.5"}],
            "item 0: probability: '0.5'; expected a probability",
        ),
    ],
)
def test_what_holds_no_predictions_is_named(measures: BirdMeasures, content: object, reason: str) -> None:
    predict(measures, "a", 9)
    path = runs.runs_folder() / "b" / "predictions-test.json"
    write_json(path, content)
    with pytest.raises(UserError) as caught:
        measures.compare(MEASURED)
    assert str(caught.value) == f"{path}: {reason}"
