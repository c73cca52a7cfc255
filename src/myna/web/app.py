"""The web application: what it is made of, and how its mistakes are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

import myna
from myna.errors import UserError
from myna.web import api, pages, static_files
from myna.web.guard import HEADERS, Guard
from myna.web.rendering import tell
from myna.web.site import ExamplePhoto, Site
from myna.web.worker import Worker

if TYPE_CHECKING:
    from myna.birds.naming import Namer
    from myna.mathqa.solver import Solver

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_ABOUT = "Word problems turned into programs that run, birds named in photos, and the runs that trained both models."


def create_app(
    *,
    solver: Callable[[], Solver],
    namer: Callable[[], Namer],
    runs: Path,
    examples: Sequence[ExamplePhoto] = (),
    hosts: Iterable[str] = LOCAL_HOSTS,
    time_limit: float = 30,
) -> FastAPI:
    """Return the application; both models begin to load when it starts, or with the first question.

    Args:
        solver: loads the model for word problems.
        namer: loads the net for photos.
        runs: the folder of all runs.
        examples: photos to try.
        hosts: names under which the page may be asked for.
        time_limit: seconds that one answer may take.
    """
    site = Site(
        Worker("word problems", solver, time_limit=time_limit),
        Worker("photos", namer, time_limit=time_limit),
        runs,
        examples,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        workers = (site.solver, site.namer)
        for worker in workers:
            worker.start()
        yield
        for worker in workers:
            worker.close()

    # FastAPI's own pages of documentation load scripts from elsewhere; ours is /api.
    app = FastAPI(
        title="Myna", version=myna.__version__, description=_ABOUT, docs_url=None, redoc_url=None, lifespan=lifespan
    )
    app.state.site = site
    for part in (api, pages, static_files):
        app.include_router(part.router)
    app.add_middleware(Guard, hosts=hosts)
    app.add_exception_handler(HTTPException, _tell_refusal)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    app.add_exception_handler(UserError, _tell_mistake)
    app.add_exception_handler(Exception, _tell_bug)
    return app


async def _tell_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reasons = {"Not Found": "There is no such page.", "Method Not Allowed": "This page cannot be asked in that way."}
    return tell(request.scope, error.status_code, reasons.get(error.detail, error.detail), error.headers)


async def _tell_invalid(request: Request, error: Exception) -> Response:
    """Tell the first thing that is wrong with a request."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:])
    return tell(request.scope, 422, f"{place or 'body'}: {first['msg']}")


async def _tell_mistake(request: Request, error: Exception) -> Response:
    return tell(request.scope, 422, str(error))


async def _tell_bug(request: Request, error: Exception) -> Response:
    """Tell that there is a bug; this response alone is made before the guard, so its headers are not yet there."""
    response = tell(request.scope, 500, "Something went wrong here, and it is our fault. The terminal says more.")
    response.headers.update(HEADERS)
    return response
