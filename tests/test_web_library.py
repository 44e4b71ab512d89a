"""The routes of the library's map, against pandas on the same tables."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jsonschema
import numpy as np
import pandas
import pyarrow as pa
import pytest
import soundfile

from conftest import tone
from library_songs import made_up, many_songs
from moodcurve.audio import SAMPLE_RATE
from moodcurve.errors import InputError
from moodcurve.export.formats import FORMATS

pytest.importorskip("starlette", reason="needs moodcurve[web]")
from starlette.testclient import TestClient

from moodcurve.library import find, journey, store
from moodcurve.library import like as likeness
from moodcurve.library.places import Job
from moodcurve.library.trace import entry_of
from moodcurve.web import atlas
from moodcurve.web.app import create_app
from test_web_app import wait

SCHEMA = Path(__file__).parents[1] / "docs" / "moodcurve-curve-1.schema.json"
HERE = "http://127.0.0.1:8765"
COUNT = 4000
WHOLE = {"left": -1.08, "right": 1.08, "low": -1.08, "high": 1.08}
SMALL = {"left": 0.1, "right": 0.3, "low": -0.2, "high": 0.05}


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    soundfile.write(folder / "Möwe.flac", tone(12), SAMPLE_RATE)
    job, tags = Job(str(folder / "Möwe.flac"), 1, "1"), {"title": "Möwe", "artist": "Ida"}
    own = entry_of(made_up(7, 24), job, "own", "made-up", tags)
    many_songs(folder / "lib", COUNT, own)
    return folder / "lib"


@pytest.fixture(scope="module")
def client(lib):
    with TestClient(create_app("default", library=lib), base_url=HERE) as client:
        yield client


@pytest.fixture(scope="module")
def table(lib):
    """The songs as another reader sees them, in the order of the keys."""
    return pandas.read_parquet(lib / "songs")


def get(client, path, **params):
    answer = client.get(f"/api/library{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def inside(table, box):
    across = table.valence.between(box["left"], box["right"])
    return table[across & table.arousal.between(box["low"], box["high"])]


def test_what_is_said_of_it(client):
    assert client.get("/api/about").json()["library"] == "lib"
    about = get(client, "")
    assert about["songs"] == COUNT + 1
    clock, models = about["notes"]
    assert clock.startswith("as it was at ")
    assert models.startswith("traced with made-up; songs added here with default-")


def test_many_songs_are_counted_in_cells(client, table):
    answer = client.get("/api/library/map", params=WHOLE)
    assert len(answer.content) < 40_000
    found = answer.json()
    edges = np.linspace(-1.08, 1.08, found["cells"] + 1)
    expected, *_ = np.histogram2d(table.arousal, table.valence, (edges, edges))
    assert found["held"] == found["within"] == COUNT + 1
    np.testing.assert_array_equal(np.reshape(found["counts"], expected.shape), expected)


def test_few_songs_are_told_each(client, table):
    answer = client.get("/api/library/map", params=SMALL)
    assert len(answer.content) < 100_000
    found, expected = answer.json(), inside(table, SMALL)
    assert 0 < found["within"] == len(expected) <= atlas.DOTS
    assert found["dots"]["keys"] == expected.index.tolist()
    np.testing.assert_allclose(found["dots"]["valence"], expected.valence, atol=5.1e-6)
    np.testing.assert_allclose(found["dots"]["arousal"], expected.arousal, atol=5.1e-6)


def test_a_condition_holds_on_the_map_and_in_the_list(client, table):
    where = 'valence > 0.2 and "artist 1" in artist'
    held = table[(table.valence > 0.2) & table.artist.str.contains("Artist 1", na=False)]
    found = get(client, "/map", where=where, **WHOLE)
    assert found["held"] == len(held)
    assert found["dots"]["keys"] == held.index.tolist()
    found = get(client, "/songs", where=where, sort="valence desc", **SMALL)
    expected = inside(held, SMALL).sort_values("valence", ascending=False)
    assert [song["key"] for song in found["songs"]] == expected.index.tolist()
    assert found["total"] == len(expected) > 3


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("valence >", "where, position 10"),
        ("valence = 1", "compare with =="),
        ("__import__('os').remove('x')", "cannot stand in a condition"),
        ("loudness > 1", "no such column"),
        ("not valence", "a number, where a condition is needed"),
        ("valence < " + "9" * 400, "too large a number"),
        ("(" * 300 + ")" * 190, ""),
        ("valence > 0 and " * 40 + "valence > 0", "longer than 500 characters"),
        ('title == "\ud800"'.encode(errors="surrogatepass"), ""),
        ("valence > 0\0", ""),
    ],
)
def test_a_condition_that_is_not_understood_gets_one_line(client, where, reason):
    for path, more in (("/map", WHOLE), ("/songs", WHOLE), ("/like/1", {})):
        answer = client.get(f"/api/library{path}", params={"where": where, **more})
        line = answer.json()["error"]
        assert answer.status_code == 400 and "\n" not in line and "--" not in line
        assert reason in line


@pytest.mark.parametrize(
    "params",
    [
        {},
        WHOLE | {"left": "nan"},
        WHOLE | {"left": "-inf"},
        WHOLE | {"left": 2},
        WHOLE | {"right": 1e300},
        WHOLE | {"high": "x"},
    ],
)
def test_a_view_that_is_none_is_refused(client, params):
    for path in ("/map", "/songs"):
        answer = client.get(f"/api/library{path}", params=params)
        assert answer.status_code == 400 and list(answer.json()) == ["error"]


def test_a_list_is_sorted_and_bounded(client, table, monkeypatch):
    monkeypatch.setattr(atlas, "LISTED", 50)
    found = get(client, "/songs", sort="artist", **WHOLE)
    expected = table.sort_values(["artist", "path"])[:50]  # nobody has an album
    assert [song["key"] for song in found["songs"]] == expected.index.tolist()
    assert found["total"] == COUNT + 1
    answer = client.get("/api/library/songs", params=WHOLE | {"sort": "loudness"})
    assert answer.status_code == 400 and "no such column" in answer.json()["error"]


def test_a_song_is_named_without_its_path(client, table):
    for key in (0, 1, COUNT):
        song, row = get(client, f"/songs/{key}"), table.loc[key]
        assert song["title"] == (f"song {key}" if pandas.isna(row.title) else row.title)
        assert song["artist"] == (None if pandas.isna(row.artist) else row.artist)
        assert song["valence"] == pytest.approx(row.valence, abs=5.1e-6)
        assert set(song) == {"key", *atlas._TOLD}


@pytest.mark.parametrize("key", ["-1", str(COUNT + 1), "x", "..%2f1", "1e3", "²", "9" * 30, ""])
def test_a_key_of_no_song_finds_nothing(client, key):
    for path in (f"/api/library/songs/{key}", f"/api/library/like/{key}"):
        assert client.get(path).status_code in (400, 404)
    assert client.post(f"/api/songs?library={key}").status_code == 404


@pytest.mark.parametrize("key", [-1, COUNT + 1, 10**30])
def test_a_playlist_of_unknown_songs_is_not_made(client, key):
    document = json.dumps({"title": "x", "keys": [1, key]})
    assert client.post("/api/library/playlist", content=document).status_code == 404


def test_a_list_becomes_a_playlist(client, table):
    keys = [COUNT, 3, 2, 30]
    document = {"title": "In\nview\r#x", "keys": keys}
    answer = client.post("/api/library/playlist", content=json.dumps(document))
    lines = answer.text.splitlines()
    assert lines[:2] == ["#EXTM3U", "#PLAYLIST:In view #x"]
    assert [line for line in lines if line[0] != "#"] == table.path[keys].tolist()
    assert f"#EXTINF:{table.seconds[COUNT]:.0f},Ida - Möwe" in lines
    for wrong in (
        [],
        {},
        {"title": "x"},
        {"title": "x", "keys": ["1"]},
        {"title": "x", "keys": []},
    ):
        answer = client.post("/api/library/playlist", content=json.dumps(wrong))
        assert answer.status_code == 400 and list(answer.json()) == ["error"]
    document = {"title": "x", "keys": [1] * (atlas.LISTED + 1)}
    assert client.post("/api/library/playlist", content=json.dumps(document)).status_code == 400


def test_songs_like_one_are_the_nearest_of_all(client, lib, table):
    columns = {name: np.stack(table[name]) for name in likeness.COLUMNS}
    shapes = likeness.shapes(pa.table({name: list(values) for name, values in columns.items()}))
    apart = sum((column - column[8]) ** 2 for column in shapes.points)
    apart += likeness.warped(shapes.paths, shapes.paths[8])
    for where, held in (("", table.valence > -2), ("valence > 0.1", table.valence > 0.1)):
        far = np.where(held & (table.index != 8), apart, np.inf)
        expected = np.argsort(far, kind="stable")[: atlas.LIKE]
        found = get(client, "/like/8", where=where)["songs"]
        assert [song["key"] for song in found] == expected.tolist()
    assert get(client, "/like/8", where="valence > 2")["songs"] == []


def test_a_journey_is_that_of_the_command(client, lib, table):
    where = "arousal < 0.4"
    answer = get(
        client, "/journey", **{"from": "-0.3,-0.2", "to": "0.4,0.3"}, minutes=30, where=where
    )
    rows = find.find(lib, where, "path", list(journey.COLUMNS))
    songs = journey.songs_of(rows)
    expected = journey.plan(songs, (-0.3, -0.2), (0.4, 0.3), 30)
    chosen = rows.take(expected.songs)
    assert [table.path[song["key"]] for song in answer["songs"]] == chosen["path"].to_pylist()
    np.testing.assert_allclose(answer["places"], expected.places, atol=1e-4)
    ends = np.array(answer["ends"])
    np.testing.assert_allclose(ends[:, 0], songs.starts[expected.songs], atol=5.1e-6)
    np.testing.assert_allclose(ends[:, 1], songs.ends[expected.songs], atol=5.1e-6)
    assert answer["line"] == journey.describe(expected, songs)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"from": "sad", "to": "blue", "minutes": 40}, '"blue": no mood word'),
        ({"from": "sad", "to": "2,0", "minutes": 40}, "from -1 to 1"),
        ({"from": "", "to": "sad", "minutes": 40}, "no mood given"),
        ({"from": "sad", "to": "calm", "minutes": 100_000}, "100000 minutes: all songs"),
        ({"from": "sad", "to": "calm", "minutes": 300}, "at most 40 are planned here"),
        ({"from": "sad", "to": "calm", "minutes": 0}, "more than 0"),
        ({"from": "sad", "to": "calm", "minutes": "nan"}, "minutes: give a number"),
        ({"from": "sad", "to": "calm", "minutes": 40, "where": "valence > 2"}, "no songs"),
    ],
)
def test_a_journey_that_cannot_be_made_gets_one_line(client, params, reason):
    answer = client.get("/api/library/journey", params=params)
    assert answer.status_code == 400 and reason in answer.json()["error"]


def test_a_song_has_its_curve_of_the_library_and_sounds(client, lib):
    identity = client.post(f"/api/songs?library={COUNT}").json()["id"]
    news = wait(client, identity)
    assert (news["state"], news["library"], news["plays"]) == ("done", COUNT, True)
    found = client.get(f"/api/songs/{identity}/curve").json()
    expected = made_up(7, 24)
    columns = dict(zip(found["columns"], zip(*found["rows"], strict=True), strict=True))
    np.testing.assert_allclose(columns["valence"], expected.valence, atol=1e-4)
    np.testing.assert_allclose(columns["arousal"], expected.arousal, atol=1e-4)
    assert found["song"] == "Ida – Möwe" and found["model"]["name"] == "made-up"
    assert found["familiarity"] == {"percentile": 12.5, "familiar": True}
    samples, _ = soundfile.read(lib.parent / "Möwe.flac")
    peaks = client.get(f"/api/songs/{identity}/peaks").json()["peaks"]
    assert peaks[0] == pytest.approx(np.abs(samples[:4410]).max(), abs=0.0051)
    assert len(peaks) == 120
    audio = client.get(f"/api/songs/{identity}/audio").content
    assert audio == (lib.parent / "Möwe.flac").read_bytes()
    jsonschema.validate(found, json.loads(SCHEMA.read_text()))
    assert found["sample_rate"] == SAMPLE_RATE
    for name in FORMATS:
        answer = client.get(f"/api/songs/{identity}/export", params={"format": name})
        assert answer.status_code == 200, name
    answer = client.get(f"/api/songs/{identity}/export", params={"format": "csv"})
    assert "Ida%20%E2%80%93%20M%C3%B6we.csv" in answer.headers["content-disposition"]
    again = client.post(f"/api/songs?library={COUNT}").json()["id"]  # is there already
    assert again == identity
    assert client.delete(f"/api/songs/{identity}").status_code == 204


def test_a_song_asked_for_twice_at_once_is_there_once(lib):
    with (
        TestClient(create_app("default", library=lib), base_url=HERE) as client,
        ThreadPoolExecutor() as pool,
    ):
        answers = list(pool.map(lambda _: client.post("/api/songs?library=7"), range(4)))
    assert [answer.status_code for answer in answers] == [202] * 4
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_only_sound_files_of_this_machine_are_served(tmp_path):
    """Whoever made the library may have named anything in it."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "noise.wav").write_text("no sound")
    names = ["secret.txt", "folder.wav", "gone.mp3", "noise.wav"]
    places = [*(str(tmp_path / name) for name in names), "https://example.org/a.mp3", "/etc/passwd"]
    places.append(f"file://{tmp_path}/secret.txt")
    places.append(f"/music/{'x' * 300}.wav")  # the system refuses to look for it
    curve = made_up(1)
    entries = [
        entry_of(curve, Job(place, 1, "1"), str(k), "m-1", {}) for k, place in enumerate(places)
    ]
    for folder in ("songs", "curves", "unfinished"):
        (tmp_path / "lib" / folder).mkdir(parents=True)
    store.write_part(tmp_path / "lib", entries)
    with TestClient(create_app("default", library=tmp_path / "lib"), base_url=HERE) as client:
        for key in range(len(places)):
            identity = client.post(f"/api/songs?library={key}").json()["id"]
            news = wait(client, identity)
            assert (news["state"], news["plays"]) == ("done", False), places[key]
            assert client.get(f"/api/songs/{identity}/audio").status_code == 404
            assert client.get(f"/api/songs/{identity}/peaks").json()["peaks"] == []
            assert len(client.get(f"/api/songs/{identity}/curve").json()["rows"]) == 40


def test_a_library_that_changed_meanwhile_says_so(tmp_path):
    many_songs(tmp_path / "lib", 30)
    with TestClient(create_app("default", library=tmp_path / "lib"), base_url=HERE) as client:
        store.remove_part(tmp_path / "lib", "part-000001.parquet")
        for answer in (client.post("/api/songs?library=3"), client.get("/api/library/like/3")):
            assert answer.status_code == 400
            assert "start the server again" in answer.json()["error"]
        assert client.get("/api/library/songs/3").json()["artist"] == "Artist 03"


def test_what_is_no_library_ends_the_server_before_it_begins(tmp_path, run):
    for place, line in ((tmp_path / "none", "not a library"), (tmp_path, "not a library")):
        code, _, err = run("serve", "--library", place, "--port", "0")
        assert (code, err.count("\n")) == (2, 1) and line in err
    (tmp_path / "songs").mkdir()
    code, _, err = run("serve", "--library", tmp_path, "--port", "0")
    assert (code, err.count("\n")) == (2, 1) and "no songs in it yet" in err
    (tmp_path / "songs" / "part-000001.parquet").write_bytes(b"PAR1 cut short")
    code, _, err = run("serve", "--library", tmp_path, "--port", "0")
    assert (code, err.count("\n")) == (2, 1) and "a part cannot be read" in err


def test_a_scan_at_work_is_told(tmp_path):
    many_songs(tmp_path / "lib", 30)
    for scans in (False, True):
        if scans:
            with store.locked(tmp_path / "lib"):
                notes = atlas.Atlas(tmp_path / "lib", "default").about()["notes"]
        else:
            notes = atlas.Atlas(tmp_path / "lib", "default").about()["notes"]
        assert any("a scan is at work" in note for note in notes) == scans
    with store.locked(tmp_path / "lib"):
        pass  # looking at the lock does not hold it


def test_a_song_that_is_there_twice_for_a_moment_counts_once(tmp_path):
    many_songs(tmp_path / "lib", 30)
    for table in ("songs", "curves"):
        folder = tmp_path / "lib" / table
        (folder / "part-000002.parquet").write_bytes((folder / "part-000001.parquet").read_bytes())
    found = atlas.Atlas(tmp_path / "lib", "default")
    assert found.about()["songs"] == 30
    assert len(found.alike(3, "")["songs"]) == atlas.LIKE


@pytest.fixture
def thinking(monkeypatch):
    """What the library is asked for views takes until the second event; the first says it began."""
    begun, may_end = threading.Event(), threading.Event()

    def slow(*_):
        begun.set()
        may_end.wait(60)
        return {}

    monkeypatch.setattr(atlas.Atlas, "view", slow)
    yield begun
    may_end.set()


def asked_for_a_view(client):
    """A thread that asks, and where it puts the answer."""
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(client.get("/api/library/map", params=WHOLE))
    )
    asking.start()
    return asking, answers


def test_the_server_answers_while_the_library_thinks(lib, thinking):
    with TestClient(create_app("default", library=lib), base_url=HERE) as client:
        asking, answers = asked_for_a_view(client)
        assert thinking.wait(60)
        assert client.get("/api/about").status_code == 200
        assert not answers
        client.portal.call(client.app.state.server.let_go)  # the end waits for no answer
        asking.join(5)
        assert answers[0].status_code == 503


def test_more_questions_than_can_wait_are_refused(lib, thinking, monkeypatch):
    monkeypatch.setattr("moodcurve.web.library._WAITING", 1)
    with TestClient(create_app("default", library=lib), base_url=HERE) as client:
        asking, _ = asked_for_a_view(client)
        assert thinking.wait(60)
        answer = client.get("/api/library")
        assert answer.status_code == 429 and answer.headers["retry-after"] == "5"
        client.portal.call(client.app.state.server.let_go)
        asking.join(5)


ROUTES = [
    ("GET", "/api/library"),
    ("GET", "/api/library/map?left=-1&right=1&low=-1&high=1"),
    ("GET", "/api/library/songs?left=-1&right=1&low=-1&high=1"),
    ("GET", "/api/library/songs/1"),
    ("GET", "/api/library/like/1"),
    ("GET", "/api/library/journey?from=sad&to=calm&minutes=9"),
    ("POST", "/api/library/playlist"),
    ("POST", "/api/songs?library=1"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_only_the_page_itself_may_ask(client, lib, method, path):
    for headers in (
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert client.request(method, path, headers=headers).status_code == 403
    shared = TestClient(
        create_app("default", host="0.0.0.0", token="the-token", library=lib),
        base_url="http://192.168.1.5:8765",
    )
    assert shared.request(method, path).status_code == 401


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_library_there_is_none(method, path):
    client = TestClient(create_app("default"), base_url=HERE)
    answer = client.request(method, path, content=b"{}" if method == "POST" else None)
    assert answer.status_code == 409 and "--library" in answer.json()["error"]
    assert client.get("/api/about").json()["library"] is None


def test_without_pyarrow_it_says_what_to_install(lib, monkeypatch):
    monkeypatch.setattr("moodcurve.web.library.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"moodcurve\[library\]"):
        create_app("default", library=lib)
