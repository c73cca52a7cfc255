"""Many impatient people at once, at a real server: nobody is lost, and nobody sees a fault of ours."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import httpx
import pytest
import uvicorn

from myna.cli.serve import listen

N_REQUESTS = 200


@pytest.fixture
def address(make_client):
    """Where a server listens."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(make_client().app, log_level="error", ws="none", timeout_graceful_shutdown=5)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


def _requests(red_photo: bytes):
    """Return for each kind of request how it is sent, and what comes back."""
    json = {"content-type": "application/json"}
    return {
        "problem": ({"method": "POST", "url": "/api/solve", "json": {"problem": "3 and 5"}}, 200),
        "photo": ({"method": "POST", "url": "/api/name", "files": {"photo": ("a.png", red_photo)}}, 200),
        "form": ({"method": "POST", "url": "/math", "data": {"problem": "2 and 2"}}, 200),
        "runs": ({"method": "GET", "url": "/api/runs"}, 200),
        "broken JSON": ({"method": "POST", "url": "/api/solve", "content": b"{{{{", "headers": json}, 422),
        "bytes": ({"method": "POST", "url": "/api/solve", "content": bytes(range(256)), "headers": json}, 422),
        "nested": ({"method": "POST", "url": "/api/solve", "content": b"[" * 60_000, "headers": json}, 400),
        "no photo": ({"method": "POST", "url": "/birds", "files": {"photo": ("a.png", b"\0" * 5000)}}, 422),
        "cut photo": ({"method": "POST", "url": "/api/name", "files": {"photo": ("a", red_photo[:40])}}, 422),
        "large": ({"method": "POST", "url": "/api/solve", "content": b"x" * 100_000, "headers": json}, 413),
        "nowhere": ({"method": "PUT", "url": "/%00/..%2f"}, 404),
    }


def test_of_200_requests_at_once_none_is_lost_and_none_fails(address, red_photo, solver):
    kinds = _requests(red_photo)
    sent = [list(kinds)[i % len(kinds)] for i in range(N_REQUESTS)]

    async def send_all():
        limits = httpx.Limits(max_connections=N_REQUESTS)
        async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as client:
            return await asyncio.gather(*(client.request(**kinds[kind][0]) for kind in sent))

    responses = asyncio.run(send_all())
    came = Counter((kind, response.status_code) for kind, response in zip(sent, responses, strict=True))
    assert came == Counter((kind, kinds[kind][1]) for kind in sent)
    answers = {r.json()["answer"] for kind, r in zip(sent, responses, strict=True) if kind == "problem"}
    assert answers == {8}
    assert Counter(solver.asked) == {"3 and 5": sent.count("problem"), "2 and 2": sent.count("form")}


def test_those_who_leave_give_up_their_place(address, solver):
    async def ask():
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            first = asyncio.create_task(client.post("/api/solve", json={"problem": "wait 1 and 1"}))
            while not solver.asked:
                assert not first.done()
                await asyncio.sleep(0.01)
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/api/solve", json={"problem": "7 and 7"}, timeout=0.5)
            last = asyncio.create_task(client.post("/api/solve", json={"problem": "2 and 2"}))
            await asyncio.sleep(0.2)
            solver.may_go_on.set()
            return [(await each).json()["answer"] for each in (first, last)]

    assert asyncio.run(ask()) == [2, 4]
    assert solver.asked == ["wait 1 and 1", "2 and 2"]
