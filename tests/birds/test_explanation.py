"""Which photos are explained, what is written, and what is said of what is not there."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from myna.birds.class_names import AskedClass, add_stand_ins, describe_missing, match_classes
from myna.birds.contact_sheet import Band, Tile, draw_overlay, draw_sheet
from myna.birds.explanation import (
    ASSIGNED_CLASSES,
    Answers,
    choose_cases,
    choose_classes,
    find_models,
    read_score,
    save_explanation,
)
from myna.birds.gradcam import compute_maps
from myna.birds.task import BirdModel, BirdTask, Labels, build_resnet
from myna.cli.birds_explain import explain
from myna.engine.checkpoint import save_weights
from myna.errors import UserError
from myna.files import write_json

KNOWN = ("Cattle-Egret", "Coppersmith-Barbet", "Hoopoe", "Indian-Peacock")


def test_names_are_matched_without_regard_to_case_spaces_and_hyphens():
    found = match_classes(["cattle egret", "Copper-smith Barbet", "INDIAN_PEACOCK", "Dodo", "Cattle-Egret"], KNOWN)
    assert [match.name for match in found] == ["Cattle-Egret", "Coppersmith-Barbet", "Indian-Peacock", ""]
    assert [match.asked for match in found][-1] == "Dodo"


def test_the_class_nearest_in_number_stands_in_for_one_that_the_data_lacks():
    counts = {"Cattle-Egret": 40, "Coppersmith-Barbet": 12, "Hoopoe": 44, "Indian-Peacock": 38}
    matched = match_classes(["Cattle Egret", "Dodo", "Great Auk"], KNOWN)
    found = add_stand_ins(matched, counts)
    assert found == [
        AskedClass("Cattle Egret", "Cattle-Egret"),
        AskedClass("Dodo", "Indian-Peacock", True),
        AskedClass("Great Auk", "Hoopoe", True),
    ]
    too_many = match_classes([f"Dodo {i}" for i in range(5)], KNOWN)
    assert sorted(match.name for match in add_stand_ins(too_many, counts)) == sorted(["", *KNOWN])


def test_a_missing_class_is_named_with_what_comes_near_it():
    (misspelt, other) = match_classes(["Hopoe", "Dodo"], KNOWN)
    assert describe_missing(misspelt, KNOWN) == "Hopoe: the data has no such class; did you mean Hoopoe?"
    assert describe_missing(other, KNOWN) == "Dodo: the data has no such class"
    assert describe_missing(AskedClass("Dodo", "Hoopoe", True), KNOWN).endswith("no such class; Hoopoe stands in")


def test_cases_are_spread_from_the_surest_to_the_least_sure():
    # Class 0, with logits of 0 to 8 for it against 4.5 for class 1: the first five are wrong.
    logits = torch.tensor([[float(i), 4.5, 0.0] for i in range(9)] + [[9.0, 0.0, 0.0]])
    right, wrong = choose_cases(logits, [0] * 9 + [2], 0, n=3)
    assert [case.index for case in right] == [8, 6, 5]
    assert [case.index for case in wrong] == [4, 2, 0]
    assert all(case.is_right for case in right)
    assert {case.predicted_id for case in wrong} == {1}
    probabilities = logits[4].softmax(0)
    assert wrong[0].class_probability == pytest.approx(float(probabilities[0]))
    assert wrong[0].predicted_probability == pytest.approx(float(probabilities[1]))
    assert [len(cases) for cases in choose_cases(logits, [0] * 9 + [2], 1, n=3)] == [0, 0]
    assert len(choose_cases(logits, [0] * 9 + [2], 0, n=99)[1]) == 5


def test_classes_that_the_data_lacks_altogether_are_refused_unless_others_stand_in(bird_splits):
    with pytest.raises(UserError, match=r"none of Cattle Egret, .*; it has Crow, Egret, Roller \(or add --stand-ins\)"):
        choose_classes(ASSIGNED_CLASSES, bird_splits, stand_ins=False)
    found = choose_classes(ASSIGNED_CLASSES, bird_splits, stand_ins=True)
    assert [match.name for match in found] == ["Crow", "Egret", "Roller", "", "", "", ""]


@pytest.fixture
def model(bird_splits, make_bird_config):
    """A net that knows crows by their darkness, and calls the rest egrets."""
    config = make_bird_config({"norm": "nn"})
    torch.manual_seed(0)
    net = build_resnet(config.model, 3).eval()
    with torch.no_grad():
        net.output.weight[2] = 0
        net.output.bias[2] = -9
    return BirdModel(config, Labels(bird_splits.classes, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)), net)


def test_the_folder_holds_sheets_pictures_and_an_index_that_names_them(tmp_path, model, bird_splits):
    answers = Answers.compute(model, bird_splits)
    folder = tmp_path / "explained"
    classes = choose_classes(["crow", "Dodo", "Roller"], bird_splits, stand_ins=False)
    index = save_explanation(folder, answers, classes, 3, about={"model": "tiny"}, analysis={"n_photos": 12})
    assert json.loads((folder / "index.json").read_text()) == index
    assert json.loads((folder / "analysis.json").read_text()) == {"n_photos": 12}
    assert index["missing"] == ["Dodo"]
    assert index["notes"][0] == "Dodo: the data has no such class"
    assert "Roller: 0 photos of val named rightly, fewer than the 3 asked for" in index["notes"]
    assert (index["n_photos"], index["size"], index["map_size"], index["n_layers"]) == (12, 16, 4, 2)
    crow, roller = index["classes"]
    assert crow["n_right"] + crow["n_wrong"] == crow["n_photos"] == 4
    assert len(crow["photos"]) == min(3, crow["n_right"]) + min(3, crow["n_wrong"])
    assert [photo["is_right"] for photo in roller["photos"]] == [False] * 3
    predicted = answers.logits.argmax(1).tolist()
    hits = sum(a == b for a, b in zip(predicted, answers.label_ids, strict=True))
    assert index["accuracy"] == pytest.approx(hits / 12)
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
    named = {explained["sheet"] for explained in index["classes"]}
    for explained in index["classes"]:
        named |= {photo[key] for photo in explained["photos"] for key in ("picture", "overlay")}
    assert written == named | {"index.json", "analysis.json"}
    for photo in roller["photos"]:
        position = answers.cache.paths.index(Path(bird_splits.val[0].path.parent.parent / photo["photo"]))
        probabilities = answers.logits[position].softmax(0)
        assert photo["class_probability"] == pytest.approx(float(probabilities[2]), abs=1e-4)
        assert photo["predicted_probability"] == pytest.approx(float(probabilities.max()), abs=1e-4)
        assert photo["predicted"] == bird_splits.classes[int(probabilities.argmax())]


def test_the_map_is_of_the_correct_class_even_where_the_net_names_another(tmp_path, model, bird_splits, monkeypatch):
    asked = []

    def spy(net, inputs, class_ids, **options):
        asked.append(class_ids)
        return compute_maps(net, inputs, class_ids, **options)

    monkeypatch.setattr("myna.birds.explanation.compute_maps", spy)
    classes = choose_classes(["Roller"], bird_splits, stand_ins=False)
    save_explanation(tmp_path / "out", Answers.compute(model, bird_splits), classes, 5, about={"model": "tiny"})
    assert asked == [[2, 2, 2, 2]]  # none of which is named rightly


def test_an_older_explanation_is_replaced_and_anything_else_is_left_alone(tmp_path, model, bird_splits):
    answers = Answers.compute(model, bird_splits)
    classes = choose_classes(["Crow"], bird_splits, stand_ins=False)
    folder = tmp_path / "explained"
    folder.mkdir()
    save_explanation(folder, answers, classes, 1, about={"model": "tiny"})
    (folder / "old.txt").write_text("of the older one")
    save_explanation(folder, answers, classes, 1, about={"model": "tiny"})
    assert not (folder / "old.txt").exists()
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="holds something else than an explanation"):
        save_explanation(precious, answers, classes, 1, about={"model": "tiny"})
    assert (precious / "thesis.txt").read_text() == "years of work"


def test_an_overlay_is_colourful_where_the_map_is_high_and_grey_where_it_is_low():
    photo = Image.new("RGB", (40, 40), (90, 140, 60))
    values = torch.zeros(4, 4).numpy()
    values[:, 2:] = 1
    overlay = draw_overlay(photo, values)
    low, high = overlay.getpixel((2, 20)), overlay.getpixel((37, 20))
    assert max(low) - min(low) < 10
    assert max(high) - min(high) > 60
    assert sum(high) > sum(low)


def test_a_sheet_has_room_for_every_tile_and_cuts_names_that_are_too_long():
    picture = Image.new("RGB", (240, 240), "blue")
    tile = Tile(picture, picture, ["said 100 % " + "Very-Long-Name" * 5], is_right=False)
    full = draw_sheet("A title" * 40, "below", [Band("right", [tile] * 7), Band("wrong", [])], n_columns=5)
    blue = (np.asarray(full) == (0, 0, 255)).all(2).sum()
    assert blue == 14 * 240 * 240
    empty = draw_sheet("title", "below", [Band("right", []), Band("wrong", [])], n_columns=5)
    assert full.height - empty.height > 4 * 240


def write_run(folder, config, model, score):
    """A finished run."""
    best = folder / "best"
    best.mkdir(parents=True)
    for path in (folder, best):
        BirdTask.save(type("Saver", (), {"config": config, "labels": model.labels})(), path)
    save_weights(best / "model.safetensors", model.net.state_dict())
    write_json(folder / "summary.json", {"best_score": score})


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([], "no results of a study; expected one of birds"),
        ({"study": "birds"}, "no results of a study; expected one of birds"),
        ({"study": "birds", "runs": [{"name": "a"}]}, "runs: item 0: expected an object with a name and a label"),
        ({"runs": []}, "a study of None with 0 runs; expected one of birds"),
    ],
)
def test_a_file_that_holds_no_results_is_named(tmp_path, results, reason):
    path = tmp_path / "runs" / "studies" / "norms" / "results.json"
    write_json(path, results)
    with pytest.raises(UserError) as caught:
        find_models("norms")
    assert str(caught.value) == f"{path}: {reason}"


@pytest.mark.parametrize("summary", [[], {}, {"best_score": "0.5"}])
def test_a_summary_without_a_score_is_named(tmp_path, summary):
    write_json(tmp_path / "summary.json", summary)
    with pytest.raises(UserError, match=r"summary\.json: best_score: .*; expected a number"):
        read_score(tmp_path)


def test_of_a_study_the_best_run_of_each_label_is_found_the_best_of_all_first(tmp_path, model):
    runs = tmp_path / "runs"
    scores = {"bn-0": 0.4, "bn-1": 0.5, "gn-0": 0.7, "gn-1": 0.6}
    for name, score in scores.items():
        write_run(runs / name, model.config, model, score)
    listed = [{"name": name, "label": name[:2]} for name in scores]
    write_json(runs / "studies" / "norms" / "results.json", {"study": "birds", "runs": listed})
    assert [folder.name for folder in find_models("norms")] == ["gn-0", "bn-1"]
    assert [folder.name for folder in find_models("bn-0")] == ["bn-0"]
    assert find_models(str(runs / "gn-1")) == [runs / "gn-1"]
    write_json(runs / "studies" / "words" / "results.json", {"study": "math", "runs": listed})
    with pytest.raises(UserError, match="expected one of birds"):
        find_models("words")
    with pytest.raises(UserError, match="nothing-such"):
        find_models("nothing-such")


def test_the_verb_writes_the_folder_and_says_what_it_did(tmp_path, model, bird_folder):
    write_run(tmp_path / "runs" / "tiny", model.config, model, 0.3)
    app = Typer()
    app.command()(explain)
    arguments = ["tiny", "--data", str(bird_folder), "--classes", "egret, dodo", "--per-class", "2"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "dodo: the data has no such class" in result.output
    assert (tmp_path / "runs" / "explanations" / "tiny" / "Egret.png").exists()
    options = ["--output", str(tmp_path / "out"), "--json", "--analyse", "--photos", "6", "--against", "tiny"]
    result = CliRunner().invoke(app, [*arguments, *options])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed["analysis"] == json.loads((tmp_path / "out" / "analysis.json").read_text())
    analysis = printed["analysis"]
    not_empty = 1 - analysis["n_empty"] / analysis["n_photos"]
    assert analysis["agreement"][0]["same"]["mean"] == pytest.approx(not_empty)
    assert analysis["n_empty"] < 6
