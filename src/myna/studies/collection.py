"""Gathering what was measured: studies and searches by name, runs and shipped models as if a study had asked for them.

Nothing is measured here. What a run folder holds is read, and what it lacks is named with the command that makes it.
"""

from __future__ import annotations

import difflib
import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from myna import runs
from myna.config import flatten, load
from myna.errors import UserError
from myna.files import read_json, read_object, read_text
from myna.studies.plan import CONFIGS

SPLITS = {"birds": ("train", "val", "test"), "math": ("dev", "test")}
"""Splits that scores are read of."""
_TITLES = {"birds": "Runs on photos of birds", "math": "Runs on word problems"}
_NAME = re.compile(r"scores-(?P<split>\w+?)-(?P<beam_size>\d+)-(?P<search>\w+)\.json")


def collect(names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the results of studies and searches, and of loose runs together as one study for each half.

    Args:
        names: of studies, searches and finished runs, or their folders, or the folders of shipped models; a name given
            twice counts once.

    Raises:
        UserError: there is neither a study nor a finished run of a name.
    """
    studies: list[dict[str, Any]] = []
    loose: dict[str, list[Path]] = {}
    for name in dict.fromkeys(names):
        folder = find(name)
        if find_results(folder):
            studies.append(read_results(folder))
        else:
            loose.setdefault(read_kind(folder), []).append(folder)
    return studies + [_gather(kind, folders) for kind, folders in loose.items()]


def find(name: str) -> Path:
    """Return the folder of the results of a study or search, or of a finished run or shipped model; a study goes first.

    Raises:
        UserError: there is neither, or the run is not finished.
    """
    folder = runs.runs_folder()
    choices = [path for path in (Path(name), runs.study_folder(name)) if find_results(path)]
    choices += [path for path in (Path(name), folder / name) if (path / runs.CONFIG).is_file()]
    if not choices:
        paths = *folder.glob(f"*/{runs.CONFIG}"), *folder.glob(f"{runs.STUDIES}/*/*.json")
        known = {path.parent.name for path in paths}
        near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else f"; {len(known)} others are there" if known else ""
        raise UserError(f"{name}: neither a study nor a run in {folder}{hint}")
    if not find_results(choices[0]):
        runs.check_finished(choices[0])
    return choices[0]


def find_results(folder: Path) -> Path | None:
    """Return the file of what a study or a search measured, that of the study where both are there; None for a run."""
    return next((path for path in (folder / runs.RESULTS, folder / runs.GRID) if path.is_file()), None)


def read_results(folder: Path) -> dict[str, Any]:
    """Read what a study or a search wrote.

    Raises:
        UserError: it is neither's results.
    """
    path = find_results(folder) or folder / runs.RESULTS
    results = read_json(path)
    if not isinstance(results, dict) or results.get("study") not in CONFIGS:
        raise UserError(f"{path}: no results of a study; expected one of {', '.join(CONFIGS)}")
    return results


def read_kind(folder: Path) -> str:
    """Return which half a run belongs to.

    Raises:
        UserError: its config does not say.
    """
    path = folder / runs.CONFIG
    try:
        kind = tomllib.loads(read_text(path)).get("study")
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not TOML: {error}") from None
    if kind not in CONFIGS:
        raise UserError(f"{path}: study: {kind!r}; choices: {', '.join(CONFIGS)}")
    return str(kind)


def describe_run(kind: str, folder: Path) -> dict[str, Any]:
    """Return what a run folder says of a run, as a study would.

    Beside what a study says of its runs, `folder` is where it is, and `measure_commands` names for each split what
    measures it.
    """
    settings = read_settings(kind, folder)
    summary, environment = read_object(folder / runs.SUMMARY), runs.read_environment(folder)
    return {
        # What commands take: a shipped model, or a run of elsewhere, is found by its path alone.
        "name": folder.name if folder.resolve().parent == runs.runs_folder().resolve() else str(folder),
        "folder": str(folder),
        # Runs that differ in their seed alone are one setting.
        "label": re.sub(r"-seed\d+$", "", folder.name),
        "seed": settings["training.seed"],
        "command": str(environment.get("command") or "").removesuffix(" --resume") or None,
        "config": settings,
        "n_parameters": summary.get("n_parameters"),
        "minutes": summary.get("minutes"),
        "curves": runs.read_metrics(folder),
        "scores": read_scores(kind, folder),
        "measure_commands": {split: measure_command(kind, folder, split) for split in SPLITS[kind]},
    }


def read_settings(kind: str, folder: Path) -> dict[str, Any]:
    """Return the settings of a run or model as it was trained.

    They are those of its model; those that a resumed run may change are as it was last asked for, and the precision is
    the one that the machine had.
    """
    built = folder / "best" / runs.CONFIG
    asked = flatten(load(CONFIGS[kind], folder / runs.CONFIG).model_dump(mode="json"))
    settings = flatten(load(CONFIGS[kind], built).model_dump(mode="json")) if built.exists() else asked
    precision = settings["training.precision"]
    unknown = "bf16, if the machine had it" if precision == "bf16" else precision
    found = {"training.precision": runs.read_environment(folder).get(runs.PRECISION, unknown)}
    return settings | {key: asked[key] for key in runs.MAY_CHANGE} | found


def read_scores(kind: str, folder: Path) -> dict[str, Any]:
    """Return the scores in the folder of a run or shipped model by split; of math a list, by beam size and search."""
    if (folder / runs.SCORES).is_file():
        shipped = dict(read_json(folder / runs.SCORES))
        return shipped if kind == "birds" else {split: list(found.values()) for split, found in shipped.items()}
    if kind == "birds":
        paths = {split: folder / f"scores-{split}.json" for split in SPLITS[kind]}
        return {split: read_json(path) for split, path in paths.items() if path.exists()}
    scores: dict[str, Any] = {}
    found = [(match, path) for path in folder.glob("scores-*.json") if (match := _NAME.fullmatch(path.name))]
    for match, path in sorted(found, key=lambda each: (int(each[0]["beam_size"]), each[1].name)):
        scores.setdefault(match["split"], []).append(read_json(path))
    return scores


def measure_command(kind: str, folder: Path, split: str) -> str:
    """Return the command that scores a run on a split, and leaves predictions and scores in its folder."""
    stem = split if kind == "birds" else f"{split}-10-plain"
    search = [] if kind == "birds" else ["--beam", "10", "--search", "plain"]
    predictions = ["--output", str(folder / f"predictions-{stem}.json")]
    command = shlex.join(["myna", kind, "eval", str(folder), "--split", split, *search, *predictions, "--json"])
    return f"{command} > {shlex.quote(str(folder / f'scores-{stem}.json'))}"


def _gather(kind: str, folders: Sequence[Path]) -> dict[str, Any]:
    """Return the results of a study that is made of runs of one half."""
    environments = [runs.read_environment(folder) for folder in folders]
    sources = list(dict.fromkeys(str(each.get("data") or "unknown data") for each in environments))
    made_with = [{key: value for key, value in each.items() if key not in ("command", "data")} for each in environments]
    return {
        "study": kind,
        "name": f"{kind}-runs",
        "title": _TITLES[kind],
        "source": "; ".join(sources),
        "is_generated": any("GENERATED" in source for source in sources),
        "is_loose": True,
        # It measures what is not of a run: the facts of the data, and what needs no training.
        "command": f"myna study run configs/studies/quick-{kind}.toml",
        "environment": _join(made_with),
        "runs": [describe_run(kind, folder) for folder in folders],
        "n_planned": len(folders),
        **(_find_shared(kind, sources[0]) if len(sources) == 1 else {}),
    }


def _join(environments: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what runs were made with, where they differ with all values one after the other."""
    joined: dict[str, Any] = {}
    for key in dict.fromkeys(key for each in environments for key in each):
        values = [each[key] for each in environments if key in each]
        if all(isinstance(value, Mapping) for value in values):
            joined[key] = _join(values)
        else:
            texts = dict.fromkeys(map(str, values))
            joined[key] = "; ".join(texts) if len(texts) > 1 else values[0]
    return joined


def _find_shared(kind: str, source: str) -> dict[str, Any]:
    """Return the facts and the baselines that a study measured on the same data; of several, that with most splits."""
    found: list[Mapping[str, Any]] = []
    for path in sorted((runs.runs_folder() / runs.STUDIES).glob(f"*/{runs.RESULTS}")):
        results = read_json(path)
        if isinstance(results, dict) and (results.get("study"), results.get("source")) == (kind, source):
            found.append(results)
    best = max(found, key=_count_splits, default={})
    return {key: best[key] for key in ("facts", "baselines") if key in best}


def _count_splits(results: Mapping[str, Any]) -> int:
    return sum(len(baseline.get("scores", {})) for baseline in results.get("baselines", []))
