"""What a net said of the photos of a split, as it lies in a run folder: a list of objects, one a photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from myna.errors import UserError, show
from myna.files import read_json

_FIELDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "photo": (str, "a text"),
    "class": (str, "a text"),
    "predicted": (str, "a text"),
    "probability": ((int, float), "a probability"),
}


def name_photo(path: Path) -> str:
    """Return the name of a photo in predictions: its class folder and its file."""
    return f"{path.parent.name}/{path.name}"


def read_predictions(path: Path) -> list[dict[str, Any]]:
    """Read predictions as `myna.birds.assessment` writes them.

    Raises:
        UserError: the file does not hold them; the message names the item (counted from 0) and the field.
    """
    items = read_json(path)
    if not isinstance(items, list):
        raise UserError(f"{path}: expected a list of photos, not {type(items).__name__}")
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise UserError(f"{path}: item {index}: expected an object with {', '.join(_FIELDS)}")
        for field, (kind, expected) in _FIELDS.items():
            if not isinstance(item.get(field), kind):
                found = show(item[field]) if field in item else "missing"
                raise UserError(f"{path}: item {index}: {field}: {found}; expected {expected}")
    return items
