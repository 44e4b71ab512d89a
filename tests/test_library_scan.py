import csv
import json
import os
import zipfile

import numpy as np
import pytest
import soundfile

pytest.importorskip("pyarrow", reason="needs moodcurve[library]")
pytest.importorskip("mutagen", reason="needs moodcurve[library]")

import mutagen
import pyarrow as pa
from pyarrow import parquet

from conftest import tone
from library_songs import content_of, make_songs, quick
from moodcurve import File2Curve, InputError
from moodcurve.audio import SAMPLE_RATE
from moodcurve.library import store, trace
from moodcurve.library.find import in_folders
from moodcurve.library.scan import scan
from moodcurve.library.store import CURVES, POINTS, SCHEMA, SONGS, part_names, read_songs


@pytest.fixture(autouse=True)
def _one_process(one_process):
    """For all scans of this file."""


@pytest.fixture
def music(tmp_path):
    make_songs(tmp_path / "music", 4)
    return tmp_path / "music"


@pytest.fixture
def lib(tmp_path):
    return tmp_path / "lib"


def quickly(*sources, lib, **more):
    return scan([str(source) for source in sources], lib, jobs=1, tracer=quick, **more)


def rows(lib):
    return {row["path"]: row for row in read_songs(lib).to_pylist()}


def test_a_scan_says_what_file2curve_says(tmp_path, lib):
    path = tmp_path / "music" / "tone.flac"
    path.parent.mkdir()
    soundfile.write(path, np.concatenate([tone(12), tone(8, 880, 0.05)]), SAMPLE_RATE)
    tags = mutagen.File(path, easy=True)
    tags.update({"title": "A tone", "artist": "Nobody", "date": "2016"})
    tags.save()
    assert scan([str(path.parent)], lib, jobs=1).traced == 1
    (row,) = read_songs(lib).to_pylist()
    curve = File2Curve()(path)
    assert (row["title"], row["artist"], row["date"], row["album"]) == (
        "A tone",
        "Nobody",
        "2016",
        None,
    )
    assert row["path"] == str(path)
    assert row["content"] == trace.sha256(path)
    assert row["seconds"] == 20 == row["half_seconds"] / 2
    assert row["valence"] == pytest.approx(curve.valence.mean())
    assert row["arousal_sd"] == pytest.approx(curve.arousal.std())
    assert row["valence_start"] == pytest.approx(curve.valence[:20].mean())
    assert row["arousal_end"] == pytest.approx(curve.arousal[-20:].mean())
    assert row["turning_points_s"] == list(curve.turning_points)
    assert row["mood"] == curve.passages(1)[0][3]
    assert row["familiarity"] == pytest.approx(curve.about["familiarity"]["percentile"])
    assert row["model"].startswith("default-") and row["licence"] == "MIT"
    assert row["error"] is None
    table = parquet.read_table(lib / "curves" / part_names(lib)[0])
    assert table["start_s"].to_pylist() == curve.times.tolist()
    np.testing.assert_allclose(table["valence"], curve.valence, atol=1e-7)
    np.testing.assert_allclose(table["arousal_high"], curve.band.arousal_high, atol=1e-7)
    assert set(table["path"].to_pylist()) == {str(path)}


def test_files_say_schema_scale_model_and_licence(music, lib):
    quickly(music, lib=lib)
    for table, schema in (("songs", SONGS), ("curves", CURVES)):
        (path,) = (lib / table).iterdir()
        assert parquet.read_schema(path).equals(schema)
        about = json.loads(parquet.read_metadata(path).metadata[b"moodcurve"])
        assert about["schema"] == SCHEMA and about["table"] == table
        assert about["scale"]["valence"].startswith("-1 unpleasant")
        assert about["model"][0].startswith("default-") and about["licence"] == ["CC0"]


def test_what_is_done_is_left_alone(music, lib):
    assert quickly(music, lib=lib)[:3] == (4, 0, 0)
    before = written(lib)
    tally = quickly(music, lib=lib)
    assert tally[:3] == (0, 0, 4) and not tally.problems
    assert written(lib) == before


def written(lib):
    """Which files there are, and when each was written."""
    stats = {path: path.stat() for path in lib.glob("*/*.parquet")}
    return {path: (stat.st_ino, stat.st_mtime_ns, stat.st_size) for path, stat in stats.items()}


def test_changed_moved_copied_touched_gone_and_new(music, lib):
    paths = make_songs(music, 7)
    quickly(music, lib=lib)
    before = rows(lib)
    changed, moved, copied, touched, gone, *_ = paths
    soundfile.write(changed, tone(1.5, 999.0), SAMPLE_RATE)
    (music / "sub").mkdir()
    moved.rename(music / "sub" / "elsewhere.wav")
    (music / "copy.wav").write_bytes(copied.read_bytes())
    os.utime(touched, (1, 1))
    gone.unlink()
    soundfile.write(music / "new.wav", tone(1, 555.0), SAMPLE_RATE)
    tally = quickly(music, lib=lib)
    assert (tally.traced, tally.unchanged, tally.moved, tally.copied, tally.gone) == (2, 4, 1, 1, 1)
    after = rows(lib)
    assert set(after) == set(map(str, music.rglob("*.wav")))
    assert after[str(changed)]["content"] != before[str(changed)]["content"]
    now = after[str(music / "sub" / "elsewhere.wav")]
    same = ("content", "valence", "arousal_path", "title")  # the tag still has the old name
    assert [now[name] for name in same] == [before[str(moved)][name] for name in same]
    assert after[str(music / "copy.wav")]["content"] == before[str(copied)]["content"]
    assert after[str(touched)]["modified"] == "1000000000"
    _, curves = content_of(lib)
    assert sorted(set(curves["path"])) == sorted(after)
    assert len(curves["path"]) == sum(row["half_seconds"] for row in after.values())
    assert quickly(music, lib=lib)[:6] == (0, 0, 8, 0, 0, 0)


def test_songs_that_swap_names(music, lib):
    one, other, *_ = make_songs(music, 4)
    quickly(music, lib=lib)
    before = rows(lib)
    aside = one.rename(music / "aside.wav")
    other.rename(one)
    aside.rename(other)
    os.utime(one, (1, 1))
    os.utime(other, (2, 2))
    assert quickly(music, lib=lib).traced == 0
    after = rows(lib)
    assert after[str(one)]["content"] == before[str(other)]["content"]
    assert after[str(other)]["arousal"] == before[str(one)]["arousal"]
    assert len(after) == 4


def test_another_model_traces_again(music, lib, model, tmp_path):
    from moodcurve.model import save

    save(model, tmp_path / "mine")
    quickly(music, lib=lib)
    assert quickly(music, lib=lib, model=str(tmp_path / "mine"))[:3] == (4, 0, 0)
    assert {row["model"][:7] for row in rows(lib).values()} == {"random-"}
    assert len(rows(lib)) == 4


def test_failures_are_kept_with_reasons_and_tried_when_they_change(music, lib):
    bad = music / "bad.wav"
    bad.write_bytes(b"noise")
    assert quickly(music, lib=lib)[:2] == (4, 1)
    assert rows(lib)[str(bad)]["error"] == "not a sound"
    with (lib / "failures.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["path", "error"], [str(bad), "not a sound"]]
    assert quickly(music, lib=lib)[:3] == (0, 0, 5)
    os.utime(bad, (1, 1))
    assert quickly(music, lib=lib)[:3] == (0, 1, 4)
    bad.unlink()
    quickly(music, lib=lib)
    assert (lib / "failures.csv").read_text().splitlines() == ["path,error"]


def test_a_file_that_is_no_sound(tmp_path, lib):
    make_songs(tmp_path / "music", 1)
    bad = tmp_path / "music" / "bad.mp3"
    bad.write_bytes(b"nonsense")
    assert scan([str(bad.parent)], lib, jobs=1)[:2] == (1, 1)
    row = rows(lib)[str(bad)]
    assert row["error"].startswith("not a sound file that can be decoded")
    assert row["content"] == trace.sha256(bad) and row["valence"] is None


def test_lists_and_single_songs(music, lib, tmp_path):
    (tmp_path / "list.m3u8").write_text("#EXTM3U\nmusic/song000.wav\n\nmusic/no.wav\n")
    tally = quickly(tmp_path / "list.m3u8", music / "song001.wav", lib=lib)
    assert tally.traced == 2
    assert [str(problem).split(": ")[1] for problem in tally.problems] == [
        "No such file or directory; check the path"
    ]
    assert quickly(music, lib=lib)[:3] == (2, 0, 2)
    (music / "song000.wav").unlink()
    assert quickly(tmp_path / "list.m3u8", lib=lib).gone == 1  # others are not spoken of
    assert len(rows(lib)) == 3


def test_songs_by_url(music, lib, tmp_path):
    with zipfile.ZipFile(tmp_path / "songs.zip", "w") as archive:
        for path in sorted(music.iterdir()):
            archive.write(path, f"album/{path.name}")
        archive.writestr("album/cover.png", b"")
    url = f"zip://album::{tmp_path / 'songs.zip'}"
    assert scan([url], lib, jobs=1)[:2] == (4, 0)
    curve = File2Curve()(music / "song002.wav")
    row = rows(lib)[f"zip://album/song002.wav::{tmp_path / 'songs.zip'}"]
    assert row["valence"] == pytest.approx(curve.valence.mean())
    assert row["content"] == trace.sha256(music / "song002.wav")
    assert scan([url], lib, jobs=1)[:3] == (0, 0, 4)
    with pytest.raises(InputError, match="cannot be read"):
        scan(["nosuch://songs"], lib, jobs=1)


def test_each_archive_is_a_folder_of_its_own(music, lib, tmp_path, monkeypatch):
    archives = [tmp_path / "one.zip", tmp_path / "two.zip"]
    for number, path in enumerate(archives):
        with zipfile.ZipFile(path, "w") as archive:
            for song in sorted(music.iterdir())[2 * number :][:2]:
                archive.write(song, song.name)
    monkeypatch.chdir(tmp_path)
    assert scan(["zip://::one.zip"], lib, jobs=1).traced == 2
    assert scan([f"zip://::{archives[1]}"], lib, jobs=1)[:6] == (2, 0, 0, 0, 0, 0)
    places = [f"zip://song{n:03d}.wav::{archives[n // 2]}" for n in range(4)]
    assert sorted(rows(lib)) == places
    for only, found in (("zip://::two.zip", places[2:]), ("zip://", places)):
        songs = in_folders(lib, [only], ["path"])
        assert sorted(songs["path"].to_pylist()) == found
    monkeypatch.chdir(music)  # it is known from anywhere
    assert scan([f"zip://::{archives[0]}"], lib, jobs=1)[:3] == (0, 0, 2)
    with zipfile.ZipFile(archives[0], "w") as archive:
        archive.write(music / "song000.wav", "song000.wav")
    assert scan(["zip://::../one.zip"], lib, jobs=1).gone == 1
    assert len(rows(lib)) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_not_waited_for(music, lib):
    os.mkfifo(music / "pipe.wav")
    tally = quickly(music, lib=lib)
    assert tally.traced == 4
    assert [str(problem) for problem in tally.problems] == [
        f"{music / 'pipe.wav'}: no file with a song in it; leave it out"
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("x" * 300 + ".wav", "File name too long; check the path"),
        ("a\0b.wav", "embedded null byte; check the path"),
    ],
)
def test_a_bad_line_does_not_stop_the_others(music, lib, tmp_path, line, problem):
    (tmp_path / "list.txt").write_text(f"{line}\nmusic/song000.wav\n")
    tally = quickly(tmp_path / "list.txt", lib=lib)
    assert tally.traced == 1
    (said,) = map(str, tally.problems)
    assert said.endswith(problem) and said.isprintable()


@pytest.mark.parametrize("text", ["", "\n \n# none\n"])
def test_a_list_of_nothing(lib, tmp_path, text):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(InputError, match=r"list.txt: no song in this list; give a place a line$"):
        quickly(tmp_path / "list.txt", lib=lib)


def test_lists_as_others_write_them(music, lib, tmp_path):
    odd = music / "a\u2028b.wav"
    (music / "song001.wav").rename(odd)
    text = f"\ufeffmusic/song000.wav\r\n\r\n#EXTINF:1,x\r\nmusic/{odd.name}"
    (tmp_path / "list.m3u8").write_bytes(text.encode())
    tally = quickly(tmp_path / "list.m3u8", lib=lib)
    assert not tally.problems
    assert set(rows(lib)) == {str(music / "song000.wav"), str(odd)}


def test_a_name_that_is_no_unicode(tmp_path, lib):
    folder = tmp_path / "music"
    (path,) = make_songs(folder, 1)
    try:
        path.rename(folder / os.fsdecode(b"caf\xe9.wav"))
    except OSError:
        pytest.skip("the file system takes Unicode only")
    scan([str(folder)], lib, jobs=1)
    ((name, row),) = rows(lib).items()
    assert name == f"file://{folder}/caf%E9.wav" and row["error"] is None
    assert scan([str(folder)], lib, jobs=1)[:3] == (0, 0, 1)
    assert in_folders(lib, [str(folder)], ["path"]).num_rows == 1
    (folder / os.fsdecode(b"caf\xe9.wav")).unlink()
    (path,) = make_songs(folder, 1)
    assert scan([str(folder)], lib, jobs=1).moved == 1
    assert list(rows(lib)) == [str(path)]


def test_small_parts_are_joined(tmp_path, lib, monkeypatch):
    monkeypatch.setattr("moodcurve.library.scan.PART", 6)
    music = tmp_path / "music"
    for count in range(1, 12):
        make_songs(music, count)
        quickly(music, lib=lib)
    assert len(part_names(lib)) <= 4  # not one for each scan
    assert set(rows(lib)) == set(map(str, music.iterdir()))
    fresh = tmp_path / "fresh"
    quickly(music, lib=fresh)
    assert content_of(lib) == content_of(fresh)


def test_a_path_is_the_means_of_equal_stretches():
    values = np.random.default_rng(0).normal(size=5 * POINTS)
    np.testing.assert_allclose(trace.path_of(values), values.reshape(POINTS, 5).mean(axis=1))
    assert trace.path_of(np.array([0.25])) == pytest.approx(np.full(POINTS, 0.25))
    seven = np.random.default_rng(1).normal(size=7)
    assert trace.path_of(seven).mean() == pytest.approx(seven.mean())


def test_no_songs_no_library(tmp_path, lib):
    with pytest.raises(InputError, match=r"nowhere: No such file or directory; check the path$"):
        quickly(tmp_path / "nowhere", lib=lib)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no song in this folder"):
        quickly(tmp_path / "empty", lib=lib)
    assert not lib.exists()


def test_a_folder_without_songs_may_be_a_disk_that_is_not_there(music, lib, tmp_path):
    quickly(music, lib=lib)
    for path in music.iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no song in this folder"):
        quickly(music, lib=lib)
    assert len(rows(lib)) == 4


@pytest.fixture
def readable(music, lib):
    quickly(music, lib=lib)
    return lib


def test_pandas_reads_it(readable):
    pandas = pytest.importorskip("pandas")
    songs = pandas.read_parquet(readable / "songs")
    curves = pandas.read_parquet(readable / "curves")
    means = curves.groupby("path", observed=True)["valence"].mean()
    assert songs["path"].tolist() == means.index.tolist()
    np.testing.assert_allclose(songs["valence"], means, atol=1e-6)


def test_polars_reads_it(readable):
    polars = pytest.importorskip("polars")
    songs = polars.read_parquet(readable / "songs" / "*.parquet")
    curves = polars.read_parquet(readable / "curves" / "*.parquet")
    joined = curves.with_columns(polars.col("path").cast(str)).join(songs, on="path")
    assert joined.height == curves.height == 160
    assert songs["valence_path"].list.len().to_list() == [POINTS] * 4


def test_duckdb_reads_it(readable):
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as base:
        found = base.sql(
            f"select s.path, s.arousal, avg(c.arousal) from '{readable}/songs/*.parquet' s "
            f"join '{readable}/curves/*.parquet' c using (path) group by all order by path"
        ).fetchall()
    assert [path for path, *_ in found] == sorted(rows(readable))
    assert all(mean == pytest.approx(value, abs=1e-6) for _, value, mean in found)


def test_no_column_is_of_a_kind_that_spark_cannot_read():
    """Spark reads these kinds of Parquet columns (its documentation, Parquet files)."""
    known = (pa.string(), pa.int64(), pa.int32(), pa.float64(), pa.float32(), pa.bool_())
    for field in (*SONGS, *CURVES):
        kind = getattr(field.type, "value_type", field.type)
        assert kind in known


def test_a_library_of_another_schema_is_left_alone(music, lib, monkeypatch):
    quickly(music, lib=lib)
    monkeypatch.setattr(store, "SCHEMA", "moodcurve-library-2")
    with pytest.raises(InputError, match="of schema moodcurve-library-1"):
        quickly(music, lib=lib)
    assert len(part_names(lib)) == 1
