"""What is installed: every package is locked, and its licence is listed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_package_is_locked_and_its_licence_listed() -> None:
    """`python benchmarks/licences.py > docs/licences.md` brings the list up to date."""
    script = ROOT / "benchmarks" / "licences.py"
    made = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True).stdout
    assert (ROOT / "docs" / "licences.md").read_text() == made
    assert "not locked" not in made
    assert "see the package" not in made


def test_every_lock_is_an_exact_version() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(line.count("==") == 1 and "*" not in line for line in lines)
    names = [line.partition("==")[0].lower().replace("_", "-") for line in lines]
    assert len(set(names)) == len(names)
