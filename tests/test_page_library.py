"""The map of a library in a real browser: `moodcurve serve --library`."""

import os
from pathlib import Path

import numpy as np
import pandas
import pytest

from library_songs import many_songs
from moodcurve.library.places import Job
from moodcurve.library.trace import entry_of, model_id
from test_page import (
    EXAMPLE,
    NARROW,
    WIDE,
    Server,
    assert_sound,
    browser,  # noqa: F401 - a fixture
    curve,  # noqa: F401 - a fixture
    open_page,  # noqa: F401 - a fixture
    pixels,
    reached_by_tab,
    sync_api,
    until,
)

SPAN = 2.16  # of the whole map
COUNT = 4000


@pytest.fixture(scope="module")
def lib(tmp_path_factory, curve):  # noqa: F811
    folder = tmp_path_factory.mktemp("library") / "my_library"
    job, tags = Job(str(EXAMPLE), 1, "1"), {"title": "Four moods", "artist": "Ida"}
    model = model_id("default")
    many_songs(folder, COUNT, entry_of(curve, job, "own", model, tags), model=model)
    return folder


@pytest.fixture(scope="module")
def table(lib):
    return pandas.read_parquet(lib / "songs")


@pytest.fixture(scope="module")
def server(lib):
    running = Server("--library", str(lib), folder=lib.parent)
    yield running
    running.stop()


def told(page, text: str) -> None:
    page.get_by_test_id("library-told").get_by_text(text).wait_for()


def place(page, valence: float, arousal: float) -> tuple[float, float]:
    """Where a point of the plane is on the screen, while the whole map is seen."""
    box = page.get_by_test_id("map").bounding_box()
    size = box["width"]
    return (
        box["x"] + float(valence / SPAN + 0.5) * size,
        box["y"] + float(0.5 - arousal / SPAN) * size,
    )


def listed(page) -> list[str]:
    return page.locator("#listed-songs li span:first-child").all_inner_texts()


def only(page, condition: str) -> None:
    page.get_by_label("Only songs where").fill(condition)
    page.keyboard.press("Enter")


def test_a_song_is_found_seen_and_heard(open_page, table, curve):  # noqa: F811
    page = open_page(NARROW, songs=())
    told(page, "4,001 songs in view; darker: more of them.")
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW[0]
    only(page, '"four" in title')
    told(page, '1 song in view, of 1 where "four" in title.')
    page.get_by_test_id("map").scroll_into_view_if_needed()
    row = table.iloc[COUNT]
    page.mouse.move(*place(page, row.valence, row.arousal))
    tip = page.get_by_test_id("map-tip")
    tip.get_by_text("Ida – Four moods").wait_for()
    values = [
        float(part) for part in tip.inner_text().replace("−", "-").split(" · ")[1].split(", ")
    ]
    assert values == pytest.approx([row.valence, row.arousal], abs=0.00501)

    page.mouse.click(*place(page, row.valence, row.arousal))
    page.get_by_role("heading", name="Ida – Four moods").wait_for()
    sync_api.expect(page.get_by_role("button", name="Play")).to_be_in_viewport()
    shown = float(page.get_by_test_id("now-valence").inner_text().replace("−", "-"))
    assert shown == pytest.approx(curve.valence[0], abs=0.00501)
    page.get_by_role("button", name="Play").click()
    until(page, "document.querySelector('audio').currentTime > 0.5")
    page.reload()  # the server still has it
    page.get_by_role("heading", name="Ida – Four moods").wait_for()
    assert page.get_by_role("button", name="Play").is_enabled()


def test_a_rectangle_becomes_a_list_and_a_playlist(open_page, table, tmp_path):  # noqa: F811
    page = open_page(songs=())
    told(page, "4,001 songs")
    only(page, "artist is not None")
    held = table[table.artist.notna()]
    told(page, f"of {len(held):,} where")
    page.get_by_text("Select", exact=True).click()
    box = page.get_by_test_id("map").bounding_box()
    corners = [(box["x"] + 0.25 * box["width"], box["y"] + 0.6 * box["width"])]
    corners += [(box["x"] + 0.45 * box["width"], box["y"] + 0.4 * box["width"])]
    page.mouse.move(*corners[0])
    page.mouse.down()
    page.mouse.move(*corners[1], steps=4)
    page.mouse.up()
    page.get_by_test_id("listed").get_by_text("In the rectangle").wait_for()
    across = held.valence.between((0.25 - 0.5) * SPAN, (0.45 - 0.5) * SPAN)
    inside = held[across & held.arousal.between((0.5 - 0.6) * SPAN, (0.5 - 0.4) * SPAN)]
    assert page.get_by_test_id("listed-told").inner_text().startswith(f"{len(inside)} songs, ")
    page.get_by_label("sorted by").select_option("most pleasant")
    first = inside.sort_values("valence", ascending=False)
    names = [
        f"{r.artist} – {r.title if isinstance(r.title, str) else f'song {k}'}"
        for k, r in first.iterrows()
    ]
    until(page, f"document.querySelector('#listed-songs span').textContent === {names[0]!r}")
    assert listed(page) == names
    with page.expect_download() as coming:
        page.get_by_test_id("download-m3u8").click()
    assert coming.value.suggested_filename == "In the rectangle.m3u8"
    coming.value.save_as(tmp_path / "list.m3u8")
    lines = (tmp_path / "list.m3u8").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line[0] != "#"] == first.path.tolist()


def test_a_journey_is_picked_drawn_and_saved(open_page, table, tmp_path):  # noqa: F811
    page = open_page(songs=())
    told(page, "4,001 songs")
    assert pixels(page, "#map", "#D55E00") == 0
    for name, point in (("start", (-0.3, -0.3)), ("end", (0.5, 0.2))):
        page.get_by_role("button", name=f"Pick the {name} on the map").click()
        page.mouse.click(*place(page, *point))
    page.get_by_label("minutes").fill("30")
    page.get_by_role("button", name="Travel").click()
    page.get_by_test_id("listed-told").get_by_text("min, from").wait_for()
    picked = [page.locator(f"#journey-{end}").input_value() for end in ("from", "to")]
    points = [tuple(map(float, text.split(","))) for text in picked]
    np.testing.assert_allclose(points, [(-0.3, -0.3), (0.5, 0.2)], atol=0.011)
    assert pixels(page, "#map", "#D55E00") > 100
    with page.expect_download() as coming:
        page.get_by_test_id("download-m3u8").click()
    coming.value.save_as(tmp_path / "way.m3u8")
    text = (tmp_path / "way.m3u8").read_text(encoding="utf-8")
    songs = table.set_index("path").loc[[line for line in text.splitlines() if line[0] != "#"]]
    assert len(songs) == len(listed(page)) > 4
    assert songs.seconds.sum() / 60 == pytest.approx(30, abs=6)
    for song, point in ((songs.iloc[0], points[0]), (songs.iloc[-1], points[1])):
        assert np.hypot(song.valence - point[0], song.arousal - point[1]) < 0.2


def test_songs_like_the_open_one_are_listed(open_page):  # noqa: F811
    page = open_page(songs=())
    only(page, '"four" in title')
    page.get_by_role("button", name="List the songs in view").click()
    page.locator("#listed-songs button").click()
    only(page, "")
    page.get_by_role("button", name="Songs like this").click()
    page.get_by_test_id("listed").get_by_text("Like Ida – Four moods").wait_for()
    assert len(listed(page)) == 20 and "Ida – Four moods" not in listed(page)


def test_the_keys_find_a_song(open_page, table):  # noqa: F811
    page = open_page(songs=())
    told(page, "4,001 songs")
    page.get_by_test_id("map").focus()
    for key in "++++":
        page.keyboard.press(key)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    half, middle = SPAN / 32, SPAN / 160  # of the view: a sixteenth of the whole, moved by a tenth
    seen = table[
        table.valence.between(middle - half, middle + half)
        & table.arousal.between(middle - half, middle + half)
    ]
    told(page, f"{len(seen)} songs in view.")
    far = np.hypot(seen.valence - middle, seen.arousal - middle)
    nearest = seen.loc[far.idxmin()]
    spoken = page.locator("#said").get_by_text(f"{nearest.valence:.2f}".replace("-", "−"))
    spoken.wait_for(state="attached")
    page.keyboard.press("Enter")
    page.locator("#songs .song-name").get_by_text(Path(nearest.path).name).wait_for()
    page.keyboard.press("0")
    told(page, "4,001 songs")
    page.get_by_role("button", name="Pick the start on the map").press("Enter")
    for key in ("ArrowLeft", "+", "Enter"):  # the cross stands in the middle
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.id") == "journey-from"
    assert page.locator("#journey-from").input_value() == "-0.22,0.00"
    page.get_by_role("button", name="Pick the start on the map").press("Enter")
    for key in ("0", *9 * ["ArrowRight"], "Enter"):  # to the edge, where the map ends
        page.keyboard.press(key)
    assert page.locator("#journey-from").input_value() == "1.00,0.00"
    page.get_by_role("button", name="Whole map").press("Enter")
    only(page, "0 < valence < 0.05")
    told(page, "where ")
    page.get_by_role("button", name="List the songs in view").press("Enter")
    page.locator("#listed-songs button").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.parentElement.matches(':nth-child(2)')")
    page.locator("#listed-songs").dispatch_event("keydown", {"key": "ArrowDown"})  # as in Firefox
    assert page.evaluate("document.activeElement.parentElement.matches(':nth-child(2)')")


def test_a_list_of_what_is_in_view_follows_it(open_page):  # noqa: F811
    page = open_page(songs=())
    told(page, "4,001 songs")
    for _ in range(5):
        page.get_by_role("button", name="Zoom the map in").click()
    page.get_by_role("button", name="List the songs in view").click()
    page.get_by_role("button", name="Whole map").click()
    told(page, "4,001 songs in view")
    only(page, "arousal > 0.4")
    page.locator("#library-told").get_by_text(" songs in view, of ").wait_for()
    seen = page.locator("#library-told").inner_text().split(" in view")[0]
    page.locator("#listed-told").get_by_text(f"{seen}, ").wait_for()


def test_what_is_wrong_is_said_in_one_line(open_page):  # noqa: F811
    page = open_page(songs=())
    only(page, "valence >")
    page.get_by_role("alert").get_by_text("where, position 10").wait_for()
    assert page.get_by_label("Only songs where").get_attribute("aria-invalid") == "true"
    told(page, "4,001 songs in view")  # as it was
    only(page, "valence > 0")
    sync_api.expect(page.get_by_role("alert")).to_be_empty()
    page.get_by_label("from").fill("blue")
    page.get_by_label("to", exact=True).fill("sad")
    page.get_by_role("button", name="Travel").click()
    page.get_by_role("alert").get_by_text('"blue": no mood word').wait_for()


@pytest.mark.parametrize(
    ("size", "scheme"), [(NARROW, "light"), (WIDE, "dark")], ids=["360 light", "1440 dark"]
)
def test_the_accessibility_tree_is_sound(open_page, size, scheme):  # noqa: F811
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(size, songs=(), color_scheme=scheme)
    only(page, '"four" in title or valence > 0.9')
    page.get_by_role("button", name="List the songs in view").click()
    page.locator("#listed-songs button", has_text="Ida").click()
    page.get_by_role("heading", name="Ida – Four moods").wait_for()
    assert_sound(axe, page)


def test_every_control_is_reached_by_tab_and_shows_it(open_page):  # noqa: F811
    page = open_page(songs=())
    told(page, "4,001 songs")
    only(page, "valence > 0.85")  # a list of few
    told(page, "where ")
    page.get_by_role("button", name="List the songs in view").click()
    page.locator("#listed-songs button").first.wait_for()
    page.locator("#files").focus()
    reached = reached_by_tab(page, 30)
    assert {"drag", "map-in", "map", "where", "journey-from", "pick-to", "sort"} <= reached.keys()
    assert [name for name, seen in reached.items() if not seen] == []


# --- pictures for the README


@pytest.mark.skipif("MOODCURVE_SCREENSHOTS" not in os.environ, reason="see `make screenshots`")
def test_screenshots(open_page):  # noqa: F811
    folder = Path(os.environ["MOODCURVE_SCREENSHOTS"])
    page = open_page(songs=())
    only(page, '"four" in title')
    page.get_by_role("button", name="List the songs in view").click()
    page.locator("#listed-songs button").click()
    page.get_by_role("heading", name="Ida – Four moods").wait_for()
    only(page, "seconds > 200")
    page.get_by_label("from").fill("sad, calm")
    page.get_by_label("to", exact=True).fill("happy, lively")
    page.get_by_role("button", name="Travel").click()
    page.get_by_test_id("listed-told").get_by_text("min, from").wait_for()
    for name, (width, height), scheme in [
        ("page_library", WIDE, "light"),
        ("page_library_dark", WIDE, "dark"),
        ("page_library_phone", NARROW, "light"),
    ]:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(400)
        page.screenshot(path=folder / f"{name}.png")
