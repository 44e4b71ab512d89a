"""The routes, asked through Starlette's client; the tracing processes are real."""

import asyncio
import csv
import io
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import tone
from moodcurve.audio import SAMPLE_RATE
from moodcurve.curve import Curve
from moodcurve.predict import File2Curve

pytest.importorskip("starlette", reason="needs moodcurve[web]")
from starlette.testclient import TestClient

from moodcurve.web import app as web_app
from moodcurve.web import tracing, uploads

HERE = "http://127.0.0.1:8765"


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    samples = np.concatenate([tone(4), tone(4, 330, 0.6), tone(2.05, 110, 0.1)])
    soundfile.write(folder / "tone.flac", samples, SAMPLE_RATE)
    return folder


@pytest.fixture(scope="module")
def client(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    corpus = tmp_path_factory.mktemp("corpora") / "mine"
    app = web_app.create_app("default", folder=music, corpus=corpus)
    with TestClient(app, base_url=HERE) as client:
        yield client


@pytest.fixture(scope="module")
def expected(music: Path) -> Curve:
    return File2Curve()(music / "tone.flac")


def wait(client: TestClient, identity: str) -> dict:
    """The last news of a song, when it is done or has failed."""
    song = client.app.state.server.tracing.songs[identity]
    for _ in range(600):
        if song.state in ("done", "failed"):
            return song.news()
        time.sleep(0.05)
    raise AssertionError(f"still {song.state}")


def send(client: TestClient, content: bytes, name: str) -> dict:
    answer = client.post("/api/songs", params={"name": name}, content=content)
    assert answer.status_code == 202, answer.text
    return wait(client, answer.json()["id"])


@pytest.fixture(scope="module")
def traced(client: TestClient, music: Path) -> str:
    news = send(client, (music / "tone.flac").read_bytes(), "Café $1.flac")
    assert news["state"] == "done", news
    assert news["seconds"] == pytest.approx(10.05, abs=0.01)
    return news["id"]


def test_about_says_model_limits_folder_and_formats(client: TestClient) -> None:
    about = client.get("/api/about").json()
    assert about["model"]["name"] == "default"
    assert about["model"]["licence"] == "MIT"
    assert about["limits"] == {"bytes": uploads.BYTES, "seconds": 7200, "songs": 200}
    assert about["folder"]["songs"] == [{"key": "1", "name": "tone.flac"}]
    assert {"csv", "json", "jams", "png", "svg"} <= set(about["formats"])
    assert about["scale"]["valence"].startswith("-1 unpleasant")


def test_an_upload_has_the_curve_of_predict(
    client: TestClient, traced: str, expected: Curve
) -> None:
    found = client.get(f"/api/songs/{traced}/curve").json()
    columns = dict(zip(found["columns"], zip(*found["rows"], strict=True), strict=True))
    assert found["song"] == "Café $1"
    assert np.allclose(columns["valence"], expected.valence, atol=1e-4)
    assert np.allclose(columns["arousal_high"], expected.band.arousal_high, atol=1e-4)
    assert found["sample_rate"] == expected.about["sample_rate"] == SAMPLE_RATE


def test_peaks_are_the_largest_samples_of_each_tenth(
    client: TestClient, traced: str, music: Path
) -> None:
    found = client.get(f"/api/songs/{traced}/peaks").json()
    samples, _ = soundfile.read(music / "tone.flac")
    parts = np.split(np.abs(samples), range(4410, len(samples), 4410))
    assert found["per_second"] == 10
    assert len(found["peaks"]) == len(parts) == 101
    assert np.allclose(found["peaks"], [part.max() for part in parts], atol=0.0051)


def test_downloads_are_what_their_names_say(
    client: TestClient, traced: str, expected: Curve
) -> None:
    ask = f"/api/songs/{traced}/export"
    answer = client.get(ask, params={"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert np.allclose([float(row["arousal"]) for row in rows], expected.arousal, atol=1e-4)
    assert answer.headers["content-disposition"] == (
        "attachment; filename*=UTF-8''Caf%C3%A9%20%241.csv"
    )
    assert client.get(ask, params={"format": "json"}).json()["model"]["name"] == "default"
    assert client.get(ask, params={"format": "svg"}).content.lstrip().startswith(b"<?xml")
    png = client.get(ask, params={"format": "png"})
    assert png.content.startswith(b"\x89PNG") and png.headers["content-type"] == "image/png"
    wrong = client.get(ask, params={"format": "../../etc/passwd"})
    assert wrong.status_code == 400 and "no such format" in wrong.json()["error"]


def test_a_song_of_the_folder_is_traced_and_played(
    client: TestClient, music: Path, traced: str, expected: Curve
) -> None:
    answer = client.post("/api/songs", params={"folder": "1"})
    identity = wait(client, answer.json()["id"])["id"]
    curve = client.get(f"/api/songs/{identity}/curve").json()
    assert np.allclose([row[2] for row in curve["rows"]], expected.valence, atol=1e-4)
    content = (music / "tone.flac").read_bytes()
    part = client.get(f"/api/songs/{identity}/audio", headers={"Range": "bytes=100-199"})
    assert part.status_code == 206 and part.content == content[100:200]
    assert client.get(f"/api/songs/{traced}/audio").status_code == 404  # uploads are not kept
    assert client.delete(f"/api/songs/{identity}").status_code == 204
    assert client.get(f"/api/songs/{identity}/curve").status_code == 404
    for key in ("2", "../1", str(music / "tone.flac")):
        assert client.post("/api/songs", params={"folder": key}).status_code == 404


@pytest.mark.parametrize(
    "name",
    ["", "..", " . ", "a/b.mp3", "..\\b.mp3", "/etc/passwd", "a\0.mp3", "a\n.mp3", "x" * 256],
)
def test_a_name_that_is_a_path_or_none_is_refused(client: TestClient, name: str) -> None:
    answer = client.post("/api/songs", params={"name": name}, content=b"x")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("name: ")


def test_what_is_no_sound_fails_in_one_line(client: TestClient) -> None:
    for name, content in (
        ("note.mp3", b"not music at all" * 100),
        ("zip.flac", b"PK\x03\x04" + bytes(10_000)),
        ("list.m4a", b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"),
    ):
        news = send(client, content, name)
        assert news["state"] == "failed"
        assert news["error"].startswith(f"{name}: not a sound file")
    assert client.post("/api/songs?name=a.mp3", content=b"").status_code == 400
    assert client.post("/api/songs?name=a.mp3").status_code == 400


def test_a_song_that_is_too_long_fails(
    client: TestClient, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "SECONDS", 5.0)
    news = send(client, (music / "tone.flac").read_bytes(), "long.flac")
    assert news["error"].startswith("long.flac: longer than")


def test_a_song_that_takes_too_long_fails(
    client: TestClient, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_WALL_SECONDS", 0.01)
    news = send(client, (music / "tone.flac").read_bytes(), "slow.flac")
    assert news["error"] == "slow.flac: took longer than 0.01 s; convert it to flac"


def test_larger_uploads_are_refused_claimed_or_not(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = client.post("/api/songs?name=a", headers={"Content-Length": "10000000000"}, content=b"")
    assert claim.status_code == 413
    monkeypatch.setattr(uploads, "BYTES", 10_000)
    chunks = (bytes(1000) for _ in range(11))
    assert client.post("/api/songs?name=a.wav", content=chunks).status_code == 413


def test_the_room_of_waiting_files_is_bounded(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "SPOOL", 500)
    answer = client.post("/api/songs?name=a.wav", content=bytes(1000))
    assert answer.status_code == 429 and answer.headers["retry-after"] == "5"


def test_more_songs_than_are_held_are_refused(
    client: TestClient, traced: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "SONGS", 1)
    answer = client.post("/api/songs?name=a.wav", content=bytes(1000))
    assert answer.status_code == 429 and "remove some" in answer.json()["error"]


def test_nothing_is_kept_of_an_upload(
    client: TestClient, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    news = send(client, (music / "tone.flac").read_bytes(), "secret.flac")
    client.get(f"/api/songs/{news['id']}/export", params={"format": "csv"})
    assert news["state"] == "done"
    assert list(tmp_path.iterdir()) == []
    assert not _open_files_in(tmp_path)  # not even a nameless one


def _open_files_in(folder: Path) -> list[str]:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("open files are listed in /proc, and there is none")
    found = []
    for entry in descriptors.iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found


def test_annotations_are_kept_and_make_labels(client: TestClient, music: Path) -> None:
    content = (music / "tone.flac").read_bytes()
    for _ in range(2):  # the same file again is no other song
        stored = client.put("/api/corpus/audio/mine.flac", content=content)
        assert stored.status_code == 201 and stored.json() == {"song": "mine"}
    other = client.put("/api/corpus/audio/mine.flac", content=content[:-1])
    assert other.status_code == 400 and "already" in other.json()["error"]
    samples = [[t / 4, 0.5, -0.25] for t in range(41)]
    said = {"lag_s": 0, "samples": samples}
    answer = client.put("/api/annotations/mine/Ann%20B.", content=json.dumps(said))
    assert answer.status_code == 400 and answer.json()["error"].startswith("rater: ")
    answer = client.put("/api/annotations/mine/Ann", content=json.dumps(said))
    assert answer.status_code == 200, answer.text
    assert answer.json() == client.get("/api/annotations/mine").json()
    assert answer.json()["raters"] == [{"name": "Ann", "lag_s": 0.0, "samples": samples}]
    songs = client.get("/api/about").json()["corpus"]
    assert songs == {"name": "mine", "songs": [{"name": "mine", "raters": ["Ann"]}]}
    assert client.delete("/api/annotations/mine/Ann").json()["raters"] == []


@pytest.mark.parametrize(
    "path", ["..", "..%2f..%2fetc", "%2e%2e%2fx", "none", ".hidden", "a%00b", "mine%2f..%2fmine"]
)
def test_paths_in_annotations_reach_nothing(client: TestClient, path: str) -> None:
    said = json.dumps({"lag_s": 0, "samples": [[0, 0, 0]]})
    for address in (f"/api/annotations/{path}/Ann", f"/api/annotations/mine/{path}/x"):
        assert client.put(address, content=said).status_code in (400, 404, 405)
    for name in (path, f"{path}.mp3", f"{path}%2f.mp3"):
        if name != "none.mp3":
            answer = client.put(f"/api/corpus/audio/{name}", content=b"x")
            assert answer.status_code in (400, 404, 405), name


def test_without_a_corpus_nothing_is_annotated() -> None:
    client = TestClient(web_app.create_app("default"), base_url=HERE)
    answer = client.get("/api/annotations/x")
    assert answer.status_code == 409 and "--corpus" in answer.json()["error"]


def test_a_song_that_needs_more_memory_than_a_song_may_fails(tmp_path: Path) -> None:
    path = tmp_path / "wide.wav"
    soundfile.write(path, np.zeros((1, 1000), np.int16), 768_000)
    header = bytearray(path.read_bytes()[:-2000])
    size = 384_000 * 2000  # half a second, of which 1.5 GB of floats are made
    header[4:8], header[-4:] = (36 + size).to_bytes(4, "little"), size.to_bytes(4, "little")
    path.write_bytes(header)
    os.truncate(path, len(header) + size)  # takes no room on disk
    song = tracing.Song("wide.wav", path=path)

    async def trace() -> None:
        async with tracing.Tracing("default") as songs:
            songs.add(song)
            await song.task

    asyncio.run(trace())
    assert song.error == "wide.wav: needs more memory than a song may; convert it to flac"
