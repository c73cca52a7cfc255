"""From a matplotlib figure to an SVG that sits in a page, in its fonts and colours, and can be read at a point.

Colours are given to matplotlib as stand-ins (`INK`, `RULE`, `SERIES`) and leave here as CSS variables, so that
one drawing serves a dark page and a light one.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

INK, RULE = "#000001", "#000002"
SERIES = tuple(f"#0001{i:02x}" for i in range(8))

_STAND_INS = {INK: "ink", RULE: "rule"} | {colour: f"series-{i + 1}" for i, colour in enumerate(SERIES)}
_ON_ANY_GROUND = {
    "ink": "#737c87",
    "rule": "#a3abb5",
    "series-1": "#2b87cb",
    "series-2": "#d8632a",
    "series-3": "#179873",
    "series-4": "#b5629f",
    "series-5": "#a67c00",
    "series-6": "#6d7f92",
    "series-7": "#8468e0",
    "series-8": "#77951c",
}
"""Colours of a drawing in a file of its own: it cannot know the page, so these can be read on dark and on light."""
_NAMESPACE = "http://www.w3.org/2000/svg"
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def draw_svg(figure: Figure, name: str, title: str, points: Mapping[str, Sequence[str]]) -> str:
    """Return a figure as an SVG element for use inside a page; equal figures give equal text.

    Args:
        figure: what is drawn; its colours are the stand-ins of this module.
        name: unique in the page, put before every id within the drawing.
        title: what a screen reader says it is.
        points: for the gid of each line that has markers, what each marker says when pointed at.
    """
    drawn = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), warnings.catch_warnings():
        # The page's font draws the text, so it is nothing to matplotlib's that it lacks a letter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(drawn, format="svg", metadata=_METADATA)
    root = ElementTree.fromstring(drawn.getvalue())
    _drop_furniture(root)
    for gid, labels in points.items():
        _label_points(root, gid, labels)
    _rename_ids(root, name)
    for element in root.iter():
        if style := element.get("style"):
            element.set("style", _restyle(style))
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": title, "class": "drawing"}
    return ElementTree.tostring(root, encoding="unicode")


def as_file(svg: str) -> str:
    """Return a drawing as the text of an SVG file, which stands without a page."""
    coloured = re.sub(r"var\(--([\w-]+)\)", lambda match: _ON_ANY_GROUND[match[1]], svg)
    frame = f'<svg xmlns="{_NAMESPACE}" font-family="system-ui, Helvetica, Arial, sans-serif" '
    return f"{frame}{coloured.removeprefix('<svg ')}\n"


def prefix_ids(svg: str, prefix: str) -> str:
    """Put a prefix before every id within a drawing, and where it is referred to."""
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        for key, mark in (("id", ""), ("href", "#"), ("clip-path", "url(#")):
            if key in element.attrib:
                element.set(key, f"{mark}{prefix}{element.attrib[key].removeprefix(mark)}")
    return ElementTree.tostring(root, encoding="unicode")


def _drop_furniture(root: ElementTree.Element) -> None:
    """Drop namespaces, metadata, blanks and the style sheet, which in a page would reach beyond the drawing."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
        element.text = element.text and element.text.strip()
        element.tail = "\n"
        if reference := element.attrib.pop(_XLINK_HREF, None):
            element.set("href", reference)


def _label_points(root: ElementTree.Element, gid: str, labels: Sequence[str]) -> None:
    """Give each marker of a line its label, as a title."""
    line = next(element for element in root.iter() if element.get("id") == gid)
    markers = list(line.iter("use"))
    assert len(markers) == len(labels), f"{gid}: {len(markers)} markers, {len(labels)} labels"
    for marker, label in zip(markers, labels, strict=True):
        marker.set("class", "point")
        ElementTree.SubElement(marker, "title").text = label


def _rename_ids(root: ElementTree.Element, name: str) -> None:
    """Drop the ids that nothing refers to, and make the others unique in a page of many drawings."""
    text = " ".join(value for element in root.iter() for value in element.attrib.values())
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | {e.attrib["href"][1:] for e in root.iter() if "href" in e.attrib}
    for element in root.iter():
        if (own := element.attrib.pop("id", None)) in used:
            element.set("id", f"{name}-{own}")
        if "href" in element.attrib:
            element.set("href", f"#{name}-{element.attrib['href'][1:]}")
        if "clip-path" in element.attrib:
            element.set("clip-path", element.attrib["clip-path"].replace("url(#", f"url(#{name}-"))


def _restyle(style: str) -> str:
    """Put the page's colours and font in the place of matplotlib's."""
    style = re.sub(r"font:[^;]*?([\d.]+px)[^;]*", r"font-size: \1", style)
    style = re.sub(r"font-family:[^;]*;\s*", "", style)
    return re.sub(r"#[0-9a-f]{6}", lambda match: f"var(--{_STAND_INS[match[0]]})", style)
