"""How long the page of a two-hour song keeps the browser from answering.

    python benchmarks/page.py [--minutes N] [--tries N]

Drives chromium, headless, through a real server: a song of N (120) minutes is opened beside the
example, laid over it, searched, played, zoomed, shown dark and narrow, and annotated. Printed is
the longest task of each try and what was going on then. Other work on the machine makes a task
longer, nothing makes it shorter; 0 stands for under 50 ms, which browsers do not report.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from playwright.sync_api import Page, sync_playwright

EXAMPLE = Path(__file__).parents[1] / "examples" / "four_moods.ogg"
WATCH = """() => {
  window.longest = 0;
  window.heed = (tasks) => { longest = Math.max(longest, ...tasks.map((task) => task.duration)); };
  window.watch = new PerformanceObserver((list) => heed(list.getEntries()));
  watch.observe({ type: 'longtask', buffered: true });
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--tries", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        song = make_song(Path(place) / "long.flac", options.minutes)
        command = [sys.executable, "-m", "moodcurve", "serve", "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout
            measure(server.stdout.readline().strip().split()[-1], song, options.tries)
        finally:
            server.terminate()
            server.wait()


def make_song(path: Path, minutes: float) -> Path:
    """The example over and over."""
    sound, rate = soundfile.read(EXAMPLE, dtype="int16")
    with soundfile.SoundFile(path, "w", rate, sound.ndim) as file:
        for _ in range(round(minutes * 60 * rate / len(sound))):
            file.write(sound)
    return path


def measure(address: str, song: Path, tries: int) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(address)
        page.set_input_files("#files", [song, EXAMPLE])
        curves = page.get_by_test_id("curve")
        curves.nth(1).wait_for(timeout=30 * 60 * 1000)
        print(f"{'try':<6}{'opened':>8}{'over':>8}{'moved':>8}{'annotate':>10}  longest task, ms")
        worst = []
        for number in range(tries):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.add_init_script(f"({WATCH})()")
            longest = [seen(page, step, address) for step in (opened, laid_over, moved, annotated)]
            page.close()
            worst.append(max(longest))
            print("{:<6}{:8.0f}{:8.0f}{:8.0f}{:10.0f}".format(number + 1, *longest), flush=True)
        print(f"longest of a try: best {min(worst):.0f}, median {np.median(worst):.0f} ms")
        browser.close()


def seen(page: Page, step, address: str) -> float:
    """Milliseconds of the longest task while a step is done."""
    step(page, address)
    page.wait_for_timeout(500)
    return page.evaluate(
        "() => { heed(watch.takeRecords()); const ms = longest; longest = 0; return ms; }"
    )


def opened(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_test_id("curve").nth(1).wait_for()
    page.locator(".song", has_text="long.flac").click()
    page.get_by_role("heading", name="long").wait_for()


def laid_over(page: Page, _: str) -> None:
    page.get_by_label("Lay over").select_option(index=1)


def moved(page: Page, _: str) -> None:
    page.get_by_role("slider", name="Time").focus()
    page.keyboard.press("PageUp")
    page.keyboard.press("Space")
    for key in "+++--0+++++++":
        page.keyboard.press(key)
        page.wait_for_timeout(60)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 700, "height": 900})


def annotated(page: Page, _: str) -> None:
    page.get_by_text("Annotate", exact=True).first.click()


if __name__ == "__main__":
    main()
