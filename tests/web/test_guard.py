import asyncio

import pytest

from myna.web.guard import MAX_PHOTO_BYTES, MAX_TEXT_BYTES, Guard

QUESTION = {"problem": "3 and 5"}


@pytest.mark.parametrize("host", ["testserver", "localhost", "localhost:8000", "LOCALHOST:1"])
def test_the_names_of_this_server_are_let_in(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example", "", "[", "user@evil"])
def test_any_other_name_is_refused_in_words(client, host):
    response = client.get("/api/status", headers={"host": host})
    assert response.status_code == 421
    assert "--host" in response.json()["detail"]


def test_ipv6_has_brackets_in_the_header_alone(make_client):
    client = make_client(hosts=["::1"])
    assert client.get("/", headers={"host": "[::1]:8000"}).status_code == 200
    assert client.get("/", headers={"host": "[::2]:8000"}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://testserver:81"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://testserver", "sec-fetch-site": "cross-site"},
    ],
)
def test_a_page_of_another_site_cannot_ask(client, solver, headers):
    response = client.post("/api/solve", json=QUESTION, headers=headers)
    assert response.status_code == 403
    assert response.json() == {"detail": "This request was sent by a page of another site."}
    assert client.post("/math", data=QUESTION, headers=headers).status_code == 403
    assert solver.asked == []


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "http://testserver", "sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}]
)
def test_our_pages_and_programs_can_ask(client, headers):
    assert client.post("/api/solve", json=QUESTION, headers=headers).json()["answer"] == 8


@pytest.mark.parametrize("path", ["/", "/math", "/api/status", "/static/web.js", "/nowhere", "/runs/norm-gn"])
def test_every_response_forbids_what_pages_do_not_need(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_a_bug_is_told_in_words_with_the_same_headers(client):
    response = client.post("/api/solve", json={"problem": "bug"})
    assert response.status_code == 500
    assert "our fault" in response.json()["detail"]
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "Traceback" not in client.post("/math", data={"problem": "bug"}).text


@pytest.mark.parametrize(("path", "limit"), [("/api/solve", MAX_TEXT_BYTES), ("/api/name", MAX_PHOTO_BYTES)])
def test_a_body_that_says_it_is_too_large_is_refused(client, path, limit):
    kind = "application/json" if path == "/api/solve" else "multipart/form-data; boundary=x"
    response = client.post(path, content=b" " * (limit + 1), headers={"content-type": kind})
    assert response.status_code == 413
    assert "too large" in response.json()["detail"]


def test_a_body_that_comes_in_pieces_and_says_no_length_is_refused_too(client):
    pieces = (b" " * 1024 for _ in range(MAX_TEXT_BYTES // 1024 + 1))
    response = client.post("/api/solve", content=pieces, headers={"content-type": "application/json"})
    assert response.status_code == 413
    assert response.json() == {"detail": "This is too large; at most 64 kB are read."}


def test_a_body_without_end_is_not_read_to_its_end():
    n_read = 0

    async def receive():
        nonlocal n_read
        n_read += 1
        return {"type": "http.request", "body": b" " * MAX_TEXT_BYTES, "more_body": True}

    async def app(scope, receive, send):
        while True:
            await receive()

    scope = {"type": "http", "method": "POST", "path": "/math", "headers": [(b"host", b"localhost")]}
    with pytest.raises(Exception, match="413"):
        asyncio.run(Guard(app, ["localhost"])(scope, receive, None))
    assert n_read < 20
