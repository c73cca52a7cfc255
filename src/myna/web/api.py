"""The JSON API: the same answers as the pages give, in the same schemas as `--json` prints."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, HTTPException, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from myna.birds.naming import Naming
from myna.birds.photos import decode_photo
from myna.mathqa.solution import Solution
from myna.web.listing import Run, RunSummary, list_runs, read_run
from myna.web.photo import SHOWN_SIDE, encode_jpeg
from myna.web.site import AtSite
from myna.web.worker import State, Worker

MAX_PROBLEM = 2000
"""Letters of a problem: several times the longest of the course's."""

_REFUSALS = {
    400: "The body is not what its type says.",
    403: "The request was sent by a page of another site.",
    404: "There is no such thing.",
    413: "The body is too large.",
    422: "The request cannot be understood; the text says what is wrong.",
    429: "Too many questions are waiting.",
    503: "The model is not there, or the answer took too long.",
}


class Question(BaseModel):
    """A word problem to solve."""

    model_config = ConfigDict(strict=True, extra="forbid")

    problem: str = Field(min_length=1, max_length=MAX_PROBLEM, description="the problem in words, with its numbers")
    beam_size: int = Field(10, ge=1, le=20, description="programs that the search keeps at each step")
    attention: bool = Field(False, description="whether to tell what the model looked at for each token it wrote")


class Refusal(BaseModel):
    """Why there is no answer."""

    detail: str = Field(description="in a sentence")


class ModelStatus(BaseModel):
    """How far a model is."""

    state: State
    model: str = Field(description="its name; empty unless it is loaded")
    reason: str = Field(description="why there is none; empty unless loading it failed")


class Status(BaseModel):
    """How far the two models are."""

    math: ModelStatus
    birds: ModelStatus


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of the statuses of a refusal."""
    return {status: {"model": Refusal, "description": _REFUSALS[status]} for status in statuses}


_ASKING = refusals(400, 403, 413, 422, 429, 503)
router = APIRouter(prefix="/api")
Photo = Annotated[UploadFile, File(description="JPEG, PNG, WebP, ...; at most 24 MB and 64 million pixels")]


@router.post("/solve", responses=_ASKING, tags=["math"], summary="Solve a word problem")
async def solve(question: Question, site: AtSite, request: Request) -> Solution:
    """Translate a word problem into a program, run it, and tell what speaks for the answer.

    A problem that has no answer is answered too, with the reason in its message.
    """
    return await site.solver.ask(
        lambda solver: solver.solve(question.problem, beam_size=question.beam_size, with_attention=question.attention),
        request.is_disconnected,
    )


@router.post("/name", responses=_ASKING, tags=["birds"], summary="Name the bird in a photo")
async def name(photo: Photo, site: AtSite, request: Request) -> Naming:
    """Return the likeliest species, or that the photo shows none that the net knows."""
    title = photo.filename or "photo"
    return await site.namer.ask(
        lambda namer: namer.name(decode_photo(photo.file.read(), title), title), request.is_disconnected
    )


@router.post(
    "/overlay",
    responses={200: {"content": {"image/jpeg": {}}, "description": "The picture."}, **_ASKING},
    response_class=Response,
    tags=["birds"],
    summary="Show the evidence for a species in a photo",
)
async def overlay(
    photo: Photo,
    site: AtSite,
    request: Request,
    species: Annotated[str | None, Form(description="one that the net knows; else the likeliest")] = None,
) -> Response:
    """Return the photo with its Grad-CAM laid over it, as a JPEG."""
    title = photo.filename or "photo"
    picture = await site.namer.ask(
        lambda namer: encode_jpeg(namer.overlay(decode_photo(photo.file.read(), title), species or None), SHOWN_SIDE),
        request.is_disconnected,
    )
    return Response(picture, media_type="image/jpeg")


@router.get("/status", tags=["both"], summary="Say how far the models are")
async def status(site: AtSite) -> Status:
    """Return for each model whether it is loading, ready or failed, and why."""
    return Status(math=model_status(site.solver), birds=model_status(site.namer))


@router.get("/runs", tags=["runs"], summary="List the runs")
def runs(site: AtSite) -> list[RunSummary]:
    """Return all runs, the one that wrote last first."""
    return [RunSummary.model_validate(read_run(folder).model_dump()) for folder in list_runs(site.runs).values()]


@router.get("/runs/{name}", responses=refusals(404, 422), tags=["runs"], summary="Read a run")
def run(name: str, site: AtSite) -> Run:
    """Return a run's settings and all that it has measured so far."""
    folder = list_runs(site.runs).get(name)
    if folder is None:
        raise HTTPException(404, f"There is no run {name!r}.")
    return read_run(folder)


def model_status(worker: Worker[Any]) -> ModelStatus:
    """Return how far a worker's model is."""
    name: str = worker.model.model_name if worker.model else ""
    return ModelStatus(state=worker.state, model=name, reason=worker.reason)
