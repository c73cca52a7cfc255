"""Ids that stay unique where several studies stand in one report."""

from __future__ import annotations

from dataclasses import replace

from myna.report.document import Block, Figure, Gallery, Section, Strip, Table
from myna.report.drawing import prefix_ids


def scope(section: Section, prefix: str) -> Section:
    """Put a prefix before every id of a section; the empty prefix leaves it as it is."""
    if not prefix:
        return section
    blocks = tuple(scope_block(block, prefix) for block in section.blocks)
    return replace(section, section_id=prefix + section.section_id, blocks=blocks)


def scope_block(block: Block, prefix: str) -> Block:
    """Put a prefix before the ids and the file names of a block."""
    if isinstance(block, Table):
        return replace(block, table_id=prefix + block.table_id)
    if isinstance(block, Figure):
        panels = (replace(each, name=prefix + each.name, svg=prefix_ids(each.svg, prefix)) for each in block.panels)
        return replace(block, figure_id=prefix + block.figure_id, panels=tuple(panels))
    if isinstance(block, Gallery):
        strips = (_scope_strip(strip, prefix) for strip in block.strips)
        return replace(block, gallery_id=prefix + block.gallery_id, strips=tuple(strips))
    return block


def _scope_strip(strip: Strip, prefix: str) -> Strip:
    return replace(strip, pictures=tuple(replace(each, name=prefix + each.name) for each in strip.pictures))
