import pytest

from myna.errors import UserError

HTMX = {"hx-request": "true"}
SCRIPT = "<script>alert(1)</script>"


@pytest.mark.parametrize("path", ["/", "/math", "/birds", "/runs", "/runs/norm-bn", "/api"])
def test_every_page_has_one_heading_its_landmarks_and_no_script_inside(client, path):
    page = client.get(path)
    assert page.status_code == 200
    assert page.text.count("<h1") == 1
    assert page.text.count("<main") == page.text.count("<nav") == 1
    assert '<html lang="en">' in page.text
    assert "<script>" not in page.text
    assert "http://" not in page.text.replace("http://testserver", "")
    assert "https://" not in page.text


def test_a_form_works_without_javascript(client, red_photo):
    page = client.post("/math", data={"problem": "3 and 5"})
    assert page.text.startswith("<!doctype html>")
    assert ">3 and 5</textarea>" in page.text
    assert "</span>8</h2>" in page.text
    page = client.post("/birds", files={"photo": ("red.png", red_photo)})
    assert page.text.startswith("<!doctype html>")
    assert "This is a Hoopoe, most likely." in page.text
    assert page.text.count("data:image/jpeg;base64,") == 2


def test_with_javascript_the_answer_alone_comes(client, red_photo):
    answer = client.post("/math", data={"problem": "3 and 5"}, headers=HTMX).text
    assert "<html" not in answer
    assert 'data-say="Answer: 8. Of problems' in answer
    answer = client.post("/birds", files={"photo": ("red.png", red_photo)}, headers=HTMX).text
    assert "<html" not in answer
    assert 'data-say="This is a Hoopoe, most likely."' in answer


def test_the_attention_map_is_told_in_words_too(client):
    answer = client.post("/math", data={"problem": "3 and 5"}, headers=HTMX).text
    assert 'role="img" aria-label="Attention map' in answer
    assert '<th scope="row"><code>add</code></th><td>3 33 %, and 33 %, 5 33 %</td>' in answer


def test_no_answer_is_told_with_the_reason_and_the_notes(client):
    answer = client.post("/math", data={"problem": "nothing"}, headers=HTMX).text
    assert "There are no two numbers in it." in answer
    assert "Numbers in words are not read." in answer
    assert 'data-say="No answer. ' in answer


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_was_asked_is_never_markup(client, red_photo, headers):
    answers = [
        client.post("/math", data={"problem": f"3 and 5 {SCRIPT}"}, headers=headers),
        client.post("/birds", files={"photo": (f"{SCRIPT}.png", red_photo)}, headers=headers),
        client.post("/birds", files={"photo": (f"{SCRIPT}.png", b"broken")}, headers=headers),
        client.post("/birds", files={"photo": ("a", red_photo)}, data={"species": SCRIPT}, headers=headers),
        client.get(f"/reports/{SCRIPT}", headers=headers),
    ]
    for answer in answers:
        assert SCRIPT not in answer.text
        assert "&lt;script&gt;" in answer.text


@pytest.mark.parametrize(
    ("data", "told"),
    [({}, "Please type a problem first."), ({"problem": " \n"}, "type a problem"), ({"problem": "x" * 2001}, "2,001")],
)
def test_a_mistake_is_told_in_words_on_a_page_and_in_a_fragment(client, data, told):
    for headers in ({}, HTMX):
        page = client.post("/math", data=data, headers=headers)
        assert page.status_code == 422
        assert told in page.text
        assert ("<html" in page.text) == (not headers)


def test_a_form_without_a_photo_is_told(client):
    assert "Please choose a photo first." in client.post("/birds", data={}).text
    empty = client.post("/birds", files={"photo": ("", b"")})
    assert "Please choose a photo first." in empty.text


def test_an_example_is_asked_by_its_button(client, solver):
    client.post("/math", data={"problem": "", "example": "3 and 5"})
    assert solver.asked == ["3 and 5"]
    page = client.post("/birds", data={"example": "0"})
    assert "Hoopoe, from the test photos" in page.text
    assert client.get("/birds/examples/0").headers["content-type"] == "image/jpeg"
    for number in ("1", "-1", "x", "../0"):
        assert client.get(f"/birds/examples/{number}").status_code == 404
        assert client.post("/birds", data={"example": number}).status_code == 404


def test_another_species_is_shown_on_request(client, red_photo):
    files = {"photo": ("red.png", red_photo)}
    answer = client.post("/birds", files=files, data={"species": "House Crow"}, headers=HTMX).text
    assert "What speaks for House Crow" in answer
    assert 'name="species" value="Hoopoe"' in answer


def test_a_name_is_told_where_no_overlay_can_be_made(make_client, namer_class, red_photo):
    class Namer(namer_class):
        def overlay(self, photo, species=None):
            raise UserError("grad-cam is not installed")

    client = make_client(namer=Namer)
    answer = client.post("/birds", files={"photo": ("red.png", red_photo)}, headers=HTMX)
    assert answer.status_code == 200
    assert "This is a Hoopoe, most likely." in answer.text
    assert "cannot be shown: grad-cam is not installed" in answer.text
    assert 'name="species"' not in answer.text
    answer = client.post("/birds", files={"photo": ("red.png", red_photo)}, data={"species": "Hoopoe"})
    assert answer.status_code == 422


def test_a_net_without_a_threshold_tells_no_score(make_client, namer_class, red_photo):
    class Namer(namer_class):
        def name(self, photo, title):
            return super().name(photo, title).model_copy(update={"score": None, "threshold": None})

    answer = make_client(namer=Namer).post("/birds", files={"photo": ("red.png", red_photo)})
    assert "stand-in-namer" in answer.text
    assert "at a score of" not in answer.text


def test_the_page_says_how_far_the_model_is(make_client):
    client = make_client()
    assert "The model is being loaded." in client.get("/math").text
    assert 'hx-trigger="every 2s"' in client.get("/models/math").text
    client.post("/math", data={"problem": "3 and 5"})
    ready = client.get("/models/math").text
    assert "stand-in-solver" in ready
    assert "hx-trigger" not in ready
    assert client.get("/models/cats").status_code == 404


def test_the_page_says_why_there_is_no_model(make_client):
    def load():
        raise FileNotFoundError("no <weights>")

    client = make_client(namer=load)
    client.post("/birds", data={"example": "0"})
    assert "could not be loaded: FileNotFoundError: no &lt;weights&gt;" in client.get("/birds").text


def test_a_run_that_trains_is_followed_and_a_finished_one_is_not(client):
    followed = client.get("/runs/norm-gn").text
    assert "Epoch 2 of 4" in followed
    assert 'hx-trigger="every 3s"' in followed
    assert '<noscript><meta http-equiv="refresh"' in followed
    finished = client.get("/runs/norm-bn").text
    assert "Finished." in finished
    assert "hx-trigger" not in finished
    assert "refresh" not in finished


def test_a_run_has_its_curves_its_numbers_and_its_settings(client):
    page = client.get("/runs/norm-bn").text
    assert page.count('class="drawing"') == 2
    assert 'aria-label="Loss: Loss"' in page
    assert "accuracy, epoch" not in page
    assert "<code>model.norm</code></th><td><code>bn</code>" in page


def test_reports_are_listed_and_shut_off(client):
    assert 'href="/reports/studies/norms"' in client.get("/runs").text
    report = client.get("/reports/studies/norms")
    assert "The report of norms" in report.text
    assert report.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in report.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/reports/studies/../../secret",
        "/reports//etc/passwd",
        "/reports/%2e%2e/secret",
        "/static/../app.py",
        "/static/x",
    ],
)
def test_no_path_of_a_request_reaches_the_disk(client, runs_folder, path):
    (runs_folder.parent / "secret").mkdir()
    (runs_folder.parent / "secret" / "report.html").write_text("secret")
    response = client.get(path)
    assert response.status_code == 404
    assert "secret" not in response.text or "secret" in path


def test_there_is_no_page_of_that_name(client):
    assert "There is no such page." in client.get("/nowhere").text
    assert "cannot be asked in that way" in client.post("/runs").text


def test_without_runs_the_page_says_how_to_make_one(make_client, tmp_path):
    page = make_client(runs=tmp_path / "none").get("/runs").text
    assert "There are no runs yet." in page
    assert "myna birds train" in page
