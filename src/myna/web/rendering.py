"""Pages and fragments of pages from the templates, and refusals in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Scope

_environment = Environment(
    loader=PackageLoader("myna.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page, or a fragment of one, as a response."""
    return HTMLResponse(_environment.get_template(template).render(values), status)


def wants_fragment(scope: Scope) -> bool:
    """Return whether a request was sent by a page of ours that will put the response into itself."""
    return Headers(scope=scope).get("hx-request") == "true"


def tell(scope: Scope, status: int, reason: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return why a request gets no answer, in the form in which it would have got one: JSON, fragment or page."""
    if scope["path"].startswith(("/api/", "/openapi.json")):
        return JSONResponse({"detail": reason}, status, headers)
    template = "refusal.html" if wants_fragment(scope) else "error.html"
    response = render(template, status, reason=reason)
    response.headers.update(headers or {})
    return response
