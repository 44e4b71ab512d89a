"""Tags, read back by mutagen itself; the sound and the collector's own tags stay as they are."""

import sys

import numpy as np
import pytest
import soundfile

from conftest import tone
from curves import stepped
from moodcurve import InputError
from moodcurve.audio import SAMPLE_RATE, read
from moodcurve.export.tags import backup, read_tags, tags_of, write_tags

mutagen = pytest.importorskip("mutagen", reason="tags need moodcurve[tags]")
from mutagen.id3 import ID3, TDRC, TIT2, TXXX  # noqa: E402
from mutagen.mp4 import MP4  # noqa: E402

KINDS = ("mp3", "wav", "aiff", "flac", "ogg", "opus", "m4a")
TAGS = {"MOODCURVE_VALENCE": "0.0167", "MOODCURVE_MOOD": "夜 & so on"}


def song_of(folder, kind):
    path = folder / f"song.{kind}"
    sound = tone(1)
    if kind == "m4a":
        return m4a(path, sound)
    if kind == "opus":
        soundfile.write(path, sound[:48_000], 48_000, format="OGG", subtype="OPUS")
    else:
        soundfile.write(path, sound, SAMPLE_RATE)
    return path


def m4a(path, sound):
    av = pytest.importorskip("av", reason="m4a needs moodcurve[m4a]")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=SAMPLE_RATE)
        stream.layout = "mono"
        for first in range(0, len(sound), 1024):
            frame = av.AudioFrame.from_ndarray(sound[None, first : first + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def title(path):
    """Give a song a title of its own, and return what reads it."""
    found = mutagen.File(path, easy=True)
    if found.tags is None:
        found.add_tags()
    if isinstance(found.tags, ID3):  # wav and aiff
        found.tags.add(TIT2(encoding=3, text=["mine"]))
    else:
        found["title"] = ["mine"]
    found.save()
    return lambda: str(
        mutagen.File(path, easy=True).tags["TIT2" if path.suffix in (".wav", ".aiff") else "title"]
    )


def test_the_tags_of_a_curve():
    curve = stepped()
    found = tags_of(curve)
    assert list(found) == [
        f"MOODCURVE_{x}" for x in ("VALENCE", "AROUSAL", "MOOD", "SCALE", "ORIGIN")
    ]
    assert float(found["MOODCURVE_VALENCE"]) == pytest.approx(curve.valence.mean(), abs=5.01e-5)
    assert found["MOODCURVE_SCALE"].startswith("valence -1 unpleasant .. 1 pleasant")
    assert found["MOODCURVE_ORIGIN"] == "moodcurve 9.9, model testing, licence CC0"
    spotify = tags_of(curve, "0..1")
    expected = (curve.arousal.mean() + 1) / 2
    assert float(spotify["MOODCURVE_AROUSAL"]) == pytest.approx(expected, abs=5.01e-5)
    assert spotify["MOODCURVE_MOOD"] == found["MOODCURVE_MOOD"]
    with pytest.raises(InputError, match="no such scale"):
        tags_of(curve, "0..2")


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_out_again(tmp_path, kind):
    path = song_of(tmp_path, kind)
    own = title(path)
    sound, before, mine = read(path), path.read_bytes(), own()
    assert read_tags(path) == {}
    write_tags(path, TAGS)
    assert read_tags(path) == TAGS
    assert backup(path).read_bytes() == before
    np.testing.assert_array_equal(read(path), sound)
    assert own() == mine
    write_tags(path, {"MOODCURVE_VALENCE": "1"})
    assert read_tags(path) == {"MOODCURVE_VALENCE": "1"}
    assert backup(path).read_bytes() == before
    write_tags(path, {})
    assert read_tags(path) == {}
    assert own() == mine
    np.testing.assert_array_equal(read(path), sound)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"song.{kind}", f"song.{kind}.bak"]


def test_under_names_that_players_show(tmp_path):
    for kind in ("mp3", "flac", "m4a"):
        write_tags(song_of(tmp_path, kind), TAGS)
    assert ID3(tmp_path / "song.mp3")["TXXX:MOODCURVE_VALENCE"].text == ["0.0167"]
    assert mutagen.File(tmp_path / "song.flac")["moodcurve_mood"] == ["夜 & so on"]
    freeform = MP4(tmp_path / "song.m4a")["----:com.apple.iTunes:MOODCURVE_MOOD"]
    assert bytes(freeform[0]).decode() == "夜 & so on"


def test_a_song_without_tags_has_none_again(tmp_path):
    path = song_of(tmp_path, "mp3")
    before = path.read_bytes()
    write_tags(path, TAGS)
    write_tags(path, {})
    assert path.read_bytes() == before


def test_id3_of_version_2_3_stays_so(tmp_path):
    path = song_of(tmp_path, "mp3")
    tags = ID3()
    tags.add(TDRC(encoding=1, text=["1999-03-05"]))
    tags.add(TIT2(encoding=1, text=["mine"]))
    tags.add(TXXX(encoding=1, desc="other", text=["a/b"]))
    tags.update_to_v23()
    tags.save(path, v2_version=3)
    before = {key: str(frame) for key, frame in ID3(path).items()}
    write_tags(path, TAGS)
    assert ID3(path).version == (2, 3, 0)
    assert ID3(path, translate=False)["TYER"].text == ["1999"]
    assert read_tags(path) == TAGS
    write_tags(path, {})
    assert {key: str(frame) for key, frame in ID3(path).items()} == before


def test_a_link_stays_one(tmp_path):
    path = song_of(tmp_path, "mp3")
    link = tmp_path / "link.mp3"
    link.symlink_to(path)
    write_tags(link, TAGS)
    assert link.is_symlink()
    assert read_tags(path) == TAGS


def test_what_cannot_be_tagged(tmp_path):
    text = tmp_path / "x.mp3"
    text.write_text("no sound")
    for path in (text, tmp_path / "none.mp3", tmp_path):
        with pytest.raises(InputError) as caught:
            read_tags(path)
        assert str(caught.value).startswith(str(path))
        assert "; " in str(caught.value)
    broken = song_of(tmp_path, "flac")
    broken.write_bytes(broken.read_bytes()[:30])
    with pytest.raises(InputError, match="cannot be read"):
        read_tags(broken)


def test_tags_of_another_kind(tmp_path):
    from mutagen.apev2 import APEv2File

    path = song_of(tmp_path, "mp3")
    found = APEv2File(path)
    found.add_tags()
    found["Title"] = "mine"
    found.save()
    write_tags(path, TAGS)  # an mp3 has ID3 beside them
    assert read_tags(path) == TAGS
    assert APEv2File(path)["Title"] == "mine"


def test_a_full_disk_leaves_the_song(tmp_path, monkeypatch):
    path = song_of(tmp_path, "mp3")
    before = path.read_bytes()

    def full(*rest, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("moodcurve.export.tags.shutil.copy2", full)
    with pytest.raises(InputError, match="No space left"):
        write_tags(path, TAGS)
    assert [p.name for p in tmp_path.iterdir()] == ["song.mp3"]
    assert path.read_bytes() == before


def test_without_mutagen(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mutagen", None)
    with pytest.raises(InputError, match=r"pip install 'moodcurve\[tags\]'"):
        read_tags(tmp_path / "x.mp3")
