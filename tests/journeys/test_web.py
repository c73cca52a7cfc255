"""A stranger comes to `myna serve` with a browser: asks both models, follows a training, makes mistakes."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

expect = pytest.importorskip("playwright.sync_api").expect
expect.set_options(timeout=60_000)
PATHS = ["/", "/math", "/birds", "/runs", "/api"]

# Hands a file over as a drop from the desktop does.
DROP = """([name, type, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name, { type }));
  for (const kind of ["dragover", "drop"]) {
    document.querySelector("main").dispatchEvent(
      new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
  }
}"""

# Every text that is seen, with less contrast to its ground than WCAG AA asks for.
PALE = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parse = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return parse("white");
  };
  const pale = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest(".unseen, .skip, title, noscript")) continue;
    const style = getComputedStyle(element);
    const colour = parse(element.ownerSVGElement ? style.fill : style.color);
    const [a, b] = [luminance(colour), luminance(ground(element))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    const text = element.textContent.trim().slice(0, 40);
    if (ratio < (isLarge ? 3 : 4.5)) pale.push(`${element.tagName} ${text}: ${ratio.toFixed(2)}`);
  }
  return pale;
}"""

# Every control, picture and region that a screen reader has no name for; every id that is there twice.
NAMELESS = """() => {
  const find = (selector) => [...document.querySelectorAll(selector)];
  const nameless = [
    ...find("input:not([type=hidden]), textarea, select").filter((e) => !e.labels.length && !e.ariaLabel),
    ...find("button, a, summary, th").filter((e) => !e.textContent.trim()),
    ...find("img:not([alt])"),
    ...find("[role=region], [role=img], nav, section").filter((e) => !e.ariaLabel),
  ];
  const ids = find("[id]").map((e) => e.id);
  return nameless.map((e) => e.outerHTML.slice(0, 80)).concat(ids.filter((id, i) => ids.indexOf(id) !== i));
}"""


def encode(kind="JPEG"):
    """Return a picture of coloured noise, which is no bird."""
    pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    encoded = BytesIO()
    Image.fromarray(pixels).save(encoded, kind)
    return encoded.getvalue()


def drop(page, name, kind, content):
    page.evaluate(DROP, [name, kind, base64.b64encode(content).decode()])


def test_a_problem_is_typed_and_answered_by_keyboard_alone(open_page):
    page = open_page("/")
    keyboard = page.keyboard
    keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    keyboard.press("Enter")
    keyboard.press("Tab")
    assert page.evaluate("document.activeElement.pathname") == "/math"
    keyboard.press("Enter")
    page.wait_for_url("**/math")
    for _ in range(20):
        keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if page.evaluate("document.activeElement.id") == "problem":
            break
    keyboard.type("Ravi can do a piece of work in 12 days and Sita in 6 days. In how many days do they do it together?")
    keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Solve"
    keyboard.press("Enter")
    expect(page.locator("h2.verdict")).to_have_text("Answer: 4")
    expect(page.get_by_role("status")).to_contain_text("Answer: 4")
    expect(page.get_by_role("region", name="Steps").locator("tbody tr").last).to_contain_text("4")
    assert page.evaluate("document.activeElement.textContent") == "Solve"
    keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "example"


def test_an_example_is_clicked_and_shows_steps_attention_and_other_programs(open_page):
    page = open_page("/math")
    button = page.get_by_role("group", name="Or try one of these").get_by_role("button").nth(1)
    button.click()
    expect(page.locator("h2.verdict")).to_be_visible()
    assert page.get_by_label("A problem in English").input_value() == button.inner_text()
    expect(page.get_by_role("img", name="Attention map")).to_be_visible()
    page.get_by_text("The same in words").click()
    expect(page.locator("#looks tbody tr").first).to_contain_text("%")
    page.get_by_text("Other programs it thought of").click()
    expect(page.get_by_role("region", name="Programs").locator("tbody tr").first).to_contain_text("%")
    assert page.evaluate(NAMELESS) == []


def test_a_photo_is_dropped_named_and_explained(open_page):
    page = open_page("/birds")
    drop(page, "noise.jpg", "image/jpeg", encode())
    expect(page.locator("h2.verdict")).to_be_visible()
    expect(page.locator(".asked")).to_have_text("noise.jpg")
    verdict = page.locator("h2.verdict").inner_text()
    expect(page.get_by_role("status")).to_have_text(verdict)
    rows = page.locator("table.likely tbody tr")
    expect(rows).to_have_count(5)
    second = rows.nth(1).locator("th").inner_text()
    rows.nth(1).get_by_role("button").click()
    expect(page.locator("figcaption").nth(1)).to_contain_text(f"What speaks for {second}")
    widths = page.locator(".pair img").evaluate_all("images => images.map((image) => image.naturalWidth)")
    assert len(widths) == 2
    assert min(widths) > 0
    assert page.evaluate(NAMELESS) == []


@pytest.mark.data
def test_a_photo_to_try_is_clicked_and_explained_for_another_species(open_page):
    page = open_page("/birds")
    page.locator(".photos button").first.click()
    expect(page.locator(".asked")).to_contain_text("from the test photos")
    page.locator("table.likely tbody tr").nth(2).get_by_role("button").click()
    expect(page.locator("table.likely tbody tr").nth(2)).to_contain_text("shown")


def test_what_is_no_photo_is_told_in_words_and_the_next_one_is_named(open_page):
    page = open_page("/birds")
    drop(page, "poem.txt", "text/plain", b"Not a bird.")
    expect(page.locator(".refusal")).to_contain_text("poem.txt: no image that can be read")
    expect(page.get_by_role("status")).to_contain_text("poem.txt")
    page.set_input_files("#photo", {"name": "noise.png", "mimeType": "image/png", "buffer": encode("PNG")})
    expect(page.locator("h2.verdict")).to_be_visible()


def test_a_photo_that_is_too_large_is_told_in_words(open_page, tmp_path):
    page = open_page("/birds")
    (tmp_path / "huge.jpg").write_bytes(bytes(25 * 2**20))
    page.set_input_files("#photo", tmp_path / "huge.jpg")
    expect(page.locator(".refusal")).to_contain_text("too large")


def test_a_training_is_followed_to_its_end(open_page, training):
    page = open_page("/runs")
    page.get_by_role("link", name="follow-me").click()
    expect(page.get_by_text("There is nothing to draw before the first epoch ends.")).to_be_visible()
    page.evaluate("window.isTheSamePage = true")
    for epoch in (1, 2, 3):
        training.train_epoch()
        expect(page.locator("#progress .model")).to_contain_text(f"Epoch {epoch} of 3")
        expect(page.get_by_role("img", name="Loss").locator(".point")).to_have_count(2 * epoch)
    expect(page.get_by_role("status")).to_have_text("Epoch 3 of 3")
    training.finish()
    expect(page.locator("#progress .model")).to_contain_text("Finished.")
    assert page.evaluate("window.isTheSamePage")
    assert page.locator("[hx-trigger]").count() == 0
    assert page.evaluate(NAMELESS) == []


def test_a_report_is_read_and_reaches_nothing_of_the_page(open_page, training):
    (training.folder / "report.html").write_text(
        "<!doctype html><title>Report</title><p>nothing</p>"
        "<script>document.querySelector('p').textContent = window.origin</script>"
    )
    page = open_page("/runs")
    page.get_by_role("link", name="follow-me").first.click()
    page.get_by_role("link", name="The report of this run").click()
    expect(page.locator("p")).to_have_text("null")


def test_a_server_that_is_gone_is_told_in_words(browser, server):
    page = browser.new_page()
    page.goto(f"{server}/math")
    page.route("**/math", lambda route: route.abort())
    page.get_by_label("A problem in English").fill("3 and 5")
    page.get_by_role("button", name="Solve").click()
    expect(page.locator(".refusal")).to_contain_text("The server does not answer.")
    page.close()


def test_the_forms_work_without_javascript(open_page):
    page = open_page("/math", java_script_enabled=False)
    page.get_by_label("A problem in English").fill("A pen costs 3 dollars. What do 4 pens cost?")
    page.get_by_role("button", name="Solve").click()
    expect(page.locator("h2.verdict")).to_be_visible()
    page.goto("/birds")
    page.set_input_files("#photo", {"name": "noise.png", "mimeType": "image/png", "buffer": encode("PNG")})
    page.get_by_role("button", name="Name it").click()
    expect(page.locator(".pair img")).to_have_count(2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_can_be_read_and_have_names_for_all(open_page, training, scheme):
    training.train_epoch()
    page = open_page("/", viewport={"width": 360, "height": 700}, color_scheme=scheme)
    for path in [*PATHS, "/runs/follow-me", "/nowhere"]:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        assert page.evaluate(PALE) == [], path
        assert page.evaluate(NAMELESS) == [], path
        assert page.locator("h1").count() == 1, path


def test_nothing_moves_for_those_who_do_not_want_it(open_page):
    page = open_page("/math", reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_nothing_is_asked_of_any_other_machine(open_page, server):
    page = open_page("/math")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for path in PATHS:
        page.goto(path)
    assert asked
    assert [url for url in asked if not url.startswith(server)] == []
