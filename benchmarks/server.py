"""What the server of the page takes and stands: times, memory, and what hostile clients leave.

    python benchmarks/server.py

Starts `moodcurve serve` with a temporary folder of its own and prints one table. Linux only, as it
reads memory and open files from /proc.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import soundfile

RATE = 44_100


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        song = make_song(folder / "song.mp3", 240)
        scratch = folder / "scratch"
        scratch.mkdir()
        server = Server(scratch)
        try:
            for what, measure in (
                ("4-minute mp3: predict, a process", lambda: predict(song)),
                ("4-minute mp3: upload to curve", lambda: first_curve(server, song)),
                ("the same again, at once", lambda: first_curve(server, song)),
                ("50 uploads of 3.5 MB at once", lambda: fifty(server, song)),
                ("100 uploads broken off", lambda: broken_off(server)),
                ("200 clients that send a byte a second", lambda: slow(server)),
                ("10 GB claimed", lambda: claimed(server)),
                ("3 hours of silence in flac", lambda: bomb(server, silence(folder))),
                ("1000 channels at 768 kHz", lambda: bomb(server, wide(folder))),
                ("a zip called mp3", lambda: bomb(server, b"PK\x03\x04" + bytes(10**6), "z.mp3")),
                ("afterwards", lambda: afterwards(server)),
            ):
                print(f"{what:<40} {measure()}; {server.memory()}", flush=True)
        finally:
            server.process.send_signal(signal.SIGINT)
            server.process.wait(20)
            print(f"{'after Ctrl-C':<40} {len(list(scratch.iterdir()))} files in the folder")


class Server:
    """The server, watched: its memory, and how long a small question takes meanwhile."""

    def __init__(self, scratch: Path) -> None:
        command = [sys.executable, "-m", "moodcurve", "serve", "--port", "0"]
        environment = {**os.environ, "TMPDIR": str(scratch)}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline().rstrip("/\n").rpartition(":")[2])
        self.scratch = scratch
        self.news: dict[str, dict] = {}
        self.longest = 0.0
        for work in (self._listen, self._ask_on):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(5)  # the waiting process loads its model

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict]:
        """Status and JSON of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(method, path, body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, json.loads(content) if content else {}

    def wait(self, identity: str) -> dict:
        """The last news of a song."""
        while self.news.get(identity, {}).get("state") not in ("done", "failed"):
            time.sleep(0.005)
        return self.news[identity]

    def memory(self) -> str:
        """Memory in use and at most, and the slowest small answer since the last time."""
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        cells = {line.split()[0]: line.split()[1] for line in status if line.split()[1:]}
        longest, self.longest = self.longest, 0.0
        return (
            f"server {int(cells['VmRSS:']) / 1024:.0f} MB (most {int(cells['VmHWM:']) / 1024:.0f})"
            f", slowest answer {1000 * longest:.0f} ms"
        )

    def temporary(self) -> int:
        """How many temporary files it has open; they have no names."""
        found = 0
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(OSError):
                found += str(entry.readlink()).startswith(str(self.scratch))
        return found

    def _listen(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", "/api/events")
        with suppress(OSError):
            for line in connection.getresponse():
                if line.startswith(b"data: "):
                    told = json.loads(line[6:])
                    self.news[told["id"]] = told

    def _ask_on(self) -> None:
        with suppress(OSError):
            while True:
                started = time.perf_counter()
                self.ask("GET", "/api/about")
                self.longest = max(self.longest, time.perf_counter() - started)
                time.sleep(0.05)


def make_song(path: Path, seconds: int) -> bytes:
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE, 2) as file:
        for start in range(0, seconds, 10):
            times = start + np.arange(10 * RATE) / RATE
            tone = 0.3 * np.sin(2 * np.pi * (220 + start) * times)
            file.write(tone[:, None] + rng.normal(0, 0.05, (len(times), 2)))
    return path.read_bytes()


def predict(song: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=".mp3") as file:
        file.write(song)
        command = [sys.executable, "-m", "moodcurve", "predict", file.name]
        return seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))


def first_curve(server: Server, song: bytes) -> str:
    def until_curve() -> None:
        _, answer = server.ask("POST", "/api/songs?name=song.mp3", song)
        assert server.wait(answer["id"])["state"] == "done"
        assert server.ask("GET", f"/api/songs/{answer['id']}/curve")[0] == 200

    return seconds(until_curve)


def seconds(work: Callable[[], object]) -> str:
    started = time.perf_counter()
    work()
    return f"{time.perf_counter() - started:.2f} s"


def fifty(server: Server, song: bytes) -> str:
    started = time.perf_counter()
    with ThreadPoolExecutor(50) as pool:
        send = [pool.submit(server.ask, "POST", "/api/songs?name=s.mp3", song) for _ in range(50)]
        answers = [future.result() for future in send]
    received = time.perf_counter() - started
    taken = [answer["id"] for status, answer in answers if status == 202]
    done = sum(server.wait(identity)["state"] == "done" for identity in taken)
    whole = time.perf_counter() - started
    return f"{len(taken)} taken in {received:.1f} s, {done} curves in {whole:.1f} s"


def upload(server: Server, claimed: int) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    line.sendall(
        b"POST /api/songs?name=a.wav HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Length: %d\r\n\r\n" % claimed
    )
    return line


def broken_off(server: Server) -> str:
    for _ in range(100):
        with upload(server, 10**6) as line:
            line.sendall(bytes(10**5))
    time.sleep(1)
    return f"{server.temporary()} temporary files open"


def slow(server: Server) -> str:
    lines = [upload(server, 10**6) for _ in range(200)]
    started, answers = time.perf_counter(), 0
    for _ in range(20):
        for line in lines:
            with suppress(OSError):
                line.send(b"x")
        time.sleep(1)
    for line in lines:
        line.settimeout(40)
        with suppress(OSError):
            answers += b" 4" in line.recv(1000)[:12]
        line.close()
    return f"{answers} refused within {time.perf_counter() - started:.0f} s"


def claimed(server: Server) -> str:
    with upload(server, 10**10) as line:
        return line.recv(1000).split(b"\r\n")[0].decode()


def silence(folder: Path) -> bytes:
    path = folder / "silence.flac"
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(180):
            file.write(np.zeros(60 * RATE, np.int16))
    return path.read_bytes()


def wide(folder: Path) -> bytes:
    path = folder / "wide.wav"
    soundfile.write(path, np.zeros((250_000, 1000), np.int16), 768_000)
    return path.read_bytes()


def bomb(server: Server, content: bytes, name: str = "bomb.flac") -> str:
    started = time.perf_counter()
    _, answer = server.ask("POST", f"/api/songs?name={name}", content)
    told = server.wait(answer["id"])
    size, taken = len(content) / 1e6, time.perf_counter() - started
    return f"{size:.1f} MB, {told['state']} in {taken:.1f} s ({told.get('error')})"


def afterwards(server: Server) -> str:
    named = len(list(server.scratch.iterdir()))
    return f"{server.temporary()} temporary files open, {named} in the folder"


if __name__ == "__main__":
    main()
