"""The HTML pages. Each form works without JavaScript; with it, the answer is put into the page that asked."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, HTTPException, Request, Response, UploadFile
from starlette.responses import FileResponse, HTMLResponse

from myna.birds.photos import decode_photo, read_photo
from myna.web.api import MAX_PROBLEM, model_status
from myna.web.curves import draw_run
from myna.web.heat_map import lay_out
from myna.web.listing import list_reports, list_runs, read_run
from myna.web.photo import examine, make_thumbnail
from myna.web.rendering import render, wants_fragment
from myna.web.site import AtSite, ExamplePhoto, Site
from myna.web.worker import Worker

EXAMPLES = (
    "Ravi can do a piece of work in 12 days and Sita in 6 days. In how many days do they do it together?",
    "A man buys a cycle for rs. 1400 and sells it at a loss of 15 % . What is the selling price?",
    "How many seconds does a train 300 m long , running at 72 km / hr , take to cross a platform of 200 m?",
    "A car covers 300 km in 5 hours. What is its speed in km / hr?",
    "What is the simple interest on rs. 4000 at 8 % per annum for 3 years?",
)
"""Problems to try; the shipped models solve the first three, and go wrong in the last."""
REPORT_POLICY = (
    "sandbox allow-scripts allow-popups; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""A report is one file with its script inside; it runs as if it came from nowhere, and reaches nothing of ours."""
router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/")
def home() -> Response:
    """Return the page with two doors."""
    return render("home.html")


@router.get("/math")
def math(site: AtSite) -> Response:
    """Return the page for word problems."""
    return _math_page(site)


@router.post("/math")
async def solve(
    site: AtSite,
    request: Request,
    problem: Annotated[str, Form()] = "",
    example: Annotated[str, Form()] = "",
) -> Response:
    """Solve a problem, typed or clicked."""
    asked = (example or problem).strip()
    if not asked:
        raise HTTPException(422, "Please type a problem first.")
    if len(asked) > MAX_PROBLEM:
        raise HTTPException(422, f"The problem has {len(asked):,} letters; at most {MAX_PROBLEM:,} are read.")
    solution = await site.solver.ask(lambda solver: solver.solve(asked, with_attention=True), request.is_disconnected)
    heat_map = lay_out(solution.attention) if solution.attention else None
    if wants_fragment(request.scope):
        return render("math_answer.html", solution=solution, heat_map=heat_map)
    return _math_page(site, asked, solution=solution, heat_map=heat_map)


@router.get("/birds")
def birds(site: AtSite) -> Response:
    """Return the page for photos."""
    return _birds_page(site)


@router.post("/birds")
async def name(
    site: AtSite,
    request: Request,
    photo: Annotated[UploadFile | None, File()] = None,
    example: Annotated[str, Form()] = "",
    species: Annotated[str, Form()] = "",
) -> Response:
    """Name a photo, dropped, chosen or clicked."""
    chosen = _find_example(site, example) if example else None
    if chosen is None and not (photo and photo.filename):
        raise HTTPException(422, "Please choose a photo first.")

    def read() -> tuple[Any, str]:
        if chosen:
            return read_photo(chosen.path), f"{chosen.species}, from the test photos"
        assert photo is not None
        title = photo.filename or "photo"
        return decode_photo(photo.file.read(), title), title

    sight = await site.namer.ask(lambda namer: examine(namer, *read(), species or None), request.is_disconnected)
    if wants_fragment(request.scope):
        return render("birds_answer.html", sight=sight, example=example, is_fragment=True)
    return _birds_page(site, sight=sight, example=example)


@router.get("/birds/examples/{number}")
def example_photo(number: str, site: AtSite) -> Response:
    """Return a photo to try, small."""
    return Response(make_thumbnail(_find_example(site, number).path), media_type="image/jpeg")


@router.get("/models/{half}")
def model(half: str, site: AtSite) -> Response:
    """Return how far the model of a half is."""
    workers: dict[str, Worker[Any]] = {"math": site.solver, "birds": site.namer}
    if half not in workers:
        raise HTTPException(404, "There is no such page.")
    return render("model.html", half=half, model=model_status(workers[half]))


@router.get("/runs")
def runs(site: AtSite) -> Response:
    """Return the page of all runs and reports."""
    found = [read_run(folder) for folder in list_runs(site.runs).values()]
    return render("runs.html", runs=found, reports=list(list_reports(site.runs)))


@router.get("/runs/{name}")
def run(name: str, site: AtSite) -> Response:
    """Return the page of a run."""
    folder = list_runs(site.runs).get(name)
    if folder is None:
        raise HTTPException(404, f"There is no run {name!r}.")
    found = read_run(folder)
    reports = [each for each in list_reports(site.runs) if each == name]
    return render("run.html", run=found, panels=draw_run(found), reports=reports)


@router.get("/reports/{name:path}")
def report(name: str, site: AtSite) -> Response:
    """Return a report as it is, shut off from everything else."""
    path = list_reports(site.runs).get(name)
    if path is None:
        raise HTTPException(404, f"There is no report {name!r}.")
    return FileResponse(path, media_type="text/html", headers={"Content-Security-Policy": REPORT_POLICY})


@router.get("/api")
def api(request: Request) -> Response:
    """Return what the JSON API offers, for people."""
    paths = request.app.openapi()["paths"]
    operations = [(method.upper(), path, each) for path, of in paths.items() for method, each in of.items()]
    return render("api.html", operations=operations, base=str(request.base_url).rstrip("/"))


def _math_page(site: Site, problem: str = "", **answer: Any) -> Response:
    return render(
        "math.html",
        half="math",
        model=model_status(site.solver),
        examples=EXAMPLES,
        longest=MAX_PROBLEM,
        problem=problem,
        **{"solution": None, "heat_map": None, **answer},
    )


def _birds_page(site: Site, **answer: Any) -> Response:
    return render(
        "birds.html",
        half="birds",
        model=model_status(site.namer),
        examples=site.examples,
        **{"sight": None, "example": "", "is_fragment": False, **answer},
    )


def _find_example(site: Site, number: str) -> ExamplePhoto:
    """Return a photo to try by its number."""
    known = {str(i): photo for i, photo in enumerate(site.examples)}
    if number not in known:
        raise HTTPException(404, "There is no such photo to try.")
    return known[number]
