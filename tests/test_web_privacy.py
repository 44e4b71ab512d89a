"""What is promised: audio never leaves the machine, and nothing is kept unless saved.

Python tells an audit hook of every connection and every file that it opens. The server and its
tracing processes run here with one that ends them at once on anything that was not promised.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from conftest import tone
from library_songs import made_up, many_songs
from moodcurve.audio import SAMPLE_RATE
from moodcurve.library.places import Job
from moodcurve.library.trace import entry_of
from test_web_hostile import Server, start, stop

pytest.importorskip("uvicorn", reason="needs moodcurve[web]")

_HOOK = """
import os, sys, tempfile

tempfile.tempdir = os.environ.get("TMPDIR")  # else Python tries by a file which folder it can use

def hook(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.gethostbyname"):
        os._exit(99)
    if event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", b"127.0.0.1"):
        os._exit(99)
    if event == "open" and isinstance(arguments[2], int):
        path, _, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        nameless = flags & os.O_TMPFILE == os.O_TMPFILE  # in that folder, under no name
        nameless = nameless or isinstance(path, int) or os.path.isdir(path)  # what leads to it
        saved = str(path).startswith(os.environ["MAY_WRITE"])
        if writes and not nameless and not saved and path != os.devnull:
            os._exit(99)
    if event in ("os.mkdir", "os.rename") and not str(arguments[0]).startswith(
        os.environ["MAY_WRITE"]
    ):
        os._exit(99)

sys.addaudithook(hook)
"""


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not hasattr(os, "O_TMPFILE"):
        pytest.skip("files without a name are Linux's; elsewhere they are unlinked at once")
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(_HOOK)
    (tmp_path / "scratch").mkdir()
    paths = [str(tmp_path / "hook"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("MAY_WRITE", str(tmp_path / "corpus"))
    return tmp_path


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "open('kept', 'wb')",
        "import tempfile; tempfile.mkdtemp()",
        "import tempfile; tempfile.NamedTemporaryFile()",
    ],
)
def test_the_hook_sees_what_it_should(watched: Path, code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=watched, capture_output=True)
    assert done.returncode == 99, done.stderr


def test_no_audio_leaves_and_none_is_kept(watched: Path) -> None:
    path = watched / "song.flac"
    soundfile.write(path, tone(2), SAMPLE_RATE)
    server = start(watched / "scratch")
    try:
        done = _trace(server, path)
        assert server.ask("GET", f"/api/songs/{done['id']}/curve")[0] == 200
    finally:
        code, _, _ = stop(server)
    assert code == 130  # so the hook did not end it
    assert done["state"] == "done"  # nor the process that traced
    assert list((watched / "scratch").iterdir()) == []


def test_what_is_saved_is_in_the_corpus_alone(watched: Path) -> None:
    path = watched / "song.flac"
    soundfile.write(path, tone(2), SAMPLE_RATE)
    corpus = watched / "corpus"
    server = start(watched / "scratch", "--corpus", str(corpus))
    try:
        assert _trace(server, path)["state"] == "done"
        assert not [file for file in corpus.rglob("*") if file.is_file()]
        content = path.read_bytes()
        assert server.ask("PUT", "/api/corpus/audio/song.flac", content)[0] == 201
        said = b'{"lag_s": 0, "samples": [[0, 0, 0], [1, 0.5, 0.5]]}'
        assert server.ask("PUT", "/api/annotations/song/Ann", said)[0] == 200
    finally:
        code, _, _ = stop(server)
    assert code == 130
    names = {str(file.relative_to(corpus)) for file in corpus.rglob("*") if file.is_file()}
    assert names == {"audio/song.flac", "annotations/song/Ann.json", "dynamic.csv"}
    assert (corpus / "audio" / "song.flac").read_bytes() == content


def test_a_library_is_only_read(watched: Path) -> None:
    path = watched / "song.wav"
    soundfile.write(path, tone(12), SAMPLE_RATE)
    own = entry_of(made_up(7, 24), Job(str(path), 1, "1"), "own", "made-up", {})
    many_songs(watched / "library", 30, own)
    before = sorted((watched / "library").rglob("*"))
    server = start(watched / "scratch", "--library", str(watched / "library"))
    try:
        for question in ("map?left=-1&right=1&low=-1&high=1", "journey?from=sad&to=calm&minutes=9"):
            assert server.ask("GET", f"/api/library/{question}")[0] == 200
        _, answer = server.ask("POST", "/api/songs?library=30")
        assert server.wait(answer["id"])["plays"]
    finally:
        code, _, _ = stop(server)
    assert code == 130  # so the hook did not end it
    assert sorted((watched / "library").rglob("*")) == before


def _trace(server: Server, path: Path) -> dict:
    _, answer = server.ask("POST", f"/api/songs?name={path.name}", path.read_bytes())
    return server.wait(answer["id"])
