"""What a math model attends to while it writes, and whether that is what it needs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from myna.report.document import Block, Figure, Missing, Notes, Panel
from myna.report.drawing import INK, RULE, SERIES, draw_svg
from myna.report.math.measures import chosen_lines
from myna.report.math.observations import find_main_split
from myna.report.plots import FONT_SIZE, LETTER_WIDTH, WIDTH, Across, Curve, draw_cells, draw_curves, make_axes, shorten
from myna.report.results import (
    Results,
    Run,
    as_mapping,
    as_mappings,
    as_number,
    as_text,
    pair_points,
    titled_runs,
)

_N_MAPS = 4
_ROW_HEIGHT = 0.155
"""Of a map in inches: a row holds a word."""
_LEAST = 0.03
"""Of a token's attention: a word with less is left blank."""
_ORDERS = {"attention": "attended first", "random": "in random order", "reversed": "attended last"}
"""In which words are hidden, as people read them."""


def show_attention(results: Results) -> list[Block]:
    """Return the attention maps of the best model that was explained, and the deletion tests of all."""
    explained = [(run, title) for run, title in _ranked(results) if as_mapping(run.get("attention"))]
    if not explained:
        return []
    (best, title), deletions = (
        explained[0],
        [(as_mapping(as_mapping(r.get("attention")).get("deletion")), t) for r, t in explained],
    )
    sentences = tuple(sentence for deletion, t in deletions if (sentence := describe_deletion(deletion, t)))
    blocks = [
        Notes("", sentences) if sentences else None,
        draw_maps(as_mapping(best.get("attention")), title),
        draw_deletion(deletions[0][0], title),
    ]
    return [block for block in blocks if block is not None]


def missing_attention(results: Results) -> list[Missing]:
    """Return what to say where a model that attends was not explained; one is enough."""
    ranked = _ranked(results)
    if not ranked or any(as_mapping(run.get("attention")) for run, _ in ranked):
        return []
    run, title = ranked[0]
    command = f"myna math explain {shlex.quote(as_text(run.get('folder') or run.get('name')))}"
    return [Missing(f"the attention of {title}", command)]


def describe_deletion(deletion: Mapping[str, Any], title: str) -> str:
    """Say whether hiding the words attended to most hurts sooner than hiding any words."""
    areas = {name: as_number(as_mapping(deletion.get("areas")).get(name)) for name in _ORDERS}
    attended, random, last = (areas[name] for name in _ORDERS)
    if attended is None or random is None or last is None:
        return ""
    n = as_number(deletion.get("n"))
    on = f" on {n:,.0f} problems" if n else ""
    figures = (
        f"over the whole test{on} its log-probability of a token is {attended:.2f} on average if the words attended to"
        f" most go first, {random:.2f} in random order, {last:.2f} if they go last"
    )
    if attended < random < last:
        verdict = "it needs the words that it attends to: hiding them first hurts sooner than hiding any words"
    elif attended < random:
        verdict = (
            "hiding the words attended to first hurts sooner than hiding any, but sparing them to the end does not help"
        )
    else:
        verdict = "attention does not show what it needs: hiding the words attended to first hurts no sooner than any"
    return f"{title}: {verdict}; {figures}."


def draw_maps(attention: Mapping[str, Any], title: str) -> Figure | None:
    """Return the attention over a few problems: words down, tokens of the program across."""
    maps = as_mappings(attention.get("maps"))
    right, wrong = ([each for each in maps if bool(each.get("right")) is is_right] for is_right in (True, False))
    # As many of both kinds as there are, then more of the one.
    half = _N_MAPS // 2
    n_right = min(len(right), max(half, _N_MAPS - len(wrong)))
    chosen = [*right[:n_right], *wrong[: _N_MAPS - n_right]]
    panels = [panel for i, each in enumerate(chosen, 1) if (panel := _draw_map(f"attention-{i}", each)) is not None]
    caption = (
        f"{title}, decoded greedily. A column is a token of the program as it is written, a row a word of the problem,"
        " with its numbers masked; the fuller the colour, the more of that token's attention is on the word; under"
        f" {100 * _LEAST:.0f} % it is left blank."
    )
    return Figure("attention-maps", "Attention over the words of a problem", caption, tuple(panels)) if panels else None


def draw_deletion(deletion: Mapping[str, Any], title: str) -> Figure | None:
    """Return how faith in the program falls as words are hidden, in three orders."""
    found = as_mapping(deletion.get("curves"))
    points = {label: pair_points(deletion.get("shares"), found.get(name)) for name, label in _ORDERS.items()}
    curves = [Curve(label, [(100 * x, y) for x, y in own]) for label, own in points.items()]
    heights = [value for curve in curves for _, value in curve.points]
    if not heights:
        return None
    across = Across("Words hidden", span=(0, 100), unit=" %")
    # Room below for the names of lines that end together.
    span = 1.15 * min(0.0, *heights), max(0.0, *heights)
    panel = draw_curves("attention-deletion", title, "Log-probability of a token (nats)", curves, span, across=across)
    caption = (
        "The deletion test (after Petsiuk et al. 2018): words of the problem become unknown, in three orders. The"
        " sooner the model loses faith in the program that it wrote, the more it needs the words hidden first."
    )
    return Figure("attention-deletion", "Hiding what is attended to", caption, (panel,))


def _ranked(results: Results) -> list[tuple[Run, str]]:
    """Return the runs whose models attend and can be asked for it, the best first."""
    lines = chosen_lines(results, find_main_split(results))
    order = [line.title for line in sorted(lines, key=lambda line: -(line.share("exact_match") or 0.0))]
    able = [
        (run, title)
        for run, title in titled_runs(results)
        if as_mapping(run.get("attention")) or _attends(as_mapping(run.get("config")))
    ]
    return sorted(able, key=lambda pair: order.index(pair[1]) if pair[1] in order else len(order))


def _attends(config: Mapping[str, Any]) -> bool:
    return "attn" in as_text(config.get("model.type")) and not config.get("model.input_feeding")


def _draw_map(name: str, attention: Mapping[str, Any]) -> Panel | None:
    """Draw the attention over one problem."""
    words, tokens, weights = (attention.get(key) for key in ("words", "tokens", "weights"))
    if not (isinstance(words, list) and isinstance(tokens, list) and isinstance(weights, list) and words and tokens):
        return None
    rows = [shorten(as_text(word)) for word in words]
    columns = [shorten(as_text(token)) for token in tokens]
    shares = {
        (j, i): share
        for i, row in enumerate(weights[: len(columns)])
        for j, value in enumerate(row[: len(rows)] if isinstance(row, list) else ())
        if (share := as_number(value)) is not None and share >= _LEAST
    }
    height = _ROW_HEIGHT * len(rows)
    left, top = (0.15 + LETTER_WIDTH * max(map(len, labels)) for labels in (rows, columns))
    canvas, axes = make_axes(height + top + 0.1, left=left, right=0.1, top=top, bottom=0.1)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(columns)), columns, rotation=90, parse_math=False)
    axes.set_yticks(range(len(rows)), rows, fontsize=0.9 * FONT_SIZE, parse_math=False)
    for i in range(len(columns)):
        axes.axvline(i, color=RULE, linewidth=0.4)
    size = 72 * (WIDTH - left - 0.1) / len(columns), 72 * _ROW_HEIGHT

    def read(row: int, column: int) -> str:
        return f"{as_text(tokens[column])} on {as_text(words[row])}: {100 * min(1.0, shares[row, column]):.0f} %"

    readings = draw_cells(
        axes, f"{name}-cells", {cell: min(1.0, s) for cell, s in shares.items()}, size, SERIES[0], read
    )
    value = as_number(attention.get("value"))
    title = ("Right" if attention.get("right") else "Wrong") + (
        f": the program gives {value:,g}" if value is not None else ""
    )
    axes.tick_params(colors=INK, length=0)
    return Panel(name, title, draw_svg(canvas, name, f"{title}: attention of its tokens over words", readings))
