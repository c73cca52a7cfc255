from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from myna import runs
from myna.birds.splits import load_splits
from myna.engine.checkpoint import save_weights
from myna.errors import UserError
from myna.files import write_json
from myna.mathqa.problems import as_items
from myna.mathqa.splits import generate_splits
from myna.report.evidence import add_evidence
from myna.report.results import as_picture

PHOTOS = [
    {"photo": "Crow/0.png", "class": "Crow", "predicted": "Egret", "probability": 0.4},
    {"photo": "Egret/0.png", "class": "Egret", "predicted": "Egret", "probability": 0.5},
]


def bird_results(folder: Path, **more: Any) -> dict[str, Any]:
    """A study of two runs, of which the second is the better."""
    runs_of = [
        {"name": name, "label": name, "scores": {"val": {"accuracy": a}}} for name, a in (("x", 0.2), ("y", 0.6))
    ]
    return {"study": "birds", "name": "s", "source": load_splits(folder).source, "runs": runs_of} | more


@pytest.fixture
def predictions() -> None:
    for name in ("x", "y"):
        write_json(runs.runs_folder() / name / "predictions-val.json", PHOTOS)


@pytest.mark.usefixtures("predictions")
def test_the_best_run_gets_its_confused_photos(bird_folder: Path) -> None:
    results = bird_results(bird_folder)
    first, second = add_evidence(results, bird_folder)["runs"]
    assert "confused_photos" not in first
    (pair,) = second["confused_photos"]
    assert (pair["truth"], pair["predicted"]) == ("Crow", "Egret")
    assert as_picture(pair["photos"][0]["data_uri"])
    assert "confused_photos" not in results["runs"][1]


def test_a_file_without_predictions_is_named(bird_folder: Path) -> None:
    write_json(runs.runs_folder() / "y" / "predictions-val.json", [{"photo": "Crow/0.png"}])
    with pytest.raises(UserError, match=r"y/predictions-val\.json: item 0: class: missing; expected a text"):
        add_evidence(bird_results(bird_folder), bird_folder)


@pytest.mark.usefixtures("predictions")
def test_photos_of_other_data_are_not_taken(bird_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "confused_photos" not in add_evidence(bird_results(bird_folder, source="others"), bird_folder)["runs"][1]
    # A data folder without photos, and none at all.
    (tmp_path / "data").mkdir()
    assert "confused_photos" not in add_evidence(bird_results(bird_folder), tmp_path / "data")["runs"][1]
    monkeypatch.delenv("MYNA_DATA", raising=False)
    monkeypatch.chdir(runs.runs_folder())
    assert "confused_photos" not in add_evidence(bird_results(bird_folder))["runs"][1]


def test_the_explanation_comes_with_its_tiles(bird_folder: Path, tmp_path: Path) -> None:
    folder = runs.runs_folder() / "explanations" / "x"
    folder.mkdir(parents=True)
    for name in ("p.png", "m.png"):
        Image.new("RGB", (30, 30)).save(folder / name)
    photo = {"picture": "p.png", "overlay": "m.png", "is_right": True}
    write_json(
        folder / "index.json", {"model": "x", "notes": ["one"], "classes": [{"name": "Crow", "photos": [photo]}]}
    )
    first, second = add_evidence(bird_results(bird_folder), tmp_path)["runs"]
    assert "explanation" not in second
    assert first["explanation"]["notes"] == ["one"]
    assert first["explanation"]["findings"] == []
    assert first["explanation"]["analysis"] == {}
    assert as_picture(first["explanation"]["classes"][0]["photos"][0]["tile"])


def test_an_explanation_of_another_net_of_that_name_is_not_shown(bird_folder: Path, tmp_path: Path) -> None:
    net = runs.runs_folder() / "x"
    (net / runs.CONFIG).parent.mkdir(parents=True, exist_ok=True)
    (net / runs.CONFIG).touch()
    save_weights(net / "model.safetensors", {"a": torch.ones(2)})
    index = {"model": "x", "classes": [], "weights_sha256": runs.read_checksum(net)}
    assert index["weights_sha256"]
    write_json(runs.explanation_folder("x") / "index.json", index)
    assert "explanation" in add_evidence(bird_results(bird_folder), tmp_path)["runs"][0]
    save_weights(net / "model.safetensors", {"a": torch.zeros(2)})
    assert "explanation" not in add_evidence(bird_results(bird_folder), tmp_path)["runs"][0]


@pytest.mark.parametrize("figures", [{"n_photos": "many"}, {"n_photos": 20}])
def test_a_broken_analysis_is_one_line(bird_folder: Path, tmp_path: Path, figures: dict[str, Any]) -> None:
    folder = runs.explanation_folder("x")
    write_json(folder / "index.json", {"model": "x", "classes": []})
    write_json(folder / "analysis.json", figures)
    with pytest.raises(UserError, match=r"analysis\.json: not what `myna birds explain --analyse` writes"):
        add_evidence(bird_results(bird_folder), tmp_path)


def test_math_runs_get_their_attention() -> None:
    write_json(runs.runs_folder() / "b" / "attention.json", {"maps": []})
    results = {
        "study": "math",
        "runs": [{"name": "a"}, {"name": "b"}, {"name": "c", "folder": str(runs.runs_folder() / "b")}],
    }
    first, second, third = add_evidence(results)["runs"]
    assert "attention" not in first
    assert second["attention"] == third["attention"] == {"maps": []}


def test_mistakes_of_loose_math_runs_are_counted_where_predictions_and_problems_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MYNA_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    splits = generate_splits()
    predicted = [problem.formula or "" for problem in splits.test[:-1]]
    for name, programs in (("a", [*predicted, "add(n0,n99)|"]), ("b", predicted)):
        # The second has predictions of other problems than those of the split.
        items = as_items(splits.test[: len(programs)], programs)
        write_json(runs.runs_folder() / name / "predictions-test-10-plain.json", items)
    results = {
        "study": "math",
        "source": splits.source,
        "is_generated": True,
        "is_loose": True,
        "runs": [{"name": "a"}, {"name": "b"}],
    }
    first, second = add_evidence(results)["runs"]
    assert list(first["mistakes"]) == ["test"]
    kinds = first["mistakes"]["test"]["kinds"]
    assert (kinds["exact"], kinds["does not run"]) == (len(splits.test) - 1, 1)
    assert "mistakes" not in second
    for other in ({"is_loose": False}, {"source": "other problems"}, {"is_generated": False}):
        assert "mistakes" not in add_evidence(results | other)["runs"][0]
