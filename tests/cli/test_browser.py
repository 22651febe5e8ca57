"""The pages in a real browser: Chromium without a window, driven by selenium (extra browser, Debian's chromium-driver)."""

import io
import shutil
import threading
import time

import numpy as np
import pytest

import fastcnn
from fastcnn import data
from fastcnn.cli import main
from fastcnn.pages import server
from fastcnn.pages.predictor import Predictor

webdriver = pytest.importorskip("selenium.webdriver", reason="needs pip install 'fastcnn[browser]'")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Chromium: apt install chromium-driver")
DIGITS = data.load("digits")
PATIENCE = 60  # seconds
# Points of strokes, from the middle of the drawing in shares of half its side.
ZERO = [[(0.45 * np.sin(turn), -0.75 * np.cos(turn)) for turn in np.linspace(0, 2 * np.pi, 13)]]
FOUR = [[(0.2, 0.75), (0.2, -0.75), (-0.45, 0.2), (0.5, 0.2)]]


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1100,900"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser") / "run"
    assert main(["train", "digits", "--model", "strided_cnn", "--epochs", "8", "--lr", "0.005", "--out", str(folder),
                 "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def demo(run):
    predictor = Predictor(fastcnn.load(run / "model.safetensors"))
    with server.Server(predictor, 0) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def page(browser, demo):
    browser.get_log("browser")
    browser.get(demo.url)
    yield browser
    assert browser.get_log("browser") == []


def one(browser, selector):
    return browser.find_element("css selector", selector)


def until(holds):
    """Wait until something holds, and return it."""
    end = time.monotonic() + PATIENCE
    while not (value := holds()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


def draw(browser, strokes):
    canvas = one(browser, "#drawing")
    half = canvas.size["width"] / 2
    for points in strokes:
        actions = webdriver.ActionChains(browser, duration=10)
        for number, (right, down) in enumerate(points):
            actions.move_to_element_with_offset(canvas, round(half * right), round(half * down))
            if number == 0:
                actions.click_and_hold()
        actions.release().perform()


def answer(browser):
    """The predicted class, or nothing."""
    words = one(browser, "#answer")
    return "" if words.get_attribute("class") == "empty" else words.text.split()[0]


def test_a_drawn_digit_is_recognised_and_cleared(page):
    assert one(page, "h1").text == "strided_cnn" and answer(page) == ""
    draw(page, FOUR)
    until(lambda: answer(page) == "4")
    assert len(page.find_elements("css selector", "#bars tbody tr")) == 10
    assert one(page, "#bars tr.best th").text == "4"
    assert len(page.find_elements("css selector", "#maps .channels")) == 2
    assert "ms for this prediction" in one(page, "#time").text
    one(page, "#clear").click()
    assert answer(page) == "" and not page.find_elements("css selector", "#maps canvas, #bars tbody tr")
    draw(page, ZERO)
    until(lambda: answer(page) == "0")


def test_the_keyboard_draws_too(page):
    keys = webdriver.Keys
    one(page, "#drawing").send_keys(*[keys.ARROW_UP] * 10, keys.SPACE, *[keys.ARROW_DOWN] * 20, keys.SPACE)
    until(lambda: answer(page))
    one(page, "#drawing").send_keys(keys.DELETE)
    assert answer(page) == ""


def png(index):
    content = io.BytesIO()
    pytest.importorskip("PIL.Image").fromarray(DIGITS.test.images[index, ..., 0]).save(content, "PNG")
    return content.getvalue()


DROP = """
const file = new File([Uint8Array.from(arguments[0])], arguments[1], {type: arguments[2]});
const carried = new DataTransfer();
carried.items.add(file);
for (const kind of ["dragover", "drop"]) {
  document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: carried, bubbles: true, cancelable: true}));
}"""


def test_a_chosen_and_a_dropped_image_get_the_answer_of_predict(page, demo, tmp_path):
    likely = fastcnn.predict(demo.predictor.model, DIGITS.test.images[:20]).argmax(axis=1)
    first, second = 0, int(np.flatnonzero(likely != likely[0])[0])
    (tmp_path / "digit.png").write_bytes(png(first))
    one(page, "#file").send_keys(str(tmp_path / "digit.png"))
    until(lambda: answer(page) == str(likely[first]))
    page.execute_script(DROP, list(png(second)), "digit.png", "image/png")
    until(lambda: answer(page) == str(likely[second]))
    assert one(page, "#seen canvas").get_attribute("width") == "8"


def test_what_is_no_image_is_said_and_too_large_a_file_is_not_sent(browser, demo):
    browser.get(demo.url)
    browser.execute_script(DROP, [1, 2, 3], "notes.txt", "text/plain")
    until(lambda: "cannot be read as an image" in one(browser, "#problem").text)
    large = DROP.replace("Uint8Array.from(arguments[0])", "new Uint8Array(17000000)")
    browser.execute_script(large, [], "x.png", "image/png")
    assert "x.png has 17,000,000 bytes, expected at most 16,777,216" in one(browser, "#problem").text
    draw(browser, FOUR)
    until(lambda: answer(browser) == "4")
    assert one(browser, "#problem").text == ""
    messages = [entry["message"] for entry in browser.get_log("browser")]
    assert len(messages) == 1 and "422" in messages[0]


def test_all_pictures_of_a_report_are_loaded(browser, run):
    assert main(["report", str(run), "--quiet"]) == 0
    browser.get_log("browser")
    browser.get((run / "report.html").as_uri())
    for details in browser.find_elements("css selector", "details"):
        details.find_element("css selector", "summary").click()
        assert details.get_attribute("open")
    widths = browser.execute_script("return Array.from(document.images, image => image.complete && image.naturalWidth)")
    assert len(widths) >= 7 and min(widths) > 50
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert browser.get_log("browser") == []


def test_nothing_is_wider_than_a_narrow_page(browser, run, demo):
    try:
        browser.set_window_size(500, 900)
        for address in (demo.url, (run / "report.html").as_uri()):
            browser.get(address)
            wide = browser.execute_script("return document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, address
    finally:
        browser.set_window_size(1100, 900)
