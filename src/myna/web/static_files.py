"""The files that pages need, read once at start: a request names one of them, and no path."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, HTTPException, Response

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "txt": "text/plain", "md": "text/plain"}
_FILES = {
    # Pages look like the reports.
    "report.css": (files("myna.report") / "templates" / "report.css").read_bytes(),
    **{file.name: file.read_bytes() for file in (files("myna.web") / "static").iterdir()},
}
router = APIRouter(include_in_schema=False)


@router.get("/static/{name}")
def static_file(name: str) -> Response:
    """Return a style sheet, a script or a picture."""
    if name not in _FILES:
        raise HTTPException(404, "There is no such file.")
    return Response(_FILES[name], media_type=_TYPES[name.rsplit(".")[-1]])
