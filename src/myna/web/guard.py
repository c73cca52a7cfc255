"""What stands before every request: where it may come from, how large it may be; and what every response forbids."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from myna.web.rendering import tell

MAX_PHOTO_BYTES = 24 * 2**20
"""Of a request with a photo: more than a camera's JPEG of 64 million pixels."""
MAX_TEXT_BYTES = 64 * 2**10
"""Of any other request."""
_PATIENCE = 10
"""Times the limit, of a body that is too large, is read to its end, so that the sender can be told."""
_PHOTO_PATHS = ("/birds", "/api/name", "/api/overlay")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
HEADERS = {
    # Drawings are styled by attributes, which can load and run nothing.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # With no-referrer, a browser would hide the origin of our own forms too.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """ASGI middleware that lets through what a page of ours, or a program on this machine, may ask.

    A page elsewhere can make a browser send requests here. It cannot make up where they come from: the Host header
    holds the name under which it knows us (DNS rebinding), Origin and Sec-Fetch-Site say whose page it is.

    Args:
        app: behind the guard.
        hosts: names in the Host header that are us, without ports.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self.app, self.hosts = app, frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request in words, or pass it on with its body counted and its response's headers completed."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        limit = MAX_PHOTO_BYTES if scope["path"] in _PHOTO_PATHS else MAX_TEXT_BYTES
        refusal = self._find_refusal(scope)
        if refusal:
            await tell(scope, *refusal)(scope, receive, send_guarded)
        else:
            await self.app(scope, _count_body(receive, limit), send_guarded)

    def _find_refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return the status and the words of a refusal; None for none."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name_of(f"//{host}") not in self.hosts:
            return 421, f"This page is not served as {host!r}. Start it with --host to serve it under another name."
        if scope["method"] in _SAFE_METHODS:
            return None
        origin = headers.get("origin")
        is_ours = origin is None or origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())
        if not is_ours or headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "This request was sent by a page of another site."
        return None


def _name_of(address: str) -> str | None:
    """Return the host in an address, without its port and brackets; None where it cannot be read."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _count_body(receive: Receive, limit: int) -> Receive:
    """Count a body as it comes, for it need not say its length, or not truly; refuse one that is too large.

    What is too much is thrown away as it comes, up to a point: a browser shows no answer before it has sent all.
    """
    n_bytes = 0

    async def receive_counted() -> Message:
        nonlocal n_bytes
        message = await receive()
        n_bytes += len(message.get("body", b""))
        if n_bytes <= limit:
            return message
        while message.get("more_body") and n_bytes <= _PATIENCE * limit:
            message = await receive()
            n_bytes += len(message.get("body", b""))
        size = f"{limit // 2**20} MB" if limit >= 2**20 else f"{limit // 2**10} kB"
        raise HTTPException(413, f"This is too large; at most {size} are read.")

    return receive_counted
