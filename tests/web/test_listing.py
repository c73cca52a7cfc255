import math
import os

import pytest

from myna.web.curves import draw_run
from myna.web.listing import list_reports, list_runs, read_run


def test_names_that_are_no_run_names_are_passed_over(runs_folder):
    for name in (".hidden", "a b", "<b>", "-x"):
        (runs_folder / name).mkdir()
        (runs_folder / name / "config.toml").touch()
        (runs_folder / name / "report.html").touch()
    assert set(list_runs(runs_folder)) == {"norm-bn", "norm-gn"}
    assert set(list_reports(runs_folder)) == {"studies/norms"}


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("config.toml", "study =", "config.toml: not TOML"),
        ("config.toml", b"\xff", "not UTF-8"),
        ("metrics.jsonl", "{\n", "metrics.jsonl: line 1: not JSON"),
        ("summary.json", "{", "summary.json: line 1"),
    ],
)
def test_a_broken_run_is_told_and_breaks_no_page(client, runs_folder, file, content, told):
    path = runs_folder / "norm-bn" / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    run = read_run(path.parent)
    assert told in run.problem
    assert str(runs_folder) not in run.problem
    assert "broken" in client.get("/runs").text
    assert client.get("/runs/norm-bn").status_code == 200


def test_odd_settings_and_metrics_are_borne(client, runs_folder):
    run = runs_folder / "norm-bn"
    (run / "config.toml").write_text('study = 3\ntraining = "much"\nmodel = 5\n')
    (run / "metrics.jsonl").write_text(
        '{"split": "val", "epoch": NaN, "accuracy": 1e999}\n[1]\n{"epoch": "x", "split": "train", "loss": 1}\n'
    )
    found = read_run(run)
    assert (found.epoch, found.best_score, found.n_epochs, found.problem) == (0, None, None, "")
    (run / "metrics.jsonl").write_text('{"split": "val", "epoch": 1, "accuracy": 1' + 400 * "0" + "}\n")
    assert read_run(run).best_score is None
    (run / "metrics.jsonl").write_text('{"accuracy": ' + 5000 * "1" + "}\n")
    assert "line 1: not JSON" in read_run(run).problem
    (run / "metrics.jsonl").write_text('{"split": "val", "epoch": NaN, "accuracy": 1e999}\n')
    assert draw_run(found) == []
    assert client.get("/runs/norm-bn").status_code == 200
    assert client.get("/api/runs/norm-bn").json()["metrics"][0] == {"split": "val", "epoch": None, "accuracy": None}


def test_a_run_is_drawn_again_only_when_there_is_something_new(runs_folder):
    run = read_run(runs_folder / "norm-gn")
    panels = draw_run(run)
    assert [panel.title for panel in panels] == ["Loss", "Accuracy"]
    assert draw_run(read_run(runs_folder / "norm-gn")) is panels
    with (runs_folder / "norm-gn" / "metrics.jsonl").open("a") as file:
        file.write('{"split": "val", "epoch": 3, "accuracy": 0.9}\n')
    longer = draw_run(read_run(runs_folder / "norm-gn"))
    assert longer is not panels
    assert longer[1].svg.count('class="point"') == 3
    # Made anew, it has as many lines.
    path = runs_folder / "norm-gn" / "metrics.jsonl"
    path.write_text(path.read_text().replace("0.9", "0.2"))
    os.utime(path, (2e9, 2e9))
    assert draw_run(read_run(runs_folder / "norm-gn")) is not longer


def test_the_run_that_wrote_last_is_first(runs_folder):
    import os

    os.utime(runs_folder / "norm-bn" / "metrics.jsonl", (2e9, 2e9))
    assert list(list_runs(runs_folder)) == ["norm-bn", "norm-gn"]
    os.utime(runs_folder / "norm-gn" / "metrics.jsonl", (3e9, 3e9))
    assert list(list_runs(runs_folder)) == ["norm-gn", "norm-bn"]
    assert math.isclose(read_run(runs_folder / "norm-gn").changed.timestamp(), 3e9)
