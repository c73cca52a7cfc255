"""Sentences on a birds study, each computed from its measured figures and left out where these are missing."""

from __future__ import annotations

from collections.abc import Callable

from myna.report.birds.measures import (
    Variant,
    confusion_of,
    find_best,
    find_main_split,
    floors_of,
    per_class,
    rank,
    score_of,
    variants_of,
)
from myna.report.birds.published import PUBLISHED
from myna.report.document import Notes
from myna.report.results import (
    Results,
    Score,
    as_mapping,
    as_mappings,
    as_number,
    as_text,
    in_percent,
    join_words,
)
from myna.report.significance import SIGNIFICANT, judge, say_p

_N_PAIRS = 3
_LEVEL_GAIN = 0.5
"""Points over the last fifth of the epochs: a curve that moved by less has levelled off."""


def describe_standing(results: Results) -> list[str]:
    """Say which setting is best, how it stands to the floors and to published figures, and what leaks."""
    split, best = find_main_split(results), find_best(results)
    if best is None or best.value(split, "accuracy") is None:
        return []
    sentences = [_name_best(best, split), *_compare_with_next(results, best, split)]
    sentences += _compare_with_floors(results, best, split)
    if not results.get("is_generated"):
        sentences += _compare_with_published(best, split)
    return sentences + describe_leaks(results)


def describe_details(results: Results) -> list[Notes]:
    """Return what else the figures say, by topic; a topic on which they say nothing is left out."""
    notes = [Notes(title, tuple(describe(results))) for title, describe in _TOPICS.items()]
    return [note for note in notes if note.sentences]


def describe_best_run(results: Results) -> str:
    """Return which training the tables of single classes are of; "" where none is scored."""
    best, split = find_best(results), find_main_split(results)
    if best is None:
        return ""
    seed = as_text(best.best_run.get("seed"))
    chosen_on = "val" if best.value("val", "accuracy") is not None else "test"
    return f"{best.title}{f', seed {seed}' if seed else ''}, the best by {chosen_on} accuracy, on {split}"


def best_score(results: Results) -> Score:
    """Return the scores of that training."""
    best = find_best(results)
    return score_of(best.best_run, find_main_split(results)) if best else {}


def describe_leaks(results: Results) -> list[str]:
    """Say how many photos of val and test have a copy in train, as far as the audit finds them."""
    copies = as_mapping(as_mapping(results.get("facts")).get("copies"))
    leaked, between = as_mapping(copies.get("leaked")), as_mapping(copies.get("between"))
    counts = {split: as_number(as_mapping(each).get("photos")) for split, each in leaked.items()}
    known = [f"{count:,.0f} of {as_text(split)}" for split, count in counts.items() if count is not None]
    sentences = []
    if known:
        shares = [as_number(as_mapping(each).get("share")) or 0.0 for each in leaked.values()]
        sentences.append(
            f"Leaks: photos with a copy in train, exact or near, that the audit finds: {join_words(known)} (at most"
            f" {100 * max(shares):.2f} % of a split)."
        )
    elif between:
        n = sum(int(as_number(count) or 0) for pair in between.values() for count in as_mapping(pair).values())
        sentences.append(f"Leaks: the audit finds {n:,} pairs of copies, exact or near, that lie in two splits.")
    return sentences


def _name_best(best: Variant, split: str) -> str:
    """Say which setting is best on val, and what it reaches."""
    on_val = best.value("val", "accuracy")
    chosen = f"{best.title}, best on val with {in_percent(on_val):.1f} %," if on_val is not None else best.title
    seeds = f", mean of {len(best.runs)} seeds" if len(best.runs) > 1 else ""
    macro = best.value(split, "macro_f1")
    more = "" if macro is None else f"; macro F1 {in_percent(macro):.1f}"
    return f"{chosen} names {_figure(best, split)} % of the {split} photos rightly{seeds}{more}."


def _compare_with_next(results: Results, best: Variant, split: str) -> list[str]:
    """Say how far the best is from the setting next to it on test, and whether that is more than noise."""
    others = [variant for variant in rank(variants_of(results), split) if variant.title != best.title]
    if not others:
        return []
    second = others[0]
    lead = round(_percent(best, split) - _percent(second, split), 1)
    side = f"{abs(lead):.1f} points {'ahead of' if lead > 0 else 'behind'}" if lead else "level with"
    sentence = f"On {split} it is {side} {second.title} ({_figure(second, split)})"
    p = _find_p(results, best.title, second.title)
    if p is None:
        return [f"{sentence}."]
    return [f"{sentence}; paired over photos, {judge(p)} (adjusted {say_p(p)})."]


def _find_p(results: Results, a: str, b: str) -> float | None:
    """Return the adjusted p of the comparison of two settings."""
    for each in as_mappings(results.get("comparisons")):
        if {each.get("a"), each.get("b")} == {a, b}:
            return as_number(each.get("p_holm"))
    return None


def _compare_with_floors(results: Results, best: Variant, split: str) -> list[str]:
    """Say how far the best is above what needs no net."""
    parts = [
        f"{_side(_percent(best, split) - _percent(floor, split))} {floor.title} ({_percent(floor, split):.1f})"
        for floor in rank(floors_of(results), split)
    ]
    return [f"It is {join_words(parts)}."] if parts else []


def _compare_with_published(best: Variant, split: str) -> list[str]:
    """Say what others report for the same norm, and that it is of other photos."""
    alike = [each for each in PUBLISHED if each.norm == best.norm and best.norm and split in each.accuracy]
    if not alike:
        return []
    top = max(alike, key=lambda each: each.accuracy[split])
    size = as_text(best.setting("data.size"))
    return [
        f"{top.source} reports {in_percent(top.accuracy[split]):.1f} % for {top.norm} at 256 pixels, in a split that"
        f" leaks; ours is of other photos{f', at {size} pixels' if size else ''}, so that the two are not one measure."
    ]


def _describe_ranking(results: Results) -> list[str]:
    """Say how the settings stand, and how many differences are more than noise."""
    split = find_main_split(results)
    ranked = rank(variants_of(results), split)
    if len(ranked) < 2:
        return []
    order = join_words([f"{variant.title} {_percent(variant, split):.1f}" for variant in ranked])
    sentences = [f"By {split} accuracy: {order}."]
    adjusted = [as_number(each.get("p_holm")) for each in as_mappings(results.get("comparisons"))]
    known = [p for p in adjusted if p is not None]
    if known:
        n = sum(p < SIGNIFICANT for p in known)
        sentences.append(
            f"{n} of {len(known)} paired comparisons are more than noise, with p adjusted for all of them."
        )
    by_macro = max(ranked, key=lambda variant: variant.value(split, "macro_f1") or 0.0)
    if by_macro is not ranked[0]:
        sentences.append(f"By macro F1 {by_macro.title} is ahead with {_percent(by_macro, split, 'macro_f1'):.1f}.")
    return sentences


def _describe_fit(results: Results) -> list[str]:
    """Say how far training photos are ahead of val."""
    gaps = {
        variant.title: round(_percent(variant, "train") - _percent(variant, "val"), 1)
        for variant in variants_of(results)
        if None not in (variant.value("train", "accuracy"), variant.value("val", "accuracy"))
    }
    if not gaps:
        return []
    ordered = sorted(gaps, key=lambda title: -gaps[title])
    figures = join_words([f"{gaps[title]:+.1f} for {title}" for title in ordered])
    sentences = [f"Accuracy on training photos, not augmented, less that on val, in points: {figures}."]
    most, least = ordered[0], ordered[-1]
    if len(ordered) > 1 and gaps[most] > gaps[least]:
        sentences.append(f"The gap is widest for {most} and narrowest for {least}.")
    return sentences


def _describe_learning(results: Results) -> list[str]:
    """Say when each setting was at its best on val, and whether it had levelled off."""
    sentences = []
    for variant in variants_of(results):
        points = variant.curve("val", "accuracy")
        if len(points) < 5:
            continue
        epoch, best = max(points, key=lambda point: point[1])
        last, before = points[-1], points[-1 - max(1, len(points) // 5)]
        gain = round(in_percent(last[1]) - in_percent(before[1]), 1)
        trend = "had levelled off" if abs(gain) < _LEVEL_GAIN else "was still rising" if gain > 0 else "was falling"
        sentences.append(
            f"{variant.title} is best on val in epoch {epoch:g} of {last[0]:g} ({in_percent(best):.1f}); over the last"
            f" {last[0] - before[0]:g} epochs it moved by {gain:+.1f} points, so it {trend}."
        )
    return sentences


def _describe_classes(results: Results) -> list[str]:
    """Say which classes are hardest and easiest for the best net, and which it confuses."""
    score = best_score(results)
    classes = sorted(per_class(score), key=lambda each: as_number(each.get("f1")) or 0.0)
    sentences = []
    if len(classes) > 1:
        named = [
            f"{as_text(each.get('name'))} (F1 {in_percent(as_number(each.get('f1')) or 0.0):.1f})" for each in classes
        ]
        hardest, easiest = named[0], named[-1]
        sentences.append(f"{describe_best_run(results)}: hardest is {hardest}, easiest {easiest}.")
    confusion = confusion_of(score)
    if confusion and (mistakes := confusion.mistakes()[:_N_PAIRS]):
        pairs = [
            f"{confusion.names[i]} for {confusion.names[j]} ({confusion.counts[i][j]} of {sum(confusion.counts[i])})"
            for i, j in mistakes
        ]
        sentences.append(f"Most often it takes {join_words(pairs)}.")
    return sentences


def _describe_calibration(results: Results) -> list[str]:
    """Say how far confidence is from accuracy."""
    split = find_main_split(results)
    errors = {
        variant.title: error
        for variant in variants_of(results)
        if (error := variant.value(split, "calibration_error")) is not None
    }
    if not errors:
        return []
    best, worst = min(errors, key=errors.__getitem__), max(errors, key=errors.__getitem__)
    least = f"On {split}, confidence misses accuracy by {in_percent(errors[best]):.1f} points on average with {best}"
    return [
        f"{least}." if best == worst else f"{least}, the least, and by {in_percent(errors[worst]):.1f} with {worst}."
    ]


def _describe_source_bias(results: Results) -> list[str]:
    """Say how well a class can be told from its files alone."""
    bias = as_mapping(as_mapping(results.get("facts")).get("source_bias"))
    accuracy, chance = as_number(as_mapping(bias.get("accuracy")).get("all")), as_number(bias.get("chance"))
    if accuracy is None:
        return []
    against = "" if chance is None else f"; always the commonest class: {in_percent(chance):.1f} %"
    return [
        f"A decision tree that sees only the files (shape, compression, size), and no picture, names"
        f" {in_percent(accuracy):.1f} % of val rightly{against}. Nets see no files, but what tells"
        " these apart may show in the pictures too."
    ]


_TOPICS: dict[str, Callable[[Results], list[str]]] = {
    "Ranking": _describe_ranking,
    "Fit": _describe_fit,
    "Learning": _describe_learning,
    "Classes": _describe_classes,
    "Calibration": _describe_calibration,
    "Traces of the sources": _describe_source_bias,
}


def _percent(variant: Variant, split: str, measure: str = "accuracy") -> float:
    """Return a measure in percent as tables show it, 0 where there is none."""
    return in_percent(variant.value(split, measure) or 0.0)


def _figure(variant: Variant, split: str) -> str:
    """Return an accuracy with its interval, for people."""
    bounds = variant.interval(split, "accuracy")
    text = f"{_percent(variant, split):.1f}"
    return f"{text} [{in_percent(bounds[0]):.1f}, {in_percent(bounds[1]):.1f}]" if bounds else text


def _side(points: float) -> str:
    """Return on which side a difference lies."""
    points = round(points, 1)
    return f"{abs(points):.1f} points {'above' if points > 0 else 'below'}" if points else "level with"
