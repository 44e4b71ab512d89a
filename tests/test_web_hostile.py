"""The real server as a program, and those who mean it no good."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from conftest import tone
from moodcurve.audio import SAMPLE_RATE

pytest.importorskip("uvicorn", reason="needs moodcurve[web]")

LINUX = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="processes seen by /proc")


class Server(NamedTuple):
    process: subprocess.Popen
    port: int
    scratch: Path

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict | None = None
    ) -> tuple[int, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content else {}
        finally:
            connection.close()

    def wait(self, identity: str) -> dict:
        """The last news of a song, as a page is told them."""
        end = time.monotonic() + 120
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as line:
            line.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for event in line.makefile("rb"):
                told = json.loads(event[6:]) if event.startswith(b"data: ") else {}
                if told.get("id") == identity and told["state"] in ("done", "failed"):
                    return told
                if time.monotonic() > end:
                    break
        raise AssertionError(f"no end of song {identity}")


def start(scratch: Path, *arguments: str) -> Server:
    process = subprocess.Popen(
        [sys.executable, "-m", "moodcurve", "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    address = process.stdout.readline()
    assert address.startswith("http://127.0.0.1:"), process.stderr.read()
    return Server(process, int(address.rstrip("/\n").rpartition(":")[2]), scratch)


def stop(server: Server, number: int = signal.SIGINT) -> tuple[int, str, str]:
    server.process.send_signal(number)
    out, err = server.process.communicate(timeout=60)
    return server.process.returncode, out, err


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start(tmp_path_factory.mktemp("scratch"))
    yield server
    assert server.process.poll() is None  # whatever was done to it
    assert server.ask("GET", "/api/about")[0] == 200
    code, _, err = stop(server)
    assert (code, err) == (130, "moodcurve: stopped\n")
    assert list(server.scratch.iterdir()) == []


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "tone.flac"
    soundfile.write(path, tone(3), SAMPLE_RATE)
    return path.read_bytes()


def test_ten_gigabytes_claimed_are_refused_at_once(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as line:
        line.sendall(
            b"POST /api/songs?name=a.wav HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 10000000000\r\n\r\n"
        )
        answer = line.recv(65536)
        assert b" 413 " in answer.splitlines()[0]
        assert not _still_open(line)


def _still_open(line: socket.socket) -> bool:
    line.settimeout(5)
    while part := line.recv(65536):
        if not part:
            break
    return False


def test_many_uploads_at_once_are_all_served(server: Server, sound: bytes) -> None:
    def send(number: int) -> tuple[int, dict]:
        return server.ask("POST", f"/api/songs?name={number}.flac", sound)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert [status for status, _ in answers] == [202] * 8
    assert all(server.wait(answer["id"])["state"] == "done" for _, answer in answers)
    for _, answer in answers:
        assert server.ask("DELETE", f"/api/songs/{answer['id']}")[0] == 204


@LINUX
def test_an_upload_broken_off_leaves_nothing(server: Server) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as line:
            line.sendall(
                b"POST /api/songs?name=a.wav HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: 1000000\r\n\r\n" + bytes(300_000)
            )
            time.sleep(0.1)
    deadline = time.monotonic() + 30
    while (left := _temporary_files(server)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def _temporary_files(server: Server) -> list[str]:
    """Files of the temporary folder that the server has open, nameless ones included."""
    links = []
    for entry in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            links.append(str(entry.readlink()))
    return [link for link in links if link.startswith(str(server.scratch))]


@LINUX
def test_a_decoder_that_crashes_takes_nothing_along(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    rng = np.random.default_rng(0)
    soundfile.write(path, rng.normal(0, 0.1, 120 * SAMPLE_RATE), SAMPLE_RATE)
    waiting = _children(server)
    _, answer = server.ask("POST", "/api/songs?name=long.flac", path.read_bytes())
    while len(_children(server)) < 2:  # until the next one is started, this one has its song
        time.sleep(0.01)
    os.kill(waiting[0], signal.SIGSEGV)
    told = server.wait(answer["id"])
    assert told["error"] == "long.flac: its decoder crashed (SIGSEGV); convert it to flac"


def _children(server: Server) -> list[int]:
    tasks = Path(f"/proc/{server.process.pid}/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


@LINUX
def test_a_process_that_died_while_it_waited_is_replaced(server: Server, sound: bytes) -> None:
    (waiting,) = _children(server)
    os.kill(waiting, signal.SIGKILL)
    time.sleep(0.3)
    _, answer = server.ask("POST", "/api/songs?name=a.flac", sound)
    assert server.wait(answer["id"])["state"] == "done"


def test_a_thousand_channels_need_no_more_memory_than_a_song_may(
    server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "wide.wav"
    soundfile.write(path, np.zeros((4000, 1000), np.int16), 768_000)
    told = server.wait(server.ask("POST", "/api/songs?name=wide.wav", path.read_bytes())[1]["id"])
    assert told["state"] == "failed" and told["error"].startswith("wide.wav: ")


def test_broken_requests_are_answered_or_dropped(server: Server) -> None:
    for request in (
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /api/songs?name=a.wav HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/songs?name=a.wav HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as line:
            line.sendall(request)
            assert b" 4" in line.recv(65536).splitlines()[0]


def test_a_port_that_is_taken_is_said_in_a_line(server: Server) -> None:
    command = [sys.executable, "-m", "moodcurve", "serve", "--port", str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert f"port {server.port}: cannot listen (Address already in use)" in done.stderr


@LINUX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_its_end_leaves_no_process_and_no_file(
    tmp_path: Path, request: pytest.FixtureRequest, number: int
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    server = start(scratch)
    request.addfinalizer(server.process.kill)  # of no effect but where the test fails
    rng = np.random.default_rng(0)
    path = tmp_path / "long.wav"
    soundfile.write(path, rng.normal(0, 0.1, 300 * SAMPLE_RATE), SAMPLE_RATE)
    _, answer = server.ask("POST", "/api/songs?name=long.wav", path.read_bytes())
    assert answer["id"]
    while len(children := _children(server)) < 2:  # one at work, one waiting
        time.sleep(0.01)
    with socket.create_connection(("127.0.0.1", server.port)) as line:  # a page is open
        line.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        line.recv(100)
        code, _, err = stop(server, number)
    assert "Traceback" not in err
    assert code == (130 if number == signal.SIGINT else -number)
    deadline = time.monotonic() + 30
    while (alive := [p for p in children if _alive(p)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive == []
    assert list(scratch.iterdir()) == []


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class TestSlow:
    """Clients that send next to nothing; the limits are made short for the test."""

    @pytest.fixture
    def hasty(self, tmp_path: Path) -> Iterator[Server]:
        script = (
            "from moodcurve.web import patience, uploads\n"
            "patience._SECONDS = uploads._GRACE = 0.5\n"
            "from moodcurve.cli import main\n"
            "main(['serve', '--port', '0'])\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        port = int(process.stdout.readline().rstrip("/\n").rpartition(":")[2])
        server = Server(process, port, tmp_path)
        yield server
        stop(server)

    def test_a_slow_body_is_cut_off(self, hasty: Server) -> None:
        with socket.create_connection(("127.0.0.1", hasty.port), timeout=30) as line:
            line.sendall(
                b"POST /api/songs?name=a.wav HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: 1000000\r\n\r\nRIFF"
            )
            started = time.monotonic()
            answer = line.recv(65536)
        assert b" 408 " in answer.splitlines()[0]
        assert time.monotonic() - started < 20

    @pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: loc"])
    def test_a_connection_that_asks_nothing_is_closed(self, hasty: Server, said: bytes) -> None:
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", hasty.port), timeout=30) as line:
            line.sendall(said)
            assert line.recv(65536) == b""
        assert 0.4 < time.monotonic() - started < 20

    def test_a_page_that_listens_is_not(self, hasty: Server) -> None:
        with socket.create_connection(("127.0.0.1", hasty.port), timeout=30) as line:
            line.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(2)
            assert b" 200 " in line.recv(65536).splitlines()[0]
            line.settimeout(0.2)
            with pytest.raises(TimeoutError):
                line.recv(1)
