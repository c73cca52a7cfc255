"""Myna as a wheel: the same bytes each time, all files in it, and it runs outside the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = "from setuptools.build_meta import build_wheel; print(build_wheel('dist'))"
PROBLEM = "half a number plus 7 is 11 . what is the number ?"


def build(folder: Path) -> Path:
    """Build the wheel from a copy of the source."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, folder / name)
    # Copies have times of their own, which must not matter.
    for number, path in enumerate(sorted(folder.rglob("*"))):
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + len(folder.name)))
    done = subprocess.run(
        [sys.executable, "-c", BUILD],
        cwd=folder,
        env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"},
        check=True,
        capture_output=True,
        text=True,
    )
    return folder / "dist" / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("first"))


@pytest.mark.slow
def test_the_wheel_is_built_to_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    assert build(tmp_path / "again").read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    """Templates and scripts of the pages among them."""
    expected = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src" / "myna").rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if name.startswith("myna/")}
    assert found == {name for name in expected if "__pycache__" not in name}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment of its own, which finds all but Myna in ours, and not our Myna."""
    folder = tmp_path_factory.mktemp("elsewhere") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    (Path(packages) / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--ignore-installed", wheel], check=True)
    return folder / "bin" / "myna"


def call(installed: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the installed command in an empty folder."""
    folder = installed.parents[2] / "empty"
    folder.mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MYNA", "PYTHON"))}
    environment["MYNA_RUNS"] = str(folder / "runs")
    return subprocess.run([installed, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_installed_elsewhere_it_solves_with_weights_or_says_where_it_looked(installed: Path) -> None:
    where = call(installed, "math", "solve", PROBLEM)
    assert where.returncode == 2
    assert where.stderr.startswith("myna: lstm_lstm_attn: no shipped model at ")
    assert where.stderr.count("\n") == 1
    assert str(ROOT) not in where.stderr, "it is not the checkout's Myna that runs"
    solved = call(installed, "math", "solve", PROBLEM, "--model", ROOT / "models" / "math" / "lstm_lstm_attn")
    assert solved.returncode == 0, solved.stderr
    assert solved.stdout.splitlines()[0] == "8"
