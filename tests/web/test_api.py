from io import BytesIO

import pytest
from PIL import Image

from myna.birds.naming import Naming
from myna.mathqa.solution import Solution


def test_a_problem_is_answered_in_the_schema_that_the_command_line_prints(client):
    answer = client.post("/api/solve", json={"problem": "3 and 5", "attention": True}).json()
    assert Solution.model_validate(answer).answer == 8
    assert len(answer["attention"]["weights"]) == len(answer["attention"]["tokens"])
    assert client.post("/api/solve", json={"problem": "3 and 5"}).json()["attention"] is None


def test_a_problem_without_an_answer_is_answered_with_the_reason(client):
    answer = client.post("/api/solve", json={"problem": "nothing"}).json()
    assert answer["answer"] is None
    assert answer["message"] == "There are no two numbers in it."


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "problem: Field required"),
        ({"problem": ""}, "problem: String should have at least 1 character"),
        ({"problem": "x" * 2001}, "problem: String should have at most 2000 characters"),
        ({"problem": "x", "beam_size": 21}, "beam_size: Input should be less than or equal to 20"),
        ({"problem": "x", "beamsize": 2}, "beamsize: Extra inputs are not permitted"),
        ({"problem": "refuse"}, "this problem is refused"),
    ],
)
def test_what_is_wrong_with_a_question_is_told_in_a_line(client, body, told):
    response = client.post("/api/solve", json=body)
    assert response.status_code == 422
    assert response.json() == {"detail": told}


def test_a_body_that_is_not_json_is_told(client):
    response = client.post("/api/solve", content=b"{", headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert "JSON" in response.json()["detail"]


def test_a_photo_is_named(client, red_photo, blue_photo):
    known = client.post("/api/name", files={"photo": ("red.png", red_photo)}).json()
    assert Naming.model_validate(known).is_known
    assert known["photo"] == "red.png"
    assert not client.post("/api/name", files={"photo": ("blue.png", blue_photo)}).json()["is_known"]


def test_an_overlay_is_a_jpeg_and_an_unknown_species_is_told(client, red_photo):
    files = {"photo": ("red.png", red_photo)}
    response = client.post("/api/overlay", files=files, data={"species": "House Crow"})
    assert response.headers["content-type"] == "image/jpeg"
    assert Image.open(BytesIO(response.content)).size == (40, 30)
    response = client.post("/api/overlay", files=files, data={"species": "Penguin"})
    assert response.status_code == 422
    assert "Penguin" in response.json()["detail"]


@pytest.mark.parametrize("content", [b"", b"no photo", b"\x89PNG\r\n\x1a\n", b"GIF89a" + b"\xff" * 99])
def test_what_is_no_photo_is_told_by_the_name_that_it_came_with(client, content):
    for path in ("/api/name", "/api/overlay"):
        response = client.post(path, files={"photo": ("bird.txt", content)})
        assert response.status_code == 422
        assert response.json()["detail"].startswith("bird.txt: ")


def test_a_photo_of_too_many_pixels_is_refused_by_its_header(client):
    encoded = BytesIO()
    Image.new("1", (8_001, 8_001)).save(encoded, "PNG")
    response = client.post("/api/name", files={"photo": ("bomb.png", encoded.getvalue())})
    assert response.status_code == 422
    assert "pixels" in response.json()["detail"]


def test_a_program_of_a_vector_drawing_is_not_run(client):
    drawing = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"
    assert client.post("/api/name", files={"photo": ("x.eps", drawing)}).status_code == 422


def test_the_status_says_loading_then_ready(client):
    assert client.get("/api/status").json()["math"] == {"state": "loading", "model": "", "reason": ""}
    client.post("/api/solve", json={"problem": "3 and 5"})
    assert client.get("/api/status").json()["math"] == {"state": "ready", "model": "stand-in-solver", "reason": ""}


def test_a_model_that_is_not_there_is_told_and_the_other_works(make_client, red_photo):
    def load():
        raise FileNotFoundError("no weights")

    client = make_client(solver=load)
    response = client.post("/api/solve", json={"problem": "3 and 5"})
    assert response.status_code == 503
    assert "no weights" in response.json()["detail"]
    assert client.get("/api/status").json()["math"]["state"] == "failed"
    assert client.post("/api/name", files={"photo": ("red.png", red_photo)}).status_code == 200


def test_models_begin_to_load_when_the_server_starts(make_client):
    with make_client() as client:
        client.app.state.site.solver.start().result(10)
        assert client.get("/api/status").json()["math"]["state"] == "ready"


def test_runs_are_listed_and_read(client):
    names = {run["name"]: run["is_finished"] for run in client.get("/api/runs").json()}
    assert names == {"norm-bn": True, "norm-gn": False}
    run = client.get("/api/runs/norm-gn").json()
    assert (run["epoch"], run["n_epochs"], run["best_score"]) == (2, 4, 0.2)
    assert run["settings"]["model.norm"] == "bn"
    assert len(run["metrics"]) == 4


@pytest.mark.parametrize("name", ["nowhere", "%2e%2e%2fnorm-bn", "norm-bn%2f..", "studies"])
def test_a_run_that_is_not_listed_is_not_there(client, name):
    response = client.get(f"/api/runs/{name}")
    assert response.status_code == 404
    assert set(response.json()) == {"detail"}
