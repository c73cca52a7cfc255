"""The figures of `map_analysis` in words: one plain sentence a finding, which says no more than its interval does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from myna.birds.map_analysis import CONTROLS, FEWEST

_CONTROL_NAMES = {"other photo": "another photo's map", "centre": "distance from the centre", "random": "random blobs"}
assert set(_CONTROL_NAMES) == set(CONTROLS)
_CANCELLED = 0.1
"""Share of a gradient's size below which it counts as cancelled."""
_LOST = 0.5
"""Of the correlation above the floor: with less than this share left, a map counts as lost."""


def describe_maps(figures: Mapping[str, Any]) -> list[str]:
    """Return observations on the figures that `analyse_maps` gives."""
    n_empty = figures["n_empty"]
    empty = f"; {n_empty} maps are empty: no layer speaks for the class" if n_empty else ""
    measured = f"Measured on {figures['n_photos']} photos of val, {figures['n_right']} of them named rightly{empty}"
    if figures["n_photos"] < FEWEST:
        return [f"{measured}: too few to say anything of others."]
    return [
        f"{measured}.",
        _describe_place("in the middle half of height and width", figures["centre"]),
        _describe_place("within an eighth of the edge", figures["border"]),
        *_describe_right_wrong(figures["right_wrong"]),
        _describe_weights(figures["weight_share"]),
        _describe_curves("Deleting", "falls", figures["deletion"]),
        _describe_curves("Inserting", "rises", figures["insertion"]),
        *(_describe_agreement(agreement) for agreement in figures["agreement"]),
        _describe_randomisation(figures["randomisation"]),
    ]


def _describe_place(place: str, figures: Mapping[str, Any]) -> str:
    share, even = figures["share"], figures["even_share"]
    more = _compared(share["low"] - even, share["high"] - even, "more than", "less than", "not clearly other than")
    return f"{_percent(share)} of a map's mass lies {place}: {more} the {100 * even:.1f} % of an even map."


def _describe_right_wrong(figures: Mapping[str, Any] | None) -> list[str]:
    """Say how maps of wrong answers differ from those of right ones."""
    if figures is None:
        return [f"Fewer than {FEWEST} photos were named rightly, or wrongly: too few to compare their maps."]
    entropy, centre = figures["entropy"], figures["centre_share"]
    spread = _compared(
        entropy["difference"]["low"],
        entropy["difference"]["high"],
        "are spread wider than",
        "are more concentrated than",
        "are not clearly wider or narrower than",
    )
    middle = _compared(
        centre["difference"]["low"],
        centre["difference"]["high"],
        "more of their mass in the middle",
        "less of their mass in the middle",
        "not clearly more or less of their mass in the middle",
    )
    return [
        f"Maps of wrong answers {spread} those of right ones (entropy {_pair(entropy, 1, 3)} of the largest; "
        f"difference {_number(entropy['difference'], 3)}).",
        f"They have {middle} ({_pair(centre, 100, 1)} %).",
    ]


def _describe_weights(shares: Sequence[float]) -> str:
    """Say whether the gradient cancels within the maps of a layer, so that its Grad-CAM map rests on little."""
    listed = ", ".join(f"{100 * share:.0f}" for share in shares)
    n_cancelled = sum(share < _CANCELLED for share in shares)
    verdict = (
        f"in {n_cancelled} of the {len(shares)} layers the gradient cancels within each map, as before an instance "
        "norm, and what Grad-CAM shows of them rests on the little that is left"
        if n_cancelled
        else f"all {len(shares)} layers have a say"
    )
    return f"Averaged over a map, {listed} % of the gradient's size is left in the last layers: {verdict}."


def _describe_curves(doing: str, moves: str, figures: Mapping[str, Any]) -> str:
    """Say which controls a map beats."""
    area = figures["area"]
    verdicts: dict[str, list[str]] = {}
    for name, gain in figures["gain"].items():
        verdict = _compared(gain["low"], gain["high"], "sooner than", "later than", "not clearly sooner than")
        verdicts.setdefault(verdict, []).append(f"by {_CONTROL_NAMES[name]} ({area[name]['mean']:.3f})")
    compared = "; ".join(f"{verdict} {' and '.join(names)}" for verdict, names in verdicts.items())
    return (
        f"{doing} pixels in the order of the map, the correct class's probability {moves} {compared}; "
        f"area under the curve {_number(area['gradcam'], 3)}, the others in brackets."
    )


def _describe_agreement(figures: Mapping[str, Any]) -> str:
    same, other = figures["same"], figures["other"]
    more = "more than" if same["low"] > other["high"] else "not clearly more than"
    return (
        f"Maps of the same photo correlate {_number(same, 2)} with those of {figures['name']}: {more} "
        f"those of different photos, {_number(other, 2)}."
    )


def _describe_randomisation(figures: Mapping[str, Any]) -> str:
    """Say after how many layers of random weights little of the trained net's map is left."""
    floor, steps = figures["other_photo"]["mean"], figures["correlation"]
    limit = floor + _LOST * (1 - floor)
    n_lost = next((i + 1 for i, step in enumerate(steps) if step["high"] < limit), 0)
    first, last, n = figures["layers"][0], steps[-1], len(steps)
    verdict = (
        f"by {n_lost} of {n} layers the map is mostly another: it depends on what the net learned"
        if n_lost
        else "the map mostly stays: it says more about the photo than about what the net learned"
        if last["low"] >= limit
        else "it is not clear how much of the map stays"
    )
    return (
        f"With random weights from the output down, {verdict}; rank correlation with the trained net's map is "
        f"{steps[0]['mean']:.2f} after the {first} alone, {_number(last, 2)} after all {n} layers, "
        f"and {floor:.2f} between different photos."
    )


def _compared(low: float, high: float, above: str, below: str, neither: str) -> str:
    """Return the word for an interval above 0, below 0, or on both sides."""
    return above if low > 0 else below if high < 0 else neither


def _pair(figures: Mapping[str, Any], factor: float, n_digits: int) -> str:
    wrong, right = (factor * figures[name]["mean"] for name in ("wrong", "right"))
    return f"{wrong:.{n_digits}f} against {right:.{n_digits}f}"


def _number(figure: Mapping[str, float], n_digits: int) -> str:
    mean, low, high = (f"{figure[key]:.{n_digits}f}" for key in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def _percent(figure: Mapping[str, float]) -> str:
    mean, low, high = (f"{100 * figure[key]:.1f}" for key in ("mean", "low", "high"))
    return f"{mean} % ({low} to {high})"
