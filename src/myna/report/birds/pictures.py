"""What is seen of a birds study: photos of species that are confused, and Grad-CAM maps of the best net."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from myna.birds.class_names import readable
from myna.report.birds.map_figures import draw_deletion, draw_randomisation
from myna.report.birds.measures import batch_sizes_of, find_best, score_of
from myna.report.document import Block, Gallery, Missing, Notes, Picture, Strip
from myna.report.plots import slug
from myna.report.results import (
    Results,
    Run,
    as_mapping,
    as_mappings,
    as_number,
    as_picture,
    as_text,
    measure_command,
    runs_of,
)

Photo = Mapping[str, Any]


def show_confused(results: Results) -> Gallery | None:
    """Return the species that the best net confuses most: misread photos beside one of what it took them for."""
    best = find_best(results)
    pairs = as_mappings(best.best_run.get("confused_photos")) if best else []
    strips = [strip for i, pair in enumerate(pairs, 1) if (strip := _show_pair(i, pair)) is not None]
    if best is None or not strips:
        return None
    caption = (
        f"Photos of val that {best.title} misreads, those it is surest of; the last of each row is the photo of the"
        " other species that it names rightly and is surest of."
    )
    return Gallery("confused", "Species that are confused, side by side", caption, tuple(strips))


def missing_photos(results: Results) -> list[Missing]:
    """Return what to say where the photos of confused species cannot be shown."""
    best = find_best(results)
    if best is None or show_confused(results) is not None:
        return []
    if results.get("is_loose"):
        return [Missing("photos of confused species", measure_command(results, best.best_run, "val"))]
    name = as_text(results.get("name")) or "STUDY"
    return [Missing("photos of confused species", f"myna report make {shlex.quote(name)} --data DATA")]


def show_maps(results: Results) -> list[Block]:
    """Return the Grad-CAM maps of a net that was explained, and what was measured on them."""
    run = _find_explained(results)
    explanation = as_mapping(run.get("explanation"))
    strips = tuple(_show_classes(explanation))
    if not strips:
        return []
    size = as_text(explanation.get("map_size"))
    caption = (
        f"Grad-CAM (Selvaraju et al. 2017) in {as_text(explanation.get('model'))}, on photos of val: the gradient of"
        f" the correct class, at the outputs of the last {as_text(explanation.get('n_layers'))} layers"
        f" ({size} x {size}), averaged. Below each photo is its map, laid over it: bright is what speaks most for"
        " the correct class; each map has a scale of its own."
    )
    analysis = as_mapping(explanation.get("analysis"))
    blocks: list[Block | None] = [
        Gallery("maps", "Maps of classes", caption, strips),
        _make_notes("What there was not to show", explanation.get("notes")),
        _make_notes("What the maps show, measured", explanation.get("findings")),
        draw_deletion(analysis),
        draw_randomisation(analysis),
    ]
    return [block for block in blocks if block is not None]


def missing_maps(results: Results) -> list[Missing]:
    """Return which maps, or measures of them, are not there: the assignment asks for those of the best net."""
    best, explained = find_best(results), _find_explained(results)
    # A study of batch sizes is not what the assignment asks to explain.
    if best is None or (batch_sizes_of(results) and not explained):
        return []
    command = f"myna birds explain {shlex.quote(as_text(best.best_run.get('name')))} --analyse"
    if explained.get("name") != best.best_run.get("name"):
        return [Missing(f"the Grad-CAM maps of {best.title}, the best", command)]
    findings = as_mapping(explained.get("explanation")).get("findings")
    return [] if findings else [Missing("what the maps are worth, measured", command)]


def _make_notes(title: str, listed: Any) -> Notes | None:
    """Return sentences under a title, None where there are none."""
    sentences = tuple(map(as_text, listed)) if isinstance(listed, list) else ()
    return Notes(title, sentences) if sentences else None


def _find_explained(results: Results) -> Run:
    """Return the run whose maps there are, the most accurate on val of several."""
    explained = [run for run in runs_of(results) if as_mappings(as_mapping(run.get("explanation")).get("classes"))]
    return max(explained, key=lambda run: as_number(score_of(run, "val").get("accuracy")) or 0.0, default={})


def _show_pair(number: int, pair: Mapping[str, Any]) -> Strip | None:
    """Return the misread photos of a pair, and what they were taken for."""
    truth, said = as_text(pair.get("truth")), as_text(pair.get("predicted"))
    misread, typical = as_mappings(pair.get("photos")), as_mappings(pair.get("typical"))
    pictures = []
    for i, photo in enumerate([*misread, *typical], 1):
        sure = "" if (share := as_number(photo.get("probability"))) is None else f"{100 * share:.0f} % sure"
        right = "" if i <= len(misread) else f"{readable(said)}, named rightly"
        if uri := as_picture(photo.get("data_uri")):
            pictures.append(Picture(f"confused-{number}-{i}", ", ".join(filter(None, (right, sure))), uri))
    if not pictures:
        return None
    n, n_truth = (as_number(pair.get(key)) for key in ("n", "n_truth"))
    count = f": {n:.0f} of {n_truth:.0f} photos" if n is not None and n_truth is not None else ""
    return Strip(f"{readable(truth)} taken for {readable(said)}{count}", tuple(pictures))


def _show_classes(explanation: Mapping[str, Any]) -> Iterator[Strip]:
    """Yield for each class the photos that were named rightly, and those that were not."""
    for each in as_mappings(explanation.get("classes")):
        name = as_text(each.get("name"))
        stands_in = f" (stands in for {as_text(each.get('asked'))})" if each.get("is_stand_in") else ""
        for is_right, how in ((True, "right"), (False, "wrong")):
            photos = [photo for photo in as_mappings(each.get("photos")) if photo.get("is_right") is is_right]
            tiles = [_show_tile(f"map-{slug(name)}-{how}-{i}", photo) for i, photo in enumerate(photos, 1)]
            pictures = tuple(tile for tile in tiles if tile is not None)
            n = as_number(each.get(f"n_{how}"))
            if pictures:
                of = f": {len(pictures)} of {n:.0f}" if n is not None else ""
                yield Strip(f"{readable(name)}{stands_in}, named {how}ly{of}", pictures)


def _show_tile(name: str, photo: Photo) -> Picture | None:
    """Return a photo with its map, and what the net says of it."""
    tile = as_picture(photo.get("tile"))
    if not tile:
        return None
    said = f"{readable(as_text(photo.get('predicted')))}{_in_brackets(photo, 'predicted_probability')}"
    right = "" if photo.get("is_right") else f"; the right class{_in_brackets(photo, 'class_probability')}"
    return Picture(name, f"Said {said}{right}", tile)


def _in_brackets(photo: Photo, key: str) -> str:
    share = as_number(photo.get(key))
    return "" if share is None else f" ({100 * share:.0f} %)"
