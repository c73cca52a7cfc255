"""Two runs of one half side by side: settings, curves, scores, and whether they differ by more than noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from myna.birds.predictions import read_predictions as read_photos
from myna.errors import UserError
from myna.report.results import as_mappings, as_number, curve_of
from myna.report.significance import judge, say_p
from myna.studies.collection import describe_run, find, find_results, measure_command, read_kind
from myna.studies.paired import adjust
from myna.studies.statistics import paired_difference

_CURVES = {
    "birds": {
        "training loss": ("train", "loss"),
        "val loss": ("val", "loss"),
        "val accuracy": ("val", "accuracy"),
        "val macro_f1": ("val", "macro_f1"),
    },
    "math": {
        "training loss": ("train", "loss"),
        "dev loss": ("val", "loss"),
        "dev exact_match": ("val", "exact_match"),
        "dev execution_accuracy": ("val", "execution_accuracy"),
    },
}
"""Where each curve is found; a loss is best where it is lowest, anything else where it is highest."""
_MEASURES = {
    "birds": ("accuracy", "macro_f1", "top5", "calibration_error", "loss"),
    "math": ("exact_match", "execution_accuracy", "token_match"),
}
_TESTED = {"birds": ("accuracy",), "math": ("exact_match", "execution_accuracy")}


def compare_runs(name_a: str, name_b: str) -> dict[str, Any]:
    """Compare two finished runs of one half; a difference is always that of b less that of a.

    Nothing is measured: scores and predictions are those in the run folders, and programs are judged again from their
    texts.

    Args:
        name_a: a run's name or folder.
        name_b: another's.

    Returns:
        `study`; `a` and `b`: `name`, `seed`, `n_parameters`, `minutes`; `settings`: (name, a, b) where they differ;
        `curves`: for each both have, `name`, and for each run `final`, `best` and `best_epoch`; `scores`: `what`,
        `measure`, `a`, `b`, `difference`; `tests`: `what`, `measure`, `n`, `difference`, `low`, `high`, `p`, and
        `p_holm`, adjusted for how many tests of the measure there are; `sentences`: in words; `missing`: commands that
        make what is not there.

    Raises:
        UserError: a run is not there or not finished, or they are of different halves.
    """
    folders = [find_run(name) for name in (name_a, name_b)]
    kinds = [read_kind(folder) for folder in folders]
    if kinds[0] != kinds[1]:
        raise UserError(f"{folders[1]}: a run of {kinds[1]}; expected one of {kinds[0]}, as {folders[0]} is")
    a, b = (describe_run(kinds[0], folder) for folder in folders)
    scores = _compare_scores(kinds[0], a, b)
    tests, notes = _test(kinds[0], folders)
    return {
        "study": kinds[0],
        **{key: _describe(run) for key, run in (("a", a), ("b", b))},
        "settings": _compare_settings(a["config"], b["config"]),
        "curves": _compare_curves(kinds[0], a, b),
        "scores": scores,
        "tests": tests,
        "sentences": [*(_say(test, a["name"], b["name"]) for test in tests), *notes],
        "missing": _find_missing(kinds[0], folders, tests),
    }


def find_run(name: str) -> Path:
    """Return the folder of a finished run.

    Raises:
        UserError: there is none, or the name is a study's.
    """
    folder = find(name)
    if find_results(folder):
        raise UserError(f"{name}: a study; expected a run (a study compares its runs in its own report)")
    return folder


def _describe(run: Mapping[str, Any]) -> dict[str, Any]:
    return {key: run[key] for key in ("name", "seed", "n_parameters", "minutes")}


def _compare_settings(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the settings that differ."""
    keys = [key for key in dict.fromkeys([*a, *b]) if key != "name" and a.get(key) != b.get(key)]
    return [{"name": key, "a": a.get(key), "b": b.get(key)} for key in keys]


def _compare_curves(kind: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the ends and the best points of the curves that both runs have."""
    compared = []
    for name, (split, measure) in _CURVES[kind].items():
        points = [curve_of(run, split, measure) for run in (a, b)]
        if all(points):
            best = min if measure == "loss" else max
            ends = [best(curve, key=lambda point: point[1]) for curve in points]
            told = [
                {"final": curve[-1][1], "best": value, "best_epoch": int(epoch), "epochs": int(curve[-1][0])}
                for curve, (epoch, value) in zip(points, ends, strict=True)
            ]
            compared.append({"name": name, "a": told[0], "b": told[1]})
    return compared


def _compare_scores(kind: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the scores that were measured on both runs in the same way."""
    compared = []
    ours, theirs = (_scores_by_name(kind, run["scores"]) for run in (a, b))
    for what in ours:
        for measure in _MEASURES[kind]:
            values = [as_number(scores.get(what, {}).get(measure)) for scores in (ours, theirs)]
            if values[0] is not None and values[1] is not None:
                difference = values[1] - values[0]
                compared.append(
                    {"what": what, "measure": measure, "a": values[0], "b": values[1], "difference": difference}
                )
    return compared


def _scores_by_name(kind: str, scores: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return scores by what they are of: a split, and of math the beam size and the search too."""
    if kind == "birds":
        return dict(scores)
    return {
        f"{split}, beam {score.get('beam_size')}, {score.get('search')}": score
        for split, listed in scores.items()
        for score in as_mappings(listed)
    }


def _test(kind: str, folders: Sequence[Path]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the paired tests on predictions that both runs have, and notes on those that cannot be paired."""
    names = [{path.name for path in folder.glob("predictions-*.json")} for folder in folders]
    tests, notes = [], []
    for name in sorted(names[0] & names[1]):
        what = name.removeprefix("predictions-").removesuffix(".json")
        items = [_read(kind, folder / name) for folder in folders]
        if kind == "birds" and what == "train":
            # Of photos that both nets learnt, the difference says nothing of others.
            continue
        examples = [[_example(kind, item) for item in listed] for listed in items]
        if examples[0] != examples[1] or not examples[0]:
            notes.append(f"On {what} there is no paired test: the two runs were not measured on the same examples.")
            continue
        verdicts = [_judge(kind, listed) for listed in items]
        for measure in _TESTED[kind]:
            ours, theirs = ([each[measure]] for each in verdicts)
            found = paired_difference(theirs, ours)
            tests.append({"what": _readable(kind, what), "measure": measure, "n": len(examples[0]), **found})
    by_measure = ([test for test in tests if test["measure"] == measure] for measure in _TESTED[kind])
    return [test for own in by_measure for test in adjust(own)], notes


def _read(kind: str, path: Path) -> list[dict[str, Any]]:
    """Read a run's predictions.

    Raises:
        UserError: the file does not hold them.
    """
    if kind == "birds":
        return read_photos(path)
    # Brings scikit-learn along, which birds need not wait for.
    from myna.mathqa.evaluation import read_predictions

    return read_predictions(path)


def _example(kind: str, item: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what an example is known by: its photo and class, or its problem and answer."""
    keys = ("photo", "class") if kind == "birds" else ("Problem", "linear_formula", "answer")
    return tuple(item.get(key) for key in keys)


def _judge(kind: str, items: Sequence[Any]) -> dict[str, list[bool]]:
    """Return whether each prediction is right, by measure."""
    if kind == "birds":
        return {"accuracy": [item["predicted"] == item["class"] for item in items]}
    from myna.mathqa.evaluation import judge_items

    verdicts = judge_items(list(items))
    return {
        "exact_match": [verdict.exact for verdict in verdicts],
        "execution_accuracy": [verdict.executes for verdict in verdicts],
    }


def _say(test: Mapping[str, Any], a: str, b: str) -> str:
    """Say what a paired test found, no stronger than it is."""
    points, low, high = (round(100 * test[key], 1) + 0.0 for key in ("difference", "low", "high"))
    side = f"{abs(points):.1f} points {'above' if points > 0 else 'below'}" if points else "level with"
    measure = test["measure"].replace("_", " ")
    p, kind = test["p_holm"], "adjusted " if test["p_holm"] != test["p"] else ""
    return (
        f"On {test['what']}, {b} is {side} {a} in {measure}: {judge(p)} ({kind}{say_p(p)}, paired over"
        f" {test['n']:,} examples; 95 % interval {low:+.1f} to {high:+.1f})."
    )


def _find_missing(kind: str, folders: Sequence[Path], tests: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the commands that make a paired test on test possible, where there is none."""
    if any(test["what"].startswith("test") for test in tests):
        return []
    return [
        measure_command(kind, folder, "test") for folder in folders if not list(folder.glob("predictions-test*.json"))
    ]


def _readable(kind: str, what: str) -> str:
    """Return "test, beam 10, plain" for "test-10-plain"."""
    split, *search = what.split("-")
    return f"{split}, beam {', '.join(search)}" if kind == "math" and search else what
