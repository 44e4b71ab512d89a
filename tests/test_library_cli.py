import itertools
import json

import pytest
import soundfile

pytest.importorskip("pyarrow", reason="needs moodcurve[library]")

from library_songs import made_up, made_up_library, make_songs, many_songs
from moodcurve.cli import main
from moodcurve.library import journey, map
from moodcurve.library.find import in_folders
from moodcurve.library.places import Job
from moodcurve.library.trace import entry_of, failed


@pytest.fixture(autouse=True)
def _surroundings(one_process, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "lib"
    made_up_library(folder, 200)
    return folder


def library(*arguments):
    return main(["library", *(str(argument) for argument in arguments)])


def test_scan_then_find(tmp_path, capsys):
    music, lib = tmp_path / "music", tmp_path / "lib"
    make_songs(music, 2)
    assert library("scan", music, "--to", lib, "--jobs", 1) == 0
    assert capsys.readouterr().out == f"{lib}: 2 songs traced, 0 failed\n"
    (music / "bad.mp3").write_bytes(b"nonsense")
    assert library("scan", music, "--to", lib, "--jobs", 1) == 1
    out, err = capsys.readouterr()
    assert out == f"{lib}: 0 songs traced, 1 failed, 2 unchanged\n"
    assert "failures.csv" in err
    assert library("find", lib, "--where", "error is not None") == 0
    path, reason = capsys.readouterr().out.strip().split("\t")
    assert path == str(music / "bad.mp3") and reason.startswith("not a sound file")
    assert library("find", lib) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == sorted(str(p) for p in music.glob("*.wav"))
    assert library("find", lib, "--like", music / "song000.wav") == 0
    assert capsys.readouterr().out.startswith(str(music / "song001.wav"))
    soundfile.write(tmp_path / "other.wav", *soundfile.read(music / "song000.wav"))
    assert library("find", lib, "--like", tmp_path / "other.wav") == 0
    assert capsys.readouterr().out.startswith(str(music / "song000.wav"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("scan", "/no/where", "--to", "LIB"), "/no/where: No such file or directory; check"),
        (("scan", "/no/where", "--to", "LIB", "--jobs", 0), "--jobs 0: give at least 1"),
        (("scan", "/no/where", "--to", "LIB", "--model", "no"), "no: no such model"),
        (("find", "/no/where"), "/no/where: not a library; make one with"),
        (("find", "LIB", "--where", "valence >"), "position 10 ('the end'): not understood"),
        (("find", "LIB", "--like", "a", "--sort", "path"), "--like, --sort: songs like another"),
        (("find", "LIB", "--where", ""), "position 1 ('the end'): not understood"),
        (("find", "LIB", "--sort", ""), "'': no such column"),
        (("find", "LIB", "--like", ""), "--like '': not in the library, and no file"),
        (("find", "LIB", "--map", "a.xyz"), "a.xyz: pictures end in .png, .svg, .pdf; name it so"),
        (("journey", "LIB", "--from", "sad", "--to", "funk", "--minutes", 1), '"funk": no mood'),
        (("journey", "LIB", "--from", "sad", "--to", "sad", "--minutes", 0), "more than 0"),
        (
            ("journey", "LIB", "--from", "sad", "--to", "sad", "--minutes", 1, "--max-jump", -1),
            "--max-jump -1: a distance; give 0 or more",
        ),
        (
            ("journey", "LIB", "--from", "sad", "--to", "sad", "--minutes", 9, "-o", "a.txt"),
            "a.txt: playlists end in",
        ),
        (
            ("journey", "LIB", "--from", "sad\n\ndog", "--to", "sad", "--minutes", 9),
            '"sad dog": no mood word',
        ),
        (
            ("journey", "LIB", "--from", "sad", "--to", "sad", "--minutes", 9, "--only", "/no"),
            "no songs in /no",
        ),
    ],
)
def test_wrong_arguments(lib, capsys, arguments, words):
    assert library(*(lib if argument == "LIB" else argument for argument in arguments)) == 2
    out, err = capsys.readouterr()
    assert not out and words in err and err.count("\n") == 1


def test_where_no_song_is_found_it_says_so(lib, capsys):
    assert library("find", lib, "--where", "valence > 5") == 0
    assert capsys.readouterr() == ("", "moodcurve: no such song\n")


def test_journey(lib, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="needs moodcurve[plot]")
    files = [tmp_path / name for name in ("way.jspf", "way.png")]
    mood = ("--from", "sad, calm", "--to=0.3,0.4", "--minutes", 2)
    assert library("journey", lib, *mood, "-o", files[0], "--map", files[1]) == 0
    out, err = capsys.readouterr()
    paths = [line.split("\t")[0] for line in out.splitlines()]
    tracks = json.loads(files[0].read_text())["playlist"]["track"]
    assert [track["location"] for track in tracks] == [[f"file://{path}"] for path in paths]
    assert f"{len(paths)} songs, 2.0 min" in err or f"{len(paths)} songs, 1.9 min" in err
    assert files[1].read_bytes().startswith(b"\x89PNG")


def test_maps(lib, tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib", reason="needs moodcurve[plot]")
    drawn = []
    real = map.write_map
    monkeypatch.setattr(map, "write_map", lambda *a, **k: drawn.append(real(*a, **k)))
    assert library("find", lib, "--map", tmp_path / "all.svg") == 0
    assert len(drawn[0].axes[0].collections[0].get_offsets()) == 200
    assert "licence CC0" in (tmp_path / "all.svg").read_text()
    monkeypatch.setattr(map, "_DOTS", 100)
    assert library("find", lib, "--map", tmp_path / "many.png") == 0
    cells = drawn[1].axes[0].collections[0]
    assert cells.get_array().sum() == 200  # each song is counted
    long = ("--where", 20 * "seconds > 0 and " + "1 < 2")
    assert library("find", lib, *long, "--map", tmp_path / "long.png") == 0
    figure = drawn[2]
    title = figure.axes[0].get_tightbbox()
    assert figure.bbox.x0 <= title.x0 and title.x1 <= figure.bbox.x1 and title.y1 <= figure.bbox.y1
    capsys.readouterr()


def test_what_cannot_be_written_is_said_before_anything_is(lib, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="needs moodcurve[plot]")
    mood = ("--from", "sad", "--to", "happy", "--minutes", 2)
    for name in ("way.gif", "way"):
        files = ("-o", tmp_path / "way.m3u8", "--map", tmp_path / name)
        assert library("journey", lib, *mood, *files) == 2
        assert "pictures end in .png, .svg, .pdf" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_journey_of_one_song(lib, capsys):
    assert library("journey", lib, "--from", "sad", "--to", "happy", "--minutes", 0.2) == 0
    assert "1 song, 0.2 min, at (" in (err := capsys.readouterr().err)
    assert "too short to lead anywhere; give more minutes" in err


def test_each_song_is_one_line(tmp_path, capsys):
    names = ["a\nb.mp3", "c\x1b[31m.mp3", "back\\nslash.mp3", "not an error.mp3"]
    entries = [
        entry_of(made_up(n), Job(f"/music/{name}", 1, "1"), f"own {n}", "made-up", {})
        for n, name in enumerate(names)
    ]
    entries.append(failed(Job("/music/bad.mp3", 1, "1"), "made-up", "no sound"))
    many_songs(tmp_path / "lib", 1, *entries)
    places = ["file:///music/a%0Ab.mp3", "/music/back\\nslash.mp3"]
    places += ["file:///music/c%1B%5B31m.mp3", "/music/not an error.mp3"]
    assert library("find", tmp_path / "lib", "--where", '"music" in path and path != "error"') == 0
    lines = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if "/song 0" not in line] == places
    assert library("find", tmp_path / "lib", "--where", "error is not None") == 0
    assert capsys.readouterr().out == "/music/bad.mp3\tno sound\n"
    moods = ("--from", "sad,\ncalm", "--to", "happy", "--minutes", 1)
    assert library("journey", tmp_path / "lib", *moods, "-o", tmp_path / "a.m3u8") == 0
    lines = (tmp_path / "a.m3u8").read_text().splitlines()
    assert lines[1] == "#PLAYLIST:From sad, calm to happy"
    assert all(line.startswith(("#", "/music/", "file:///music/")) for line in lines)


def test_what_is_missing_is_said(lib, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert library("find", lib) == 2
    assert "pip install 'moodcurve[library]'" in capsys.readouterr().err


def test_the_numbers_of_a_journey_do_not_cover_each_other(lib, tmp_path):
    agg = pytest.importorskip("matplotlib.backends.backend_agg", reason="needs moodcurve[plot]")
    matplotlib_text = pytest.importorskip("matplotlib.text")
    songs = in_folders(lib, [], [*journey.COLUMNS, "model", "licence"])
    way = journey.plan(journey.songs_of(songs), (0.0, 0.0), (0.05, 0.0), 4)
    assert len(way.songs) > 10
    figure = map.write_map(songs, tmp_path / "way.png", "", way)
    renderer = agg.FigureCanvasAgg(figure).get_renderer()
    (axes,) = figure.axes
    numbers = [text for text in axes.texts if text.get_text().isdigit()]
    extent = matplotlib_text.Text.get_window_extent  # an annotation's own has its line in it
    boxes = [extent(text, renderer) for text in numbers]
    assert len(boxes) == len(way.songs)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
