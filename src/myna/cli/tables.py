"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_SCORES = {
    "n": "problems",
    "exact_match": "exact match",
    "raw_exact_match": "raw exact match",
    "execution_accuracy": "execution",
    "token_match": "token match",
}
_BIRD_SCORES = {
    "accuracy": "accuracy",
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "top5": "top 5",
    "calibration_error": "calibration error",
}
_GROUPS = ("seen", "novel", "far")


def print_scores(title: str, scores: Mapping[str, Any]) -> None:
    """Print scores in percent: of all problems, of each group, of the baselines; then the failures by reason."""
    console = Console()
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in _SCORES.values():
        table.add_column(heading, justify="right")
    groups = {group: scores[group] for group in _GROUPS if scores.get(group)}
    measured = {"all": scores, **groups}
    for name, row in {**measured, **scores.get("baselines", {})}.items():
        table.add_row(name, *(_cell(key, row[key]) for key in _SCORES), end_section=name == list(measured)[-1])
    console.print(table)
    for key, (low, high) in scores.get("intervals", {}).items():
        console.print(f"{_SCORES[key]}: {100 * low:.1f} to {100 * high:.1f} (95 % bootstrap interval)")
    if scores.get("problems_per_second"):
        console.print(f"{scores['problems_per_second']:.0f} problems a second")
    print_failures(console, scores.get("failures", {}))


def print_checks(title: str, checks: Mapping[str, Mapping[str, float]]) -> None:
    """Print how certainties compare with what came true, in percent."""
    table = Table(title=title, title_justify="left")
    for heading in ("test problems", "n", "mean certainty", "right", "calibration error"):
        table.add_column(heading, justify="right" if table.columns else "left")
    for name, check in checks.items():
        shares = (check["mean_certainty"], check["accuracy"], check["calibration_error"])
        table.add_row(name, f"{check['n']:,}", *(f"{100 * share:.1f}" for share in shares))
    Console().print(table)


def print_bird_scores(title: str, scores: Mapping[str, Any]) -> None:
    """Print the scores of a split in percent, then those of each class, the best first."""
    console = Console()
    console.print(f"{title}: {scores['n']:,} photos", markup=False, highlight=False)
    intervals = scores["intervals"]
    for key, name in _BIRD_SCORES.items():
        low, high = intervals.get(key, (None, None))
        interval = f"  ({100 * low:.1f} to {100 * high:.1f}, 95 % bootstrap interval)" if low is not None else ""
        console.print(f"{name:<18} {100 * scores[key]:5.1f}{interval}", highlight=False)
    console.print(f"{'loss':<18} {scores['loss']:5.3f} nats", highlight=False)
    table = Table(title="by class", title_justify="left")
    table.add_column("class")
    for heading in ("photos", "precision", "recall", "F1"):
        table.add_column(heading, justify="right")
    for row in sorted(scores["per_class"], key=lambda row: -row["f1"]):
        shares = (f"{100 * row[key]:.1f}" for key in ("precision", "recall", "f1"))
        table.add_row(escape(row["name"]), str(row["n"]), *shares)
    console.print(table)


def print_failures(console: Console, failures: Mapping[str, int]) -> None:
    """Print why programs had no value, the most frequent reason first."""
    if not failures:
        console.print("every program ran")
        return
    table = Table(title="programs without a value", title_justify="left")
    table.add_column("reason")
    table.add_column("programs", justify="right")
    for reason, count in failures.items():
        table.add_row(escape(reason), str(count))
    console.print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print the facts of the data, a column for each split."""
    console = Console()
    console.print(f"{facts['source']}\n", markup=False, highlight=False)
    splits = facts["splits"]
    table = Table()
    table.add_column("")
    for name in splits:
        table.add_column(name, justify="right")
    for key in next(iter(splits.values())):
        table.add_row(key.replace("_", " "), *(_fact(key, splits[name][key]) for name in splits))
    console.print(table)
    for key, value in facts.items():
        if isinstance(value, int):
            console.print(f"{key.replace('_', ' ')}: {value:,}", highlight=False)


def print_photo_facts(facts: Mapping[str, Any]) -> None:
    """Print what the photos are: counts, sizes, copies, and what gives a class away."""
    console = Console()
    console.print(f"{facts['source']}\n", markup=False, highlight=False)
    splits = facts["splits"]
    table = Table()
    for heading in ("", *splits):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("photos", *(f"{split['photos']:,}" for split in splits.values()))
    table.add_row("unreadable", *(str(split["unreadable"]) for split in splits.values()))
    sizes = [split["sizes"] for split in splits.values()]
    table.add_row("different sizes", *(str(each["distinct"]) if each else "-" for each in sizes))
    table.add_row("median shorter side", *(f"{each['median_shorter_side']:.0f}" if each else "-" for each in sizes))
    for name in facts["classes"]:
        table.add_row(escape(name), *(str(split["class_counts"].get(name, 0)) for split in splits.values()))
    console.print(table)
    copies, bias = facts["copies"], facts["source_bias"]
    for place in ("within", "between"):
        for name, pairs in copies[place].items():
            console.print(f"copies {place} {name}: {pairs['exact']} exact, {pairs['near']} near", highlight=False)
    for pair in copies["pairs_between"]:
        console.print(f"  {' = '.join(pair['photos'])}", markup=False, highlight=False)
    if bias:
        accuracy, chance = (f"{100 * share:.1f} %" for share in (bias["accuracy"]["all"], bias["chance"]))
        console.print(
            f"class told from file traces alone (size, compression): {accuracy} of val right, {chance} by chance"
        )
    for photo in facts["unreadable"]:
        console.print(f"unreadable: {photo['photo']}: {photo['reason']}", markup=False, highlight=False)


def _cell(key: str, value: float) -> str:
    return f"{value:,}" if key == "n" else f"{100 * value:.1f}"


def _fact(key: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    if key.endswith("_share") or key.startswith("references_"):
        return f"{100 * value:.1f} %"
    return f"{value:,}" if isinstance(value, int) else f"{value:.1f}"
