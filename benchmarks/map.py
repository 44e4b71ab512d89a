"""The map of a large library on the page: what the server takes for it, and sends.

    python benchmarks/map.py [--songs N]

A library of N (10^6) made-up songs; each question as the page asks it, over HTTP; the median and
the slowest of five, after one that is not counted where something is read for the first time.
Meanwhile /api/about is asked every 50 ms, as whatever else the page does.
"""

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

import psutil
from library import make_up

WHOLE = {"left": -1.08, "right": 1.08, "low": -1.08, "high": 1.08}
CLOSE = {"left": 0.3, "right": 0.33, "low": 0.3, "high": 0.33}
WHERE = 'valence > 0.2 and "artist 12" in artist'
WAY = {"from": "sad, calm", "to": "happy, lively"}
QUESTIONS = {
    "the whole map": ("map", WHOLE),
    "a view of few songs": ("map", CLOSE),
    "the whole map, with a condition": ("map", {**WHOLE, "where": WHERE}),
    "a song": ("songs/77", {}),
    "a list, of all songs": ("songs", WHOLE),
    "a list, of few": ("songs", CLOSE),
    "a journey of 40 minutes": ("journey", {**WAY, "minutes": 40}),
    "a journey of 150 minutes": ("journey", {**WAY, "minutes": 150}),
    "songs like one": ("like/77", {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=10**6)
    parser.add_argument("--library", type=Path, help="one that was made up before")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        lib = options.library or Path(place) / "lib"
        if not options.library:
            make_up(lib, options.songs)
        measure(lib)


def measure(lib: Path) -> None:
    command = [sys.executable, "-m", "moodcurve", "serve", "--port", "0", "--library", str(lib)]
    began = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        port = int(server.stdout.readline().rstrip("/\n").rpartition(":")[2])
        process = psutil.Process(server.pid)
        print(f"started in {time.perf_counter() - began:.1f} s, {memory(process):.0f} MB")
        print(f"{'':34}{'first':>9}{'median':>9}{'slowest':>9}{'kB':>7}{'others':>9}{'MB':>7}")
        for name, (path, params) in QUESTIONS.items():
            question = f"/api/library/{path}?{urlencode(params)}"
            others: list[float] = []
            done = threading.Event()
            watcher = threading.Thread(target=watch, args=(port, done, others))
            watcher.start()
            answers = [asked(port, question) for _ in range(6)]
            done.set()
            watcher.join()
            (first, size), *later = answers
            times = [took for took, _ in later]
            print(
                f"{name:34}{first:7.0f}ms{statistics.median(times):7.0f}ms{max(times):7.0f}ms"
                f"{size / 1000:7.1f}{max(others):7.0f}ms{memory(process):7.0f}"
            )
    finally:
        server.terminate()
        server.wait()


def asked(port: int, path: str) -> tuple[float, int]:
    """Milliseconds and bytes of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    content = answer.read()
    took = 1000 * (time.perf_counter() - began)
    assert answer.status == 200, json.loads(content)
    connection.close()
    return took, len(content)


def watch(port: int, done: threading.Event, times: list[float]) -> None:
    while not done.wait(0.05) or not times:
        times.append(asked(port, "/api/about")[0])


def memory(process: psutil.Process) -> float:
    return process.memory_info().rss / 1e6


if __name__ == "__main__":
    main()
