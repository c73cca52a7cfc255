from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from myna import runs
from myna.config import BirdsConfig, MathConfig, save
from myna.errors import UserError
from myna.files import write_json, write_text
from myna.studies.collection import collect, find, read_settings

BIRDS, MATH = "the photos", "the problems"


def write_run(name: str, kind: str = "birds", finished: bool = True, **more: Any) -> Path:
    """Write the folder of a run."""
    folder = runs.runs_folder() / name
    folder.mkdir(parents=True)
    config = (BirdsConfig if kind == "birds" else MathConfig).model_validate({"name": name, "training": more})
    save(config, folder / runs.CONFIG)
    environment = {"data": BIRDS if kind == "birds" else MATH, "command": f"myna {kind} train c.toml --resume"}
    write_json(folder / runs.ENVIRONMENT, {"myna": "0.1.0", **environment})
    line = '{"split": "val", "epoch": 1, "loss": 2.0, "accuracy": 0.5}\n'
    write_text(folder / runs.METRICS, line)
    if finished:
        write_json(folder / runs.SUMMARY, {"n_parameters": 7, "minutes": 1.5, "best_score": 0.5})
    return folder


def write_study(name: str, **more: Any) -> Path:
    folder = runs.runs_folder() / "studies" / name
    write_json(folder / "results.json", {"study": "birds", "name": name, "runs": [], "source": BIRDS} | more)
    return folder


def test_studies_come_as_they_are_and_loose_runs_as_one_study_of_each_half() -> None:
    write_study("norms")
    for name in ("a-seed0", "a-seed1"):
        write_run(name, seed=int(name[-1]))
    write_run("words", "math")
    norms, birds, math = collect(["a-seed0", "norms", "words", "a-seed1", "norms"])
    assert norms["name"] == "norms"
    assert (birds["study"], birds["is_loose"], birds["source"]) == ("birds", True, BIRDS)
    assert [(run["name"], run["label"], run["seed"]) for run in birds["runs"]] == [
        ("a-seed0", "a", 0),
        ("a-seed1", "a", 1),
    ]
    assert [run["name"] for run in math["runs"]] == ["words"]


def test_settings_are_those_that_it_was_trained_with() -> None:
    folder = write_run("a")
    asked = BirdsConfig.model_validate({"name": "a", "training": {"epochs": 20, "precision": "bf16"}})
    save(asked, folder / runs.CONFIG)
    # Resumed to more epochs, it found no better model than one of the first training.
    built = asked.model_copy(update={"training": asked.training.model_copy(update={"epochs": 12})})
    save(built, folder / "best" / runs.CONFIG)
    assert read_settings("birds", folder)["training.epochs"] == 20
    assert read_settings("birds", folder)["training.precision"] == "bf16, if the machine had it"
    write_json(folder / runs.ENVIRONMENT, {runs.PRECISION: "no"})
    assert read_settings("birds", folder)["training.precision"] == "no"


def test_the_record_is_of_all_runs() -> None:
    for name, commit in (("a", "abc"), ("b", "def"), ("c", "abc")):
        folder = write_run(name)
        write_json(folder / runs.ENVIRONMENT, {"commit": commit, "packages": {"torch": "2", "numpy": f"1.{commit}"}})
    (results,) = collect(["a", "b", "c"])
    assert results["environment"] == {"commit": "abc; def", "packages": {"torch": "2", "numpy": "1.abc; 1.def"}}


@pytest.mark.parametrize(("name", "text"), [(runs.SUMMARY, "[]"), (runs.ENVIRONMENT, "3")])
def test_a_record_of_another_kind_is_one_line(name: str, text: str) -> None:
    (write_run("a") / name).write_text(text)
    with pytest.raises(UserError, match=rf"a/{name}: expected an object, not a (list|int)"):
        collect(["a"])


def test_a_loose_run_tells_what_its_folder_holds() -> None:
    folder = write_run("a")
    write_json(folder / "scores-val.json", {"accuracy": 0.25})
    (results,) = collect([str(folder)])
    (run,) = results["runs"]
    assert run["scores"] == {"val": {"accuracy": 0.25}}
    assert (run["n_parameters"], run["minutes"], run["command"]) == (7, 1.5, "myna birds train c.toml")
    assert run["curves"][0]["accuracy"] == 0.5
    assert run["config"]["model.norm"] == "bn"
    assert results["environment"] == {"myna": "0.1.0"}
    assert "facts" not in results
    command = run["measure_commands"]["test"]
    assert command == (
        f"myna birds eval {folder} --split test --output {folder}/predictions-test.json --json"
        f" > {folder}/scores-test.json"
    )


def test_scores_of_math_are_listed_by_beam_size() -> None:
    folder = write_run("words", "math")
    for name in ("test-10-plain", "test-1-plain", "dev-10-grammar"):
        write_json(folder / f"scores-{name}.json", {"of": name})
    (results,) = collect(["words"])
    assert results["runs"][0]["scores"] == {
        "test": [{"of": "test-1-plain"}, {"of": "test-10-plain"}],
        "dev": [{"of": "dev-10-grammar"}],
    }


def test_a_shipped_model_tells_what_its_run_did_and_what_it_scores(tmp_path: Path) -> None:
    birds, math = tmp_path / "models" / "bin", tmp_path / "models" / "attn"
    for kind, folder in (("birds", birds), ("math", math)):
        run = write_run(f"{folder.name}-seed0", kind)
        folder.mkdir(parents=True)
        (folder / runs.CONFIG).write_bytes((run / runs.CONFIG).read_bytes())
        runs.copy_record(run, folder)
    write_json(birds / runs.SCORES, {"val": {"accuracy": 0.25}})
    write_json(math / runs.SCORES, {"test": {"plain": {"search": "plain"}, "grammar": {"search": "grammar"}}})
    photos, problems = (each["runs"][0] for each in collect([str(birds), str(math)]))
    assert (photos["name"], photos["label"], photos["minutes"]) == (str(birds), "bin", 1.5)
    assert photos["curves"][0]["accuracy"] == 0.5
    assert photos["scores"] == {"val": {"accuracy": 0.25}}
    assert problems["scores"] == {"test": [{"search": "plain"}, {"search": "grammar"}]}


def test_loose_runs_take_the_facts_of_a_study_of_the_same_data() -> None:
    write_study("small", facts={"n": 1}, baselines=[{"scores": {"test": {}}}])
    write_study("whole", facts={"n": 2}, baselines=[{"scores": {"test": {}, "val": {}}}])
    write_study("other", source="other photos", facts={"n": 3}, baselines=[{"scores": dict.fromkeys("abc")}])
    write_study("words", study="math", facts={"n": 4}, baselines=[{"scores": dict.fromkeys("abc")}])
    write_run("a")
    (results,) = collect(["a"])
    assert results["facts"] == {"n": 2}


def test_a_study_goes_before_a_run_of_its_name() -> None:
    write_run("both")
    assert find("both") == runs.runs_folder() / "both"
    assert find("both").name == "both"
    folder = write_study("both")
    assert find("both") == folder
    assert find(str(folder)) == folder


def test_a_search_comes_as_it_is_and_a_study_goes_before_it() -> None:
    folder = runs.runs_folder() / "studies" / "grid"
    write_json(folder / "grid.json", {"study": "math", "name": "grid", "trials": []})
    assert collect(["grid", str(folder)]) == [{"study": "math", "name": "grid", "trials": []}] * 2
    write_study("grid")
    assert collect(["grid"])[0]["runs"] == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("norm", r"norm: neither a study nor a run in .*runs; did you mean norms\?"),
        ("begun", r"begun: this run is not finished; go on with it first"),
        ("fish", r"results\.json: no results of a study; expected one of math, birds"),
    ],
)
def test_mistakes_are_told_in_one_line(name: str, message: str) -> None:
    write_study("norms")
    write_study("fish", study="fish")
    write_run("begun", finished=False)
    with pytest.raises(UserError, match=message) as error:
        collect([name])
    assert "\n" not in str(error.value)


def test_a_config_of_neither_half_is_refused() -> None:
    (write_run("odd") / runs.CONFIG).write_text('study = "fish"\n')
    with pytest.raises(UserError, match=r"config\.toml: study: 'fish'; choices: math, birds"):
        collect(["odd"])
