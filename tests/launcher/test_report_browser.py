"""A report in a real browser, offline: what a person sees, and that nothing is asked of any network."""

import os
import shutil

import pytest

from launcher.looking import report
from tests.launcher.run_folder import write_run

EVIL = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no browser: apt-get install chromium")


@pytest.fixture(scope="module")
def browser():
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A report of a failed run with restarts, 24 of 60 grids, and a log that tries to act."""
    root = tmp_path_factory.mktemp("root")
    log = f"resuming x after step 60\nwarning: {EVIL}\nerror: {EVIL * 20}\n"
    write_run(root / "gan/one", grids=60, state="failed", message=EVIL, logs={"logs/1/worker-0.log": log})
    path = root / "one.html"
    report.write_report(str(root), "one", path)
    return path


@pytest.fixture
def open_page(browser, file):
    """Open the report without a network: the page, and what it asked for and complained of."""
    contexts = []

    def call(**options):
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("requestfailed", lambda request: said.append(f"failed: {request.url[:80]}"))
        page.on("request", lambda request: request.url.startswith("data:") or said.append(request.url))
        page.goto(file.as_uri())
        return page, said

    yield call
    for context in contexts:
        context.close()


def test_it_needs_nothing_else_and_nothing_in_it_acts(open_page, file):
    page, said = open_page()
    assert said == [file.as_uri()]
    assert page.evaluate("window.pwned") is None
    assert EVIL in page.inner_text("#explanation")


def test_pictures_and_curves_are_seen(open_page):
    page, _ = open_page()
    widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(widths) == 25
    assert min(widths) == 140
    boxes = [path.bounding_box() for path in page.locator("svg [id*=-mean] path").all()]
    assert len(boxes) == 7
    assert all(box["width"] > 200 and box["height"] > 5 for box in boxes)
    assert page.locator("svg [id$=-mark60] path").count() == 4
    ticks = page.evaluate(
        "[...document.querySelectorAll('svg text')].map(each => each.getBoundingClientRect().height)"
    )
    assert min(ticks) > 9


def test_curves_are_of_the_pages_colours(open_page):
    """Its light ones, its dark ones, and on paper its light ones."""
    page, _ = open_page(color_scheme="light")
    stroke = "getComputedStyle(document.querySelector('#panel0-mean1 path')).stroke"
    light = page.evaluate(stroke)
    assert light == "rgb(209, 89, 10)"
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(stroke) == "rgb(255, 157, 87)"
    page.emulate_media(media="print")
    assert page.evaluate(stroke) == light


def test_the_slider_moves_through_the_grids(open_page):
    page, said = open_page()
    slider, shown = page.locator("#viewer input"), page.locator("#viewer img")
    sources = page.evaluate("[...document.querySelectorAll('#strip img')].map(image => image.src)")
    assert len(set(sources)) == 24
    assert shown.get_attribute("src") == sources[-1]
    assert page.inner_text("#viewer output") == "200"
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert shown.get_attribute("src") == sources[-2]
    page.keyboard.press("Home")
    assert (shown.get_attribute("src"), page.inner_text("#viewer output")) == (sources[0], "3")
    page.locator("#strip figure").nth(5).click()
    assert (shown.get_attribute("src"), slider.input_value()) == (sources[5], "5")
    page.locator("#viewer button").click()
    sync_api.expect(slider).not_to_have_value("5")  # it plays
    assert len(said) == 1


def test_without_javascript_all_of_it_is_there(open_page):
    page, _ = open_page(java_script_enabled=False)
    assert page.locator("#viewer img").is_visible()
    assert page.locator("#strip img").nth(23).is_visible()
    assert not page.locator("#viewer input").is_visible()
    assert page.locator("svg [id*=-mean] path").first.is_visible()
    page.locator("summary").click()
    assert "learning_rate" in page.inner_text("details")


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen(open_page, width, scheme):
    page, _ = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # Text that is cut off inside its box counts as well.
    cut = """[...document.querySelectorAll('section, .cards div, table, pre, p, li')]
        .filter(each => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display != 'inline')
        .map(each => each.outerHTML.slice(0, 80))"""
    assert page.evaluate(cut) == []


def test_it_prints(open_page):
    page, _ = open_page(color_scheme="dark")
    ground = "getComputedStyle(document.querySelector('#samples')).backgroundColor"
    assert page.evaluate(ground) == "rgb(24, 32, 42)"
    page.emulate_media(media="print")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"  # paper is light
    content = page.pdf(format="A4")
    assert content.startswith(b"%PDF-")
    assert content.count(b"/Type /Page\n") >= 2
