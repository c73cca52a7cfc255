"""Sentences on the math study, each computed from its measured figures and left out where these are missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from myna.report.document import Notes
from myna.report.math.comparisons import comparisons_of, say_search, say_test
from myna.report.math.measures import (
    SPLITS,
    SUBSETS,
    Line,
    chosen_lines,
    failures_of,
    is_chosen_on_dev,
    lines_of,
)
from myna.report.math.published import PUBLISHED, Published
from myna.report.results import (
    Results,
    as_mapping,
    as_number,
    as_text,
    curve_of,
    in_percent,
    interval,
    join_words,
    titled_runs,
)

_EM, _EXEC = "exact_match", "execution_accuracy"
_NAMES = {_EM: "EM", _EXEC: "Exec"}
_SIMPLER = {"grammar": "plain", "execution": "grammar"}
"""The kind of search that each adds one thing to."""
_ADDED = {"grammar": "The grammar", "execution": "Execution guidance, on top of the grammar,"}
_LEVEL_GAIN = 0.3
"""Points over three evaluations: a curve that moved by less has levelled off."""


def describe_standing(results: Results) -> list[str]:
    """Say which model leads on test, and how far it is from the baselines and from published figures."""
    split = find_main_split(results)
    ranked = sorted(_complete(chosen_lines(results, split)), key=_percent, reverse=True)
    if not ranked:
        return []
    leader = ranked[0]
    sentences = [_name_leader(results, ranked, split)]
    if len(ranked) > 1:
        sentences.append(_compare_with_next(results, leader, ranked[1]))
    baselines = [line for line in _complete(lines_of(results, split)) if line.kind == "baseline"]
    sentences += [_compare_with_baseline(leader, baseline) for baseline in baselines]
    if split == "test" and not results.get("is_generated"):
        sentences += _compare_with_published(ranked)
    return sentences


def describe_details(results: Results) -> list[Notes]:
    """Return what else the figures say, by topic; a topic on which they say nothing is left out."""
    notes = [Notes(title, tuple(describe(results))) for title, describe in _TOPICS.items()]
    return [note for note in notes if note.sentences]


def find_main_split(results: Results) -> str:
    """Return test, or dev where only that has scores of a run."""
    scored = (s for s in SPLITS if any(line.kind == "run" for line in lines_of(results, s)))
    return next(scored, SPLITS[0])


def _describe_subsets(results: Results) -> list[str]:
    """Say how scores fall from seen to far problems, and where the exact matches come from."""
    split, sentences = find_main_split(results), []
    for line in _complete(chosen_lines(results, split)):
        known = [subset for subset in SUBSETS if line.share(_EM, subset) is not None]
        if len(known) < 2:
            continue
        figures = join_words([f"{_percent(line, _EM, subset):.1f} on {subset}" for subset in known])
        n, n_seen = as_number(line.score.get("n")), as_number(as_mapping(line.score.get("seen")).get("n"))
        em, em_seen = line.share(_EM), line.share(_EM, "seen")
        source = ""
        if n and n_seen and em and em_seen is not None:
            of_all, of_matches = in_percent(n_seen / n), in_percent(min(1.0, em_seen * n_seen / (em * n)))
            source = f"; the seen ones, {of_all:.1f} % of all, give {of_matches:.1f} % of its exact matches"
        sentences.append(f"{line.title} scores EM {figures} problems of {split}{source}.")
    return sentences


def _describe_search(results: Results) -> list[str]:
    """Say what grammar and execution guidance changed, each beside the search that lacks it alone."""
    split = find_main_split(results)
    lines = [line for line in _complete(lines_of(results, split)) if line.kind == "run"]
    found = {(line.title, line.score.get("beam_size"), str(line.score.get("search"))): line for line in lines}
    sentences = []
    for (title, beam_size, search), line in found.items():
        base = found.get((title, beam_size, _SIMPLER.get(search, "")))
        if base is not None:
            what = f"{_ADDED[search]} {_change(line, base)} for {title} on {split}"
            sentences.append(f"{what}{_failure_change(line, base)}{_speed_change(line, base)}.")
    return sentences


def _describe_failures(results: Results) -> list[str]:
    """Say how many predictions have no value and why, and what exact match alone does not see."""
    split = find_main_split(results)
    sentences = []
    # The first search listed of each run: the least guided one.
    first = {line.title: line for line in reversed(lines_of(results, split)) if line.kind == "run"}
    for line in reversed(first.values()):
        failures, n = failures_of(line), as_number(line.score.get("n"))
        if failures and n:
            reason, count = max(failures.items(), key=lambda item: item[1])
            sentences.append(
                f"{sum(failures.values()):,} of {n:,.0f} programs of {line.title}{_in_brackets(line.search)} have no"
                f" value on {split}; the most frequent reason: {reason} ({count:,})."
            )
    for line in _complete(chosen_lines(results, split)):
        other_way = round(_percent(line, _EXEC) - _percent(line, _EM), 1)
        if other_way > 0:
            sentences.append(
                f"At least {other_way:.1f} % of the programs of {line.title} differ from the reference and still give"
                " the right answer."
            )
    return sentences


def _describe_learning(results: Results) -> list[str]:
    """Say when each run was at its best on dev, and whether it had levelled off."""
    sentences = []
    for run, title in titled_runs(results):
        losses, scores = curve_of(run, "val", "loss"), curve_of(run, "val", _EM)
        if len(losses) > 1:
            epoch, lowest = min(losses, key=lambda point: point[1])
            rise = losses[-1][1] - lowest
            after = f", and has risen by {rise:.3f} at the end" if rise >= 0.0005 else ""
            sentences.append(
                f"The dev loss of {title} is lowest in epoch {epoch:g} of {losses[-1][0]:g} ({lowest:.3f}){after}."
            )
        if len(scores) > 3:
            epoch, best = max(scores, key=lambda point: point[1])
            gain = round(in_percent(scores[-1][1]) - in_percent(scores[-4][1]), 1)
            trend = "had levelled off" if abs(gain) < _LEVEL_GAIN else "was still rising" if gain > 0 else "was falling"
            sentences.append(
                f"The greedy dev EM of {title} is best in epoch {epoch:g} of {scores[-1][0]:g} "
                f"({in_percent(best):.1f}); it moved by {gain:+.1f} points over the last three evaluations,"
                f" so it {trend}."
            )
    return sentences


_TOPICS: dict[str, Callable[[Results], list[str]]] = {
    "Seen, novel and far problems": _describe_subsets,
    "Grammar and execution guidance": _describe_search,
    "What goes wrong": _describe_failures,
    "Learning": _describe_learning,
}


def _name_leader(results: Results, ranked: Sequence[Line], split: str) -> str:
    """Say which model has the highest exact match, and whether execution accuracy agrees."""
    leader = ranked[0]
    search = _in_brackets(leader.search + ("; chosen on dev" if leader.search and is_chosen_on_dev(results) else ""))
    figures = f"EM {_figure(leader, _EM)} and Exec {_figure(leader, _EXEC)}"
    if len(ranked) == 1:
        return f"On {split}, {leader.title}{search} reaches {figures}."
    sentence = f"On {split}, {leader.title}{search} leads the trained models with {figures}"
    ahead = max(ranked, key=lambda line: _percent(line, _EXEC))
    if _percent(ahead, _EXEC) > _percent(leader, _EXEC):
        sentence += f"; by execution accuracy {ahead.title} is ahead with {_figure(ahead, _EXEC)}"
    return sentence + "."


def _compare_with_next(results: Results, leader: Line, second: Line) -> str:
    """Say how far apart the two best models are, and what the paired test says of it, or else their intervals."""
    lead = round(_percent(leader) - _percent(second), 1)
    distance = f"{lead:.1f} points of EM ahead of" if lead else "level in EM with"
    sentence = f"It is {distance} {second.title} (EM {_figure(second, _EM)}, Exec {_figure(second, _EXEC)})"
    for each in comparisons_of(results, "models"):
        names = as_text(each.get("a")), as_text(each.get("b"))
        if each["measure"] == _EM and set(names) == {leader.title, second.title}:
            sign = 1 if names[0] == leader.title else -1
            return f"{sentence}; paired over problems ({say_search(each)}): {say_test(each, sign)}."
    ours, theirs = interval(leader.score, _EM), interval(second.score, _EM)
    if ours is None or theirs is None:
        return sentence + "."
    if ours[0] > theirs[1]:
        return sentence + ", and their 95 % intervals of EM do not overlap."
    return sentence + "; their 95 % intervals of EM overlap, so the intervals alone do not settle which is better."


def _compare_with_baseline(leader: Line, baseline: Line) -> str:
    """Say how far the leader is above or below a baseline: on all problems, on the novel, on the far."""
    parts = []
    for subset, where in {"": "on all problems", "novel": "on the novel", "far": "on the far ones"}.items():
        values = [line.share(measure, subset) for line in (leader, baseline) for measure in _NAMES]
        if None not in values:
            em, execution = (_percent(leader, m, subset) - _percent(baseline, m, subset) for m in _NAMES)
            parts.append(f"{_distance(em, execution)} {where}")
    floor = f"{baseline.title} (EM {_percent(baseline):.1f}, Exec {_percent(baseline, _EXEC):.1f})"
    return f"Against the {floor}, {leader.title} is {'; '.join(parts)}."


def _compare_with_published(ranked: Sequence[Line]) -> list[str]:
    """Say how far the leader is from the best published model, and each model from the best of its kind."""
    known = [each for each in PUBLISHED if each.is_test]
    best = max(known, key=_published_em)
    sentences = [_compare_with_one(ranked[0], best, "the best published model on this data")]
    for line in ranked:
        alike = [each for each in known if each.model == line.title.partition(",")[0]]
        if alike and (line is not ranked[0] or max(alike, key=_published_em) is not best):
            sentences.append(
                _compare_with_one(line, max(alike, key=_published_em), f"the best published {alike[0].model}")
            )
    return sentences


def _compare_with_one(line: Line, published: Published, what: str) -> str:
    """Say how far a model is above or below one published figure."""
    em, execution = _published_em(published), published.execution_accuracy
    difference = _percent(line) - in_percent(em)
    gap = None if execution is None else _percent(line, _EXEC) - in_percent(execution)
    figures = f"EM {in_percent(em):.1f}" + ("" if execution is None else f", Exec {in_percent(execution):.1f}")
    return f"{line.title} is {_distance(difference, gap)} {what} ({published.source}: {figures})."


def _published_em(published: Published) -> float:
    return published.exact_match or 0.0


def _distance(em: float, execution: float | None) -> str:
    """Return "1.0 points of EM and 2.0 of Exec below" for differences in points."""
    em, execution = round(em, 1), None if execution is None else round(execution, 1)
    if execution is None:
        return _side(em, "EM")
    if em * execution > 0:
        return f"{abs(em):.1f} points of EM and {abs(execution):.1f} of Exec {'above' if em > 0 else 'below'}"
    return f"{_side(em, 'EM')} and {_side(execution, 'Exec')}"


def _side(points: float, name: str) -> str:
    """Return on which side a difference lies."""
    return f"{abs(points):.1f} points of {name} {'above' if points > 0 else 'below'}" if points else f"level in {name}"


def _change(line: Line, base: Line) -> str:
    """Say by how much the two measures moved."""
    em, execution = (round(_percent(line, measure) - _percent(base, measure), 1) for measure in _NAMES)
    if not em and not execution:
        return "left EM and Exec as they were"
    return f"changed EM by {em:+.1f} and Exec by {execution:+.1f} points"


def _failure_change(line: Line, base: Line) -> str:
    """Say from how many to how many the programs without a value went, where both are known."""
    if "failures" not in line.score or "failures" not in base.score:
        return ""
    before, after = (sum(failures_of(each).values()) for each in (base, line))
    return f"; programs without a value went from {before:,} to {after:,}" if before != after else ""


def _speed_change(line: Line, base: Line) -> str:
    """Say how fast one search is beside another, where both are known."""
    ours, theirs = (as_number(each.score.get("problems_per_second")) for each in (line, base))
    return f"; it decodes at {ours / theirs:.2f} times the speed" if ours and theirs else ""


def _complete(lines: Sequence[Line]) -> list[Line]:
    """Return the lines that have both main measures."""
    return [line for line in lines if all(line.share(measure) is not None for measure in _NAMES)]


def _percent(line: Line, measure: str = _EM, subset: str = "") -> float:
    """Return a measure that the line is known to have, in percent as tables show it."""
    return in_percent(line.share(measure, subset) or 0.0)


def _figure(line: Line, measure: str) -> str:
    """Return a measure with its interval, for people."""
    bounds = interval(line.score, measure)
    text = f"{_percent(line, measure):.1f}"
    return f"{text} [{in_percent(bounds[0]):.1f}, {in_percent(bounds[1]):.1f}]" if bounds else text


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""
