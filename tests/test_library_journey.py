import itertools
import json
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs moodcurve[library]")

from library_songs import made_up_library
from moodcurve import InputError
from moodcurve.library import journey
from moodcurve.library.find import in_folders
from moodcurve.library.journey import Songs, describe, plan, reach, songs_of
from moodcurve.library.playlist import write_playlist
from moodcurve.library.words import SYNONYMS, place
from moodcurve.moods import WORDS

START, END = (-0.4, -0.3), (0.4, 0.3)


def random_songs(count, seed, artists=4):
    rng = np.random.default_rng(seed)
    means = rng.normal(0, 0.3, (count, 2)).clip(-1, 1)
    starts, ends = (means + rng.normal(0, 0.15, (count, 2)) for _ in range(2))
    seconds = rng.uniform(150, 300, count)
    contents = np.arange(count)
    return Songs(means, starts, ends, seconds, contents, rng.integers(0, artists, count))


def cost_of(songs, order, start, end):
    """From the definition; of songs that are all within an octave."""
    places = np.linspace(start, end, len(order))
    typical = np.median(songs.seconds)
    total = 0.0
    for number, song in enumerate(order):
        total += ((songs.means[song] - places[number]) ** 2).sum()
        total += 0.1 * np.log2(songs.seconds[song] / typical) ** 2
        if number:
            total += ((songs.ends[order[number - 1]] - songs.starts[song]) ** 2).sum()
    return total


def best_of_all(songs, count, start=START, end=END, max_jump=np.inf, artists=False):
    costs = [np.inf]
    for order in itertools.permutations(range(len(songs.seconds)), count):
        jumps = [np.hypot(*(songs.ends[a] - songs.starts[b])) for a, b in itertools.pairwise(order)]
        different = len(set(songs.artists[list(order)])) == count
        if max(jumps, default=0) <= max_jump and (different or not artists):
            costs.append(cost_of(songs, order, start, end))
    return min(costs)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("conditions", [{}, {"max_jump": 0.5}, {"no_artist_twice": True}])
@pytest.mark.parametrize("end", [END, START])
def test_it_is_the_best_of_all(seed, conditions, end):
    songs, count = random_songs(7, seed), 3 + seed % 2
    minutes = count * np.median(songs.seconds) / 60
    artists = conditions.get("no_artist_twice", False)
    jump = conditions.get("max_jump", np.inf)
    best = best_of_all(songs, count, START, end, jump, artists)
    if np.isinf(best):
        with pytest.raises(InputError):
            plan(songs, START, end, minutes, **conditions)
        return
    found = plan(songs, START, end, minutes, **conditions)
    if len(found.songs) != count:  # its songs are longer or shorter than the typical one
        best = best_of_all(songs, len(found.songs), START, end, jump, artists)
    assert found.cost == pytest.approx(best)
    assert found.bound == pytest.approx(best)
    assert cost_of(songs, found.songs, START, end) == pytest.approx(best)
    assert "no better one exists" in describe(found, songs)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("steps", [1, 40])
def test_the_bound_holds_when_the_search_gives_up(seed, steps, monkeypatch):
    monkeypatch.setattr(journey, "_STEPS", steps)
    monkeypatch.setattr(journey, "_BEAM", 1)
    monkeypatch.setattr(journey, "_NEAR", (3, 5))  # not all songs are thought of
    songs = random_songs(7, seed)
    minutes = 3 * np.median(songs.seconds) / 60
    try:
        found = plan(songs, START, START, minutes)
    except InputError:
        return
    best = best_of_all(songs, len(found.songs), START, START)
    assert found.bound <= best + 1e-12
    assert found.cost >= best - 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_where_nearly_all_songs_are_needed_the_bound_is_near(seed, monkeypatch):
    monkeypatch.setattr(journey, "_STEPS", 1)
    songs = random_songs(7, seed)
    minutes = 6 * np.median(songs.seconds) / 60
    found = plan(songs, START, START, minutes)
    best = best_of_all(songs, len(found.songs), START, START)
    assert 0.6 * best <= found.bound <= best + 1e-12  # repeating songs: 0.15 to 0.7 of it
    assert best - 1e-12 <= found.cost <= 1.1 * best


@pytest.mark.parametrize("conditions", [{}, {"no_artist_twice": True, "max_jump": 0.5}])
def test_staying_in_a_mood_is_nearly_the_best(conditions):
    songs = random_songs(300, 0, artists=60)
    found = plan(songs, START, START, 16 * np.median(songs.seconds) / 60, **conditions)
    assert len(set(found.songs)) == 16
    assert found.cost <= 1.02 * found.bound


def test_large_ones_keep_the_conditions_and_are_near_the_bound():
    songs = random_songs(5000, 0, artists=400)
    found = plan(songs, START, END, 60, max_jump=0.2, no_artist_twice=True)
    assert len(set(songs.artists[found.songs])) == len(found.songs) == 16
    jumps = np.hypot(*(songs.ends[found.songs[:-1]] - songs.starts[found.songs[1:]]).T)
    assert jumps.max() <= 0.2
    assert found.bound <= found.cost <= 1.1 * found.bound
    assert abs(songs.seconds[found.songs].sum() / 60 - 60) < 4
    progress = (songs.means[found.songs] - START) @ np.subtract(END, START)
    assert np.corrcoef(progress, np.arange(16))[0, 1] > 0.99


def test_the_same_content_is_not_heard_twice():
    songs = random_songs(6, 3)
    songs = songs._replace(contents=np.array([0, 0, 0, 1, 1, 2]))
    found = plan(songs, START, END, 3 * np.median(songs.seconds) / 60)
    assert sorted(songs.contents[found.songs]) == [0, 1, 2]


def test_many_songs_of_one_mood(monkeypatch):
    """However few are thought of, there are as many as places: so there is a journey."""
    monkeypatch.setattr(journey, "_NEAR", (4, 30))
    monkeypatch.setattr(journey, "_JUMPS", 12 * 5**2)
    songs = random_songs(40, 3)
    minutes = 12 * np.median(songs.seconds) / 60
    assert len(set(plan(songs, START, START, minutes).songs)) >= 10
    with pytest.raises(InputError, match="at most 400 are planned here"):
        plan(random_songs(1000, 3), START, START, 500 * minutes / 12)


def test_what_cannot_be(monkeypatch):
    songs = random_songs(7, 0, artists=3)
    with pytest.raises(InputError, match=r"^48.7067 minutes: all songs together last 25.4; give "):
        plan(songs, START, END, 14 * np.median(songs.seconds) / 60)
    uneven = songs._replace(seconds=np.array([100.0] * 6 + [199.0]))
    assert len(plan(uneven, START, END, 799 / 60).songs) == 7  # of typical length it would be 8
    with pytest.raises(InputError, match="about 4 songs; there are 3 artists"):
        plan(songs, START, END, 4 * np.median(songs.seconds) / 60, no_artist_twice=True)
    with pytest.raises(InputError, match="are about 3 songs; at most 2 are planned here"):
        plan(songs, START, END, 3 * np.median(songs.seconds) / 60, most=2)
    for minutes in (0, -3, np.nan):
        with pytest.raises(InputError, match="give more than 0"):
            plan(songs, START, END, minutes)
    with pytest.raises(InputError, match=r"--max-jump 0.001: .* has a jump of 0\.\d+: give more"):
        plan(songs, START, END, 3 * np.median(songs.seconds) / 60, max_jump=0.001)


@pytest.mark.parametrize(
    "others", [(400, 6, 6), (40, 4000, 5000), (200, 3000, 4000)], ids=["excerpts", "mixes", "talks"]
)
@pytest.mark.parametrize("minutes", [20, 40])
def test_other_lengths_beside_the_songs(others, minutes):
    """Few of those excerpts fill no minutes, and a journey is not a single talk."""
    songs = random_songs(160, 0)
    count, shortest, longest = others
    more = random_songs(count, 1)
    seconds = np.random.default_rng(2).uniform(shortest, longest, count)
    mixed = Songs(*map(np.concatenate, zip(songs, more._replace(seconds=seconds), strict=True)))
    mixed = mixed._replace(contents=np.arange(160 + count))
    found = plan(mixed, START, END, minutes)
    assert mixed.seconds[found.songs].sum() / 60 == pytest.approx(minutes, abs=2.5)
    assert (found.songs < 160).all()


@pytest.mark.parametrize("clips", [1, 10])
@pytest.mark.parametrize("minutes", [3, 5, 7, 7.5])
def test_few_clips_do_not_make_a_short_journey(clips, minutes):
    songs = random_songs(500, 0)
    seconds = np.random.default_rng(1).uniform(220, 260, 500)
    seconds[:clips] = 60
    found = plan(songs._replace(seconds=seconds), START, END, minutes)
    assert seconds[found.songs].sum() / 60 == pytest.approx(minutes, abs=2)
    assert (found.songs >= clips).any()


def test_where_clips_are_too_many_or_of_too_few_artists_songs_are_taken():
    songs = random_songs(640, 0)
    seconds = np.where(np.arange(640) < 600, 30.0, 240.0)
    artists = np.where(np.arange(640) < 600, 0, np.arange(640))
    songs = songs._replace(seconds=seconds, artists=artists)
    for conditions in ({"no_artist_twice": True}, {"most": 15}):
        found = plan(songs, START, END, 30, **conditions)
        assert len(found.songs) <= 15
        assert seconds[found.songs].sum() / 60 == pytest.approx(30, abs=2)


def test_minutes_are_kept_where_songs_on_the_way_are_longer():
    """Twice as long as the typical one: half as many. They are met to half a song's length."""
    songs = random_songs(150, 0)
    pleasant = np.hypot(*(songs.means - (0.4, 0.3)).T) < 0.3
    songs = songs._replace(seconds=np.where(pleasant, 360.0, 180.0))
    for minutes in (30, 60):
        found = plan(songs, (0.4, 0.3), (0.4, 0.3), minutes)
        assert songs.seconds[found.songs].sum() / 60 == pytest.approx(minutes, abs=3)


def test_one_song():
    songs = random_songs(7, 0)
    found = plan(songs, START, END, 0.1)
    assert found.cost == pytest.approx(best_of_all(songs, 1))


def test_songs_of_a_library(tmp_path):
    entries = made_up_library(tmp_path / "lib", 60)
    songs = songs_of(in_folders(tmp_path / "lib", [], list(journey.COLUMNS)))
    rows = [entry.row for entry in entries]
    np.testing.assert_allclose(songs.means[:, 1], [row["arousal"] for row in rows], atol=1e-6)
    np.testing.assert_allclose(songs.ends[:, 0], [row["valence_end"] for row in rows], atol=1e-6)
    assert len(set(songs.artists)) == 17 and songs.artists[0] == songs.artists[17]
    far = np.hypot(*songs.means.T)
    assert np.mean(far <= reach(songs)) == pytest.approx(0.9, abs=0.02)


def test_songs_without_an_artist_share_none(tmp_path):
    made_up_library(tmp_path / "lib", 10)
    table = in_folders(tmp_path / "lib", [], list(journey.COLUMNS))
    names = ["A", "a", None, None, "B", "B", None, "C", "D", "E"]
    index = table.schema.get_field_index("artist")
    songs = songs_of(table.set_column(index, "artist", [names]))
    assert songs.artists[0] == songs.artists[1] and songs.artists[4] == songs.artists[5]
    assert len(set(songs.artists)) == 8


def test_words_and_numbers():
    assert place("0.3, -0.2", 0.5) == (0.3, -0.2)
    valence, arousal = place("Sad", 0.5)
    assert np.degrees(np.arctan2(arousal, valence)) % 360 == pytest.approx(207.5)
    assert np.hypot(valence, arousal) == pytest.approx(0.5)
    assert place("sad and calm", 1) == place("calm, sad", 1) == place("quiet; sad", 1)
    assert place("at ease", 1) != place("neutral", 1) == (0, 0)
    assert set(SYNONYMS.values()) <= set(WORDS)
    assert not set(SYNONYMS) & set(WORDS)


@pytest.mark.parametrize("text", ["funky", "sad, funky", "", ",", "2,0", "nan,0", "0,1,0"])
def test_no_place(text):
    with pytest.raises(InputError):
        place(text, 0.5)


SONGS = [
    {"path": "/music/a b.mp3", "seconds": 61.5, "title": "A\nB", "artist": "X", "album": "Y"},
    {"path": "/music/new\nline.mp3", "seconds": 9, "title": None, "artist": None, "album": None},
    {"path": "https://there/c.mp3", "seconds": 9, "title": "C", "artist": None, "album": None},
    {"path": "file:///caf%E9.mp3", "seconds": 9, "title": None, "artist": None, "album": None},
]


def test_m3u8(tmp_path):
    write_playlist(SONGS, tmp_path / "list.m3u8", "There and back", ["made by a test"])
    assert (tmp_path / "list.m3u8").read_text().splitlines() == [
        "#EXTM3U",
        "#PLAYLIST:There and back",
        "# made by a test",
        "#EXTINF:62,X - A B",
        "/music/a b.mp3",
        "#EXTINF:9,new line",
        "file:///music/new%0Aline.mp3",
        "#EXTINF:9,C",
        "https://there/c.mp3",
        "#EXTINF:9,caf%E9",
        "file:///caf%E9.mp3",
    ]


def test_jspf(tmp_path):
    write_playlist(SONGS, tmp_path / "list.jspf", "There", ["a", "b"])
    playlist = json.loads((tmp_path / "list.jspf").read_text())["playlist"]
    assert playlist["title"] == "There" and playlist["annotation"] == "a\nb"
    first, second, third, _ = playlist["track"]
    assert first["creator"] == "X" and first["album"] == "Y" and first["duration"] == 61500
    for track, song in zip((first, second), SONGS, strict=False):
        assert unquote(urlparse(track["location"][0]).path) == song["path"]
    assert third["location"] == ["https://there/c.mp3"] and "creator" not in third


def test_another_ending(tmp_path):
    with pytest.raises(InputError, match=r"playlists end in \.m3u8 or \.jspf"):
        write_playlist(SONGS, Path(tmp_path / "list.txt"), "", [])
