"""The page in a real browser, with real sound, against a real server.

`make screenshots` writes those of the README.
"""

import contextlib
import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import tone
from moodcurve import File2Curve
from moodcurve.audio import SAMPLE_RATE

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
sync_api.expect.set_options(timeout=30_000)  # as long as Playwright waits for anything else
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("needs chromium (apt-get install chromium)", allow_module_level=True)
FLAGS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--disable-sync", "--no-first-run", "--disable-quic", "--disable-component-update"]

EXAMPLE = Path(__file__).parents[1] / "examples" / "four_moods.ogg"
DIMENSIONS = ("valence", "arousal")
WIDE, NARROW = (1440, 900), (360, 740)


class Server:
    """`moodcurve serve` as a user starts it, on a port of its own."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "moodcurve", "serve", "--port", str(self.port)]
        self.process = subprocess.Popen([*command, *arguments], cwd=folder)
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.address}/api/about").close()
                return
            time.sleep(0.1)
        raise AssertionError("the server did not start within 60 s")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def server(folder) -> Iterator[Server]:
    running = Server("--corpus", "my_corpus", folder=folder)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, server):
    """Opens pages; at the end none of them may have asked elsewhere, or have complained."""
    wrong, contexts = [], []

    def listen(page):
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", hear)
        page.on("request", lambda request: ours(request.url) or wrong.append(request.url))

    def hear(said):
        refused = "the server responded with a status of" in said.text  # the page says it itself
        if said.type == "error" and not refused:
            wrong.append(said.text)

    def ours(url: str) -> bool:
        return url.removeprefix("blob:").startswith(server.address)

    def open_page(size=WIDE, songs=(EXAMPLE,), **options):
        width, height = size
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        listen(page)
        page.goto(server.address)
        page.wait_for_selector("body[data-ready]")
        if songs:
            page.set_input_files("#files", songs)
            page.get_by_test_id("curve").first.wait_for()
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:  # so that the next test finds an empty list
            for forget in page.get_by_role("button", name="Forget").all()[::-1]:
                forget.click()
            page.wait_for_load_state("networkidle")
        context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def curve():
    """The example song's curve, traced in Python."""
    return File2Curve()(EXAMPLE)


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """Another song, of another length."""
    path = tmp_path_factory.mktemp("songs") / "two tones, è.wav"
    soundfile.write(path, np.concatenate([tone(6, 330, 0.1), tone(6, 220, 0.8)]), SAMPLE_RATE)
    return path


# What the page shows at one moment, read in one go.
SHOWN = """() => {
  const place = (element) => element.getBoundingClientRect();
  const column = document.querySelector('#column');
  const playhead = place(document.querySelector('#playhead'));
  const plot = place(document.querySelector('#lane-arousal .u-over'));
  const dot = new DOMMatrix(document.querySelector('.own .dot').getAttribute('transform')
    .replace(/translate\\(([^ ]+) ([^)]+)\\)/, 'translate($1px, $2px)'));
  const text = (id) => document.getElementById(id).textContent.replace('−', '-');
  return {
    heard: document.querySelector('audio').currentTime,
    share: (playhead.x + playhead.width / 2 - plot.x) / plot.width,
    dot: [dot.e, -dot.f],
    numbers: [Number(text('now-valence')), Number(text('now-arousal'))],
    clock: text('time'),
  };
}"""


def assert_agree(shown: dict, curve, duration: float) -> None:
    """Playhead, dot and numbers are where the sound is, to half a second."""
    heard = shown["heard"]
    assert shown["share"] * duration == pytest.approx(heard, abs=0.5)
    minutes, seconds = shown["clock"].split(" / ")[0].split(":")
    assert 60 * int(minutes) + int(seconds) == pytest.approx(heard - 0.5, abs=1.0)
    fine = np.linspace(max(0, heard - 0.5), heard + 0.5, 101)
    way = np.stack([np.interp(fine, curve.times + 0.25, getattr(curve, d)) for d in DIMENSIONS])
    assert np.abs(way.T - shown["dot"]).max(axis=1).min() < 0.002
    rows = np.unique((fine / 0.5).astype(int).clip(0, len(curve.times) - 1))
    near = np.stack([getattr(curve, d)[rows] for d in DIMENSIONS], axis=1)
    assert np.abs(near - shown["numbers"]).max(axis=1).min() <= 0.00501


def until(page, holds: str) -> None:
    """Wait for a condition; Playwright's own way is refused by the page's content policy."""
    for _ in range(600):
        if page.evaluate(holds):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not within 30 s: {holds}")


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["360", "1440"])
def test_a_dropped_song_is_seen_and_heard(open_page, curve, size):
    page = open_page(size)
    drawn = page.get_by_test_id("curve")
    assert drawn.count() == 1
    assert page.get_by_test_id("map").is_hidden()  # there is no library
    for dimension, colour in (("valence", "#0072B2"), ("arousal", "#D55E00")):
        assert pixels(page, f"#lane-{dimension} canvas", colour) > 200
    assert "1:20" in page.get_by_test_id("summary").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]

    page.get_by_role("button", name="Play").click()
    until(page, "document.querySelector('audio').currentTime > 1.2")
    assert_agree(page.evaluate(SHOWN), curve, 80)
    page.get_by_role("button", name="Pause").click()

    page.evaluate("document.querySelector('#column').scrollIntoView({ block: 'center' })")
    box = page.locator("#lane-arousal .u-over").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.click(box["x"] + 0.5 * box["width"], middle)
    assert page.evaluate(SHOWN)["heard"] == pytest.approx(40, abs=0.5)
    assert_agree(page.evaluate(SHOWN), curve, 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.25 * box["width"], middle, steps=5)
    page.mouse.up()
    assert page.evaluate(SHOWN)["heard"] == pytest.approx(20, abs=0.5)
    assert_agree(page.evaluate(SHOWN), curve, 80)


def pixels(page, selector: str, colour: str) -> int:
    """How many pixels of a canvas have a colour."""
    return page.evaluate(
        """([selector, colour]) => {
          const canvas = document.querySelector(selector);
          const wanted = [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          let found = 0;
          for (let k = 0; k < data.length; k += 4) {
            const near = (value, c) => Math.abs(data[k + c] - value) < 24;
            found += data[k + 3] > 128 && wanted.every(near);
          }
          return found;
        }""",
        [selector, colour],
    )


def test_keys_move_and_zoom(open_page, curve):
    page = open_page()
    playhead = page.get_by_role("slider", name="Time")
    playhead.focus()
    for key, expected in [("PageUp", 10), ("ArrowRight", 11), ("ArrowLeft", 10), ("PageUp", 20)]:
        page.keyboard.press(key)
        assert float(playhead.get_attribute("aria-valuenow")) == pytest.approx(expected, abs=0.1)
    values = [getattr(curve, dimension)[40] for dimension in DIMENSIONS]
    spoken = playhead.get_attribute("aria-valuetext").replace("−", "-")
    assert spoken.startswith(f"0:20, valence {values[0]:.2f}, arousal {values[1]:.2f}")
    before = page.evaluate(SHOWN)["share"]
    page.keyboard.press("+")
    page.keyboard.press("+")
    # A quarter is seen, around the playhead, which has not moved.
    assert page.evaluate(SHOWN)["share"] == pytest.approx(before, abs=0.01)
    page.keyboard.press("PageUp")
    moved = page.evaluate(SHOWN)["share"] - before
    assert moved == pytest.approx(10 / (80 / 4), abs=0.01)
    page.keyboard.press("0")
    assert page.evaluate(SHOWN)["share"] == pytest.approx(30 / 80, abs=0.01)
    page.keyboard.press("Space")
    until(page, "!document.querySelector('audio').paused")
    page.keyboard.press("Space")
    until(page, "document.querySelector('audio').paused")
    page.keyboard.press("Home")
    assert page.evaluate(SHOWN)["heard"] == 0
    for key in "+++":
        page.keyboard.press(key)
    page.keyboard.press("PageUp")  # past what is seen: the page is turned, and the focus stays
    page.wait_for_timeout(100)
    page.keyboard.press("PageUp")
    assert float(playhead.get_attribute("aria-valuenow")) == pytest.approx(20, abs=0.1)
    assert 0 <= page.evaluate(SHOWN)["share"] <= 1


def test_the_wheel_zooms_by_how_far_it_turns(open_page):
    page = open_page()
    turned = """([deltaY, deltaMode]) => {
      const init = { deltaY, deltaMode, ctrlKey: true, clientX: 700 };
      document.querySelector('#column').dispatchEvent(new WheelEvent('wheel', init));
      return parseFloat(document.querySelector('#passages-drawn').style.width) / 100;
    }"""
    assert page.evaluate(turned, [-120, 0]) == pytest.approx(1.25, rel=1e-3)
    assert page.evaluate(turned, [-3, 1]) == pytest.approx(1.25**2, rel=1e-3)  # lines
    assert page.evaluate(turned, [120, 0]) == pytest.approx(1.25, rel=1e-3)
    for _ in range(20):  # a pinch
        page.evaluate(turned, [-2.5, 0])
    assert page.evaluate(turned, [0, 0]) == pytest.approx(1.25**2, rel=1e-3)  # to the side


def test_a_sound_that_breaks_off_is_said_and_stops(open_page):
    page = open_page()
    page.get_by_role("button", name="Play").click()
    until(page, "document.querySelector('audio').currentTime > 1")
    page.evaluate(  # as a browser does that finds no sound device
        """() => {
          const audio = document.querySelector('audio');
          Object.defineProperty(audio, 'error', { value: { code: 3 } });
          audio.dispatchEvent(new Event('error'));
        }"""
    )
    page.get_by_role("alert").get_by_text("The sound broke off").wait_for()
    until(page, "document.querySelector('audio').paused")
    sync_api.expect(page.get_by_role("button", name="Play")).to_be_disabled()
    place = page.get_by_role("slider", name="Time").get_attribute("aria-valuenow")
    assert float(place) >= 1  # it is not lost


WAVES = """() => {
  const drawn = [...document.querySelector('#wave').children].flatMap(
    ({ shadowRoot }) => [...(shadowRoot?.querySelectorAll('.canvases canvas') ?? [])]);
  return [...new Set(drawn.map((canvas) => canvas.getBoundingClientRect().top))];
}"""
"""Where the waveforms are that are drawn, from the top of the page."""


def test_two_songs_are_laid_over_each_other(open_page, second):
    page = open_page(songs=[EXAMPLE, second])
    sync_api.expect(page.get_by_test_id("curve")).to_have_count(2)
    page.locator(".song", has_text="four_moods").click()
    until(page, f"({WAVES})().length === 1")  # not the one of the song before as well
    page.get_by_label("Lay over").select_option(second.name)
    page.get_by_role("slider", name="Time").focus()
    page.keyboard.press("PageUp")
    other = File2Curve()(second)
    for dimension in DIMENSIONS:
        text = page.locator(f"#other-{dimension}").inner_text().replace("−", "-")
        assert float(text) == pytest.approx(getattr(other, dimension)[20], abs=0.00501)
    assert page.locator("#plane .other .dot").is_visible()
    page.keyboard.press("PageUp")  # past the end of the shorter one
    assert page.locator("#other-valence").inner_text() == "–"


def test_every_download_is_that_curve(open_page, curve, tmp_path):
    page = open_page()
    found = {}
    for kind in ("csv", "json", "jams", "png", "svg"):
        with page.expect_download() as coming:
            page.get_by_test_id(f"download-{kind}").click()
        found[kind] = tmp_path / coming.value.suggested_filename
        coming.value.save_as(found[kind])
        assert found[kind].stem.startswith("four_moods")
    rows = list(csv.DictReader(found["csv"].read_text().splitlines()))
    about = json.loads(found["json"].read_text())
    column = about["columns"].index
    for dimension in DIMENSIONS:
        values = getattr(curve, dimension)
        np.testing.assert_allclose([float(r[dimension]) for r in rows], values, atol=1e-4)
        np.testing.assert_allclose([r[column(dimension)] for r in about["rows"]], values, atol=1e-4)
    assert json.loads(found["jams"].read_text())["annotations"]
    assert found["png"].read_bytes().startswith(b"\x89PNG")
    assert ET.parse(found["svg"]).getroot().tag.endswith("svg")


def test_model_scale_familiarity_and_licence_are_in_sight(open_page):
    for size in (NARROW, WIDE):
        page = open_page(size)
        page.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
        for name, text in [
            ("about-model", "default"),
            ("about-licence", "MIT"),
            ("scale-valence", "-1 unpleasant .. 1 pleasant"),
            ("about-familiarity", "familiar"),
        ]:
            shown = page.get_by_test_id(name)
            sync_api.expect(shown).to_be_in_viewport()
            assert text in shown.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["360", "1440"])
def test_the_accessibility_tree_is_sound(open_page, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(size, songs=(), color_scheme=scheme)
    assert_sound(axe, page)
    page.set_input_files("#files", EXAMPLE)
    page.get_by_test_id("curve").wait_for()
    assert_sound(axe, page)
    page.get_by_text("Annotate", exact=True).first.click()
    assert_sound(axe, page)


def assert_sound(axe, page) -> None:
    results = axe.run(page).response
    assert results["passes"], "axe checked nothing"
    wrong = [(v["id"], [node["html"] for node in v["nodes"]]) for v in results["violations"]]
    assert wrong == []


def test_the_dot_steps_for_those_who_want_no_motion(open_page):
    page = open_page(reduced_motion="reduce")
    page.get_by_role("slider", name="Time").focus()
    page.keyboard.press("PageUp")
    assert page.locator(".own .trail line").first.get_attribute("x1") is None


def test_what_goes_wrong_is_said_in_one_line(open_page, tmp_path):
    page = open_page()
    noise = tmp_path / "not_music.wav"
    noise.write_text("this is no music")
    drop(page, noise)
    failed = page.locator("#songs li[data-state=failed], #songs li[data-state=refused]")
    failed.wait_for()
    line = failed.locator(".song-state").inner_text()
    assert line and "\n" not in line and "Traceback" not in line


def test_a_file_that_is_gone_when_its_turn_comes_is_said_to_be(open_page, tmp_path):
    """As is a folder that was dropped: neither is the server's silence."""
    page = open_page()
    for name in ("first.wav", "gone.wav"):
        soundfile.write(tmp_path / name, tone(2), SAMPLE_RATE)

    def send(route):
        (tmp_path / "gone.wav").unlink()
        route.continue_()

    page.route("**/api/songs?*", send)
    page.set_input_files("#files", [tmp_path / "first.wav", tmp_path / "gone.wav"])
    refused = page.locator("#songs li[data-state=refused]")
    refused.wait_for()
    assert "gone.wav" in refused.inner_text()
    assert "no longer there" in refused.locator(".song-state").inner_text()


def drop(page, file: Path) -> None:
    """Drag a file onto the page and let go of it."""
    page.evaluate(
        """([name, text]) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([text], name));
          for (const kind of ['dragenter', 'dragover', 'drop']) {
            document.body.dispatchEvent(new DragEvent(kind, { bubbles: true, dataTransfer }));
          }
        }""",
        [file.name, file.read_text()],
    )


def test_every_control_is_reached_by_tab_and_shows_it(open_page):
    page = open_page()
    page.get_by_role("button", name="Zoom in").click()  # so that the waveform scrolls
    reached = reached_by_tab(page, 60)
    assert {"files", "mode", "play", "zoom-in", "playhead", "download-csv"} <= reached.keys()
    assert [name for name, seen in reached.items() if not seen] == []


def reached_by_tab(page, presses: int) -> dict[str, bool]:
    """The controls that get the focus, and whether each shows it."""
    reached = {}
    for _ in range(presses):
        page.keyboard.press("Tab")
        reached |= page.evaluate(
            """() => {
              const at = document.activeElement;
              if (at === document.body) return {}; // between the last and the first
              const shown = at.matches('#files, .modes input') ? at.nextElementSibling ?? at : at;
              const styles = [getComputedStyle(shown), getComputedStyle(shown, '::after')];
              const seen = styles.some(({ outlineStyle, outlineWidth }) =>
                outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2);
              return { [at.id || at.name || at.dataset.testid || at.className]: seen };
            }"""
        )
    return reached


def test_a_full_queue_is_waited_for(open_page, second):
    page = open_page(songs=())
    refusals = iter([{"status": 429, "headers": {"Retry-After": "1"}}])

    def refuse_once(route):
        answer = next(refusals, None)
        if answer is None:
            route.continue_()
        else:
            route.fulfill(json={"error": "The queue is full."}, **answer)

    page.route("**/api/songs?name=*", refuse_once)
    page.set_input_files("#files", second)
    page.get_by_role("alert").get_by_text("The queue is full.").wait_for()
    page.get_by_test_id("curve").wait_for()
    assert page.get_by_role("alert").inner_text() == ""


def test_a_server_that_is_gone_is_missed(browser, folder):
    running = Server(folder=folder)
    page = browser.new_page()
    page.goto(running.address)
    page.wait_for_selector("body[data-ready]")
    running.stop()
    page.get_by_role("alert").get_by_text("The server does not answer").wait_for()
    page.close()


# --- two hours


def two_hours() -> tuple[dict, dict]:
    """A curve of 14,400 rows and a waveform of 72,000 peaks, as the server would send them."""
    rng = np.random.default_rng(0)
    starts = np.arange(14_400) / 2
    walk = np.tanh(np.cumsum(rng.normal(0, 0.05, (14_400, 2)), axis=0))
    band = np.clip(np.repeat(walk, 2, axis=1) + np.array([-0.3, 0.3, -0.3, 0.3]), -1, 1)
    summary = {d: {"mean": 0, "sd": 0.3, "min": -1, "max": 1} for d in DIMENSIONS}
    passages = [
        {"start_s": s, "end_s": s + 30, "quadrant": "calm and pleasant", "mood": "serene"}
        for s in range(0, 7200, 30)
    ]
    columns = ["start_s", "end_s", *DIMENSIONS]
    columns += [f"{d}_{end}" for d in DIMENSIONS for end in ("low", "high")]
    rows = np.column_stack([starts, starts + 0.5, walk, band]).round(4).tolist()
    curve = {"song": "long", "band": {"level": 0.9}, "familiarity": None, "caution": ""}
    curve |= {"summary": summary, "passages": passages, "columns": columns, "rows": rows}
    peaks = rng.uniform(0, 1, 72_000).round(2).tolist()
    return curve, {"seconds": 7200, "per_second": 10, "peaks": peaks}


def test_two_hours(open_page):
    """How long its tasks are, `benchmarks/page.py` measures; here the curve is what was sent."""
    curve, peaks = two_hours()
    page = open_page(songs=())
    page.route("**/curve", lambda route: route.fulfill(json=curve))
    page.route("**/peaks", lambda route: route.fulfill(json=peaks))
    page.set_input_files("#files", EXAMPLE)
    page.get_by_test_id("curve").wait_for()
    page.locator("#lane-arousal .u-over").wait_for()
    assert "2:00:00" in page.get_by_test_id("summary").inner_text()
    # A minute is drawn and not a thing for each row.
    assert page.evaluate("document.querySelectorAll('*').length") < 3000
    playhead = page.get_by_role("slider", name="Time")
    playhead.focus()
    page.keyboard.press("PageUp")
    valence, arousal = (float(curve["rows"][20][k]) for k in (2, 3))
    spoken = playhead.get_attribute("aria-valuetext").replace("−", "-")
    assert spoken.startswith(f"0:10, valence {valence:.2f}, arousal {arousal:.2f}")
    before = page.evaluate(SHOWN)["share"]
    assert before == pytest.approx(10 / 7200, abs=0.001)
    for key in ["+", "+", "+", "+", "PageUp"]:  # a sixteenth is seen, around the playhead
        page.keyboard.press(key)
    moved = page.evaluate(SHOWN)["share"] - before
    assert moved == pytest.approx(10 / (7200 / 16), abs=0.001)


# --- from an empty folder to a model


def test_labels_given_on_the_page_train_a_model(open_page, folder, tmp_path):
    songs = [EXAMPLE, *short_songs(tmp_path)]
    page = open_page(songs=songs)
    sync_api.expect(page.get_by_test_id("curve")).to_have_count(len(songs))
    page.locator(".song", has_text="four_moods").click()
    page.get_by_text("Annotate", exact=True).first.click()
    corpus = folder / "my_corpus"

    # Thirty seconds by hand, undone and redone.
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Reaction lag").fill("0.5")
    record(page, 30, lambda share: aim(page, 0.8 - share, 0.6 * share))
    first = labels(corpus, "four_moods", "Ada")
    assert first["lag_s"] == 0.5
    times = np.array([sample[0] for sample in first["samples"]])
    assert times[-1] >= 29 and np.diff(times).max() <= 0.5
    assert first["samples"][0][1] > 0.5 > first["samples"][-1][1]
    page.get_by_role("button", name="Undo").click()
    page.get_by_test_id("saved").get_by_text("Nothing by Ada is left").wait_for()
    assert not (corpus / "annotations" / "four_moods" / "Ada.json").exists()
    page.get_by_role("button", name="Redo").click()
    page.get_by_test_id("saved").get_by_text("Saved: 0:3").wait_for()
    assert labels(corpus, "four_moods", "Ada") == first

    # From 10 s on again, by one slider: the other dimension and what was before stay.
    go_to(page, 10)
    page.get_by_label("valence only").check()
    record(page, 5, lambda share: page.get_by_role("slider", name="valence").fill("-1"))
    again = labels(corpus, "four_moods", "Ada")["samples"]
    for old, new in zip(first["samples"], again, strict=True):
        assert old[2] == new[2]
        assert new[1] == (-1 if 10.5 <= old[0] < 14.5 else new[1])
        if old[0] < 10 or old[0] > 17:
            assert old == new
    page.get_by_label("both").check()

    # What could not be saved is kept, and saved when it can be.
    full = {"error": "the disk is full"}
    page.route("**/api/annotations/**", lambda route: route.fulfill(status=507, json=full))
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("alert").get_by_text("Not saved: the disk is full").wait_for()
    page.locator(".song", has_text="short_0").click()
    page.locator(".song", has_text="four_moods").click()
    page.unroute("**/api/annotations/**")
    page.get_by_role("button", name="Save again").click()
    page.get_by_test_id("saved").get_by_text("Saved: 0:3").wait_for()
    assert labels(corpus, "four_moods", "Ada") == first

    # A second rater, by the keys alone.
    page.get_by_label("Your name").fill("Grace")
    go_to(page, 0)
    record(page, 20, lambda share: page.locator("#plane").press("ArrowUp"))
    assert "Cronbach" in page.get_by_test_id("agreement").inner_text()
    assert page.locator("#raters tr").count() == 2

    for song in songs[1:]:
        page.locator(".song", has_text=song.name).click()
        page.get_by_role("heading", name=song.stem).wait_for()
        place = int(song.stem[-1]) / 5
        record(page, 4, lambda share, place=place: aim(page, 2 * place - 1, 0.5 - place * share))
    assert "6 songs are labelled" in page.get_by_test_id("labelled").inner_text()

    command = page.get_by_test_id("train").inner_text()
    assert command == "moodcurve train my_corpus -o my_model"
    run = [sys.executable, "-m", *command.split()]
    environment = os.environ | {"MOODCURVE_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    trained = subprocess.run(run, cwd=folder, env=environment, capture_output=True, text=True)
    assert trained.returncode == 0, trained.stderr
    own = File2Curve(str(folder / "my_model"))(EXAMPLE)
    assert np.isfinite(own.valence).all() and np.abs(own.valence).max() <= 1


def short_songs(folder: Path) -> list[Path]:
    paths = [folder / f"short_{k}.wav" for k in range(5)]
    for k, path in enumerate(paths):
        soundfile.write(path, tone(8, 110 * (k + 2), 0.1 + 0.15 * k), SAMPLE_RATE)
    return paths


def record(page, seconds: float, move) -> None:
    """Record so many seconds of music at eight times the speed, moving all the while."""
    page.evaluate("document.querySelector('audio').playbackRate = 8")
    page.evaluate("document.querySelector('#saved').textContent = ''")
    start = page.evaluate("document.querySelector('audio').currentTime")
    move(0.0)
    page.get_by_role("button", name="Record", exact=True).click()
    heard = start
    while heard < start + seconds:
        move((heard - start) / seconds)
        if page.evaluate("document.querySelector('audio').ended"):
            break
        heard = page.evaluate("document.querySelector('audio').currentTime")
    stop = page.get_by_role("button", name="Stop recording")
    if stop.is_visible():  # else the song has ended
        stop.click()
    page.get_by_test_id("saved").get_by_text("Saved: 0:").wait_for()


def go_to(page, seconds: int) -> None:
    page.get_by_role("slider", name="Time").focus()
    for key in ["Home", *["PageUp"] * (seconds // 10), *["ArrowRight"] * (seconds % 10)]:
        page.keyboard.press(key)


def aim(page, valence: float, arousal: float) -> None:
    box = page.locator("#plane svg").bounding_box()
    scale = box["width"] / 2.16
    page.mouse.move(box["x"] + (valence + 1.14) * scale, box["y"] + (1.02 - arousal) * scale)


def labels(corpus: Path, song: str, rater: str) -> dict:
    return json.loads((corpus / "annotations" / song / f"{rater}.json").read_text())


# --- pictures for the README


@pytest.mark.skipif("MOODCURVE_SCREENSHOTS" not in os.environ, reason="see `make screenshots`")
def test_screenshots(open_page, tmp_path):
    folder = Path(os.environ["MOODCURVE_SCREENSHOTS"])
    other = tmp_path / "two_tones.wav"
    soundfile.write(other, np.concatenate([tone(30, 330, 0.1), tone(30, 220, 0.8)]), SAMPLE_RATE)
    page = open_page(songs=[EXAMPLE, other])
    sync_api.expect(page.get_by_test_id("curve")).to_have_count(2)
    page.locator(".song", has_text="four_moods").click()
    page.get_by_text("Annotate", exact=True).first.click()
    for rater, late in [("Ada", 0.0), ("Grace", 0.4)]:
        page.get_by_label("Your name").fill(rater)
        go_to(page, 0)
        record(page, 55, lambda share, late=late: aim(page, *wander(6 * share - late)))
    page.get_by_label("Show the labels of the others").check()
    page.get_by_label("Your name").blur()
    page.wait_for_timeout(400)
    page.screenshot(path=folder / "page_annotate.png")
    page.get_by_text("Look and listen", exact=True).first.click()
    page.get_by_label("Lay over").select_option(other.name)
    go_to(page, 31)
    for name, (width, height), scheme in [
        ("page", WIDE, "light"),
        ("page_dark", WIDE, "dark"),
        ("page_phone", NARROW, "light"),
    ]:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(400)  # until the waveform has its new width
        page.screenshot(path=folder / f"{name}.png")


def wander(angle: float) -> tuple[float, float]:
    return 0.6 * np.sin(angle), 0.5 * np.cos(0.8 * angle)
