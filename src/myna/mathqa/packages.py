"""Data inside installed packages."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from myna.errors import UserError


def find_in_package(module: str, name: str, lacking: str) -> Path:
    """Return a folder inside a package, without importing the package, whose own needs may be heavy.

    Args:
        module: what the package is imported as.
        name: of the folder.
        lacking: the message if the package is not installed.

    Raises:
        UserError: it is not.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise UserError(lacking)
    return Path(spec.origin).parent / name
