import builtins
import re
from fractions import Fraction

import numpy as np
import pytest
import soundfile

from moodcurve import audio
from moodcurve.errors import InputError

RATE = audio.SAMPLE_RATE


def music(seconds=3.0, rate=RATE, channels=2):
    """A chord with a little noise, each channel at its own loudness."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * rate)) / rate
    chord = sum(np.sin(2 * np.pi * f * time) for f in (220.0, 277.2, 329.6)) / 6
    sound = chord[:, None] / np.arange(1, channels + 1)
    return (sound + 0.01 * rng.standard_normal(sound.shape)).astype(np.float32)


def write(path, sound, rate=RATE, **how):
    # Second by second: libsndfile can crash in one long Vorbis or Opus write.
    with soundfile.SoundFile(path, "w", rate, sound.shape[1], **how) as file:
        for start in range(0, len(sound), rate):
            file.write(sound[start : start + rate])
    return path


def write_ffmpeg(path, sound, codec, rate=RATE, options=None):
    av = pytest.importorskip("av")
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "stereo"
        for start in range(0, len(sound), 1024):
            planes = np.ascontiguousarray(sound[start : start + 1024].T)
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut(path, share=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path


def error(path):
    with pytest.raises(InputError) as caught:
        audio.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


LOSSLESS = [("wav", "FLOAT"), ("wav", "PCM_24"), ("aiff", "PCM_24"), ("flac", "PCM_24")]
LOSSY = [("mp3", "MPEG_LAYER_III"), ("ogg", "VORBIS"), ("oga", "VORBIS")]


@pytest.mark.parametrize(("kind", "subtype"), LOSSLESS)
def test_lossless_file_is_the_mean_of_its_channels(tmp_path, kind, subtype):
    sound = music()
    read = audio.read(write(tmp_path / f"a.{kind}", sound, subtype=subtype))
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, sound.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(("kind", "subtype"), LOSSY)
def test_lossy_file_is_close_and_complete(tmp_path, kind, subtype):
    sound = music()
    format = "MP3" if kind == "mp3" else "OGG"
    read = audio.read(write(tmp_path / f"a.{kind}", sound, format=format, subtype=subtype))
    assert len(read) == len(sound)
    assert np.corrcoef(read, sound.mean(axis=1))[0, 1] > 0.99


def test_opus(tmp_path):
    sound = music(rate=48_000)
    path = write(tmp_path / "a.opus", sound, 48_000, format="OGG", subtype="OPUS")
    read = audio.read(path)
    assert abs(len(read) - 3 * RATE) <= 1
    assert np.corrcoef(read, music().mean(axis=1))[0, 1] > 0.95


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_mono_is_the_mean_of_any_number_of_channels(tmp_path, channels):
    sound = np.tile(np.arange(channels, dtype=np.float32) / 8, (RATE, 1))
    read = audio.read(write(tmp_path / "a.wav", sound, subtype="FLOAT"))
    np.testing.assert_allclose(read, (channels - 1) / 16, atol=1e-6)


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 22_050, 44_099, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("extra", [0, 1, 777])
def test_resampled_length(tmp_path, rate, extra):
    sound = music(1.0, rate, 1)
    sound = np.concatenate([sound, sound[:extra]])
    read = audio.read(write(tmp_path / "a.wav", sound, rate))
    assert abs(len(read) - round(len(sound) * RATE / rate)) <= 1


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000, 192_000])
def test_resampling_keeps_frequency_and_amplitude(rate):
    def tone(rate):
        return 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(2 * rate) / rate)

    middle = slice(RATE // 4, -RATE // 4)  # the filter rings at the edges
    np.testing.assert_allclose(
        audio.resample(tone(rate), rate)[middle], tone(RATE)[middle], atol=1e-4
    )


def test_resampling_down_leaves_no_alias():
    ultrasound = np.sin(2 * np.pi * 30_000 * np.arange(96_000) / 96_000)
    middle = audio.resample(ultrasound, 96_000)[4_410:-4_410]
    assert np.abs(middle).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "rate", "tolerance"),
    [("a.wav", RATE, 0), ("a.flac", RATE, 0), ("a.mp3", RATE, 0), ("a.wav", 48_000, 1e-5)],
)
def test_block_size_does_not_matter(tmp_path, name, rate, tolerance):
    path = write(tmp_path / name, music(3.0, rate), rate)
    whole = audio.read(path)
    for seconds in (0.1, 0.77, 2.0):
        blocks = list(audio.read_blocks(path, seconds))
        assert len(blocks) > 1
        assert max(map(len, blocks)) <= seconds * RATE * 1.5 + 5_000
        np.testing.assert_allclose(np.concatenate(blocks), whole, rtol=0, atol=tolerance)


def test_an_array_is_treated_like_a_file(tmp_path):
    sound = music(1.0, 48_000)
    path = write(tmp_path / "a.wav", sound, 48_000, subtype="FLOAT")
    np.testing.assert_allclose(audio.resample(sound, 48_000), audio.read(path), atol=1e-6)
    np.testing.assert_array_equal(audio.resample(sound[:, 0], RATE), sound[:, 0])


@pytest.mark.parametrize(
    ("sound", "rate", "message"),
    [
        (np.zeros((2, 2, 2)), RATE, "shape"),
        (np.zeros((RATE, 0)), RATE, "shape"),
        (np.zeros((2, RATE)), RATE, "shape"),  # channels first
        (np.zeros(RATE, np.int16), RATE, "int16"),
        (np.zeros(RATE), 100, "100 Hz"),
        (np.zeros(RATE), 1_000_000, "1000000 Hz"),
        (np.zeros(0), RATE, "0.00 s"),
        (np.zeros(RATE // 5), RATE, "0.20 s"),
        (np.full(RATE, -np.inf), RATE, "infinity at 0.00 s"),
    ],
)
def test_an_unusable_array(sound, rate, message):
    with pytest.raises(InputError, match=message):
        audio.resample(sound, rate)


def test_missing_folder_and_empty(tmp_path):
    assert "no such file" in error(tmp_path / "none.wav")
    assert "a folder" in error(tmp_path)
    (tmp_path / "empty.wav").touch()
    assert "empty (0 bytes)" in error(tmp_path / "empty.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg", "a.raw", "a.txt"])
def test_a_file_that_is_not_sound(tmp_path, name):
    path = tmp_path / name
    path.write_text("Twinkle, twinkle, little star\n" * 500)
    assert "not a sound file" in error(path)


def test_a_short_file(tmp_path):
    path = write(tmp_path / "a.wav", music(0.2))
    assert error(path) == (
        f"{path}: shorter than half a second (0.20 s); a curve needs at least 0.5 s of sound"
    )
    assert len(audio.read(write(tmp_path / "b.wav", music(0.5)))) == RATE // 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_named_with_their_time(tmp_path, value):
    sound = music(13.0)
    sound[round(11.5 * RATE), 1] = value
    path = write(tmp_path / "a.wav", sound, subtype="FLOAT")
    assert "NaN or infinity at 11.50 s" in error(path)


@pytest.mark.parametrize("rate", [1_000, 900_000])
def test_implausible_rate(tmp_path, rate):
    assert f"sample rate {rate} Hz" in error(write(tmp_path / "a.wav", music(1.0, rate), rate))


@pytest.mark.parametrize(
    ("name", "how", "message"),
    [
        ("a.wav", {}, "cut off: 1.5 s of the 3.0 s"),
        ("a.wav", {"format": "RF64"}, "cut off: 1.5 s of the 3.0 s"),
        ("a.w64", {}, "cut off: 1.5 s of the 3.0 s"),
        ("a.au", {}, "cut off: 1.5 s of the 3.0 s"),
        ("a.aiff", {}, "cut off: 1.5 s of the 3.0 s"),
        ("a.mp3", {}, "s of the 3.0 s its header promises"),
        ("a.flac", {}, "cut off or damaged"),
        ("a.ogg", {}, "cut off after"),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}, "cut off after"),
    ],
)
def test_a_cut_file(tmp_path, name, how, message):
    rate = 48_000 if name == "a.opus" else RATE
    assert message in error(cut(write(tmp_path / name, music(3.0, rate), rate, **how)))


def test_a_flac_damaged_in_the_middle(tmp_path):
    path = write(tmp_path / "a.flac", music())
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2_000] = bytes(2_000)
    path.write_bytes(data)
    assert "damaged" in error(path)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_from_a_pipe_has_no_length_and_is_whole(tmp_path, size):
    path = write(tmp_path / "a.wav", music())
    data = path.read_bytes()
    path.write_bytes(data[:40] + size.to_bytes(4, "little") + data[44:])
    assert len(audio.read(path)) == 3 * RATE


def test_a_flac_from_a_pipe_has_no_length(tmp_path):
    path = write(tmp_path / "a.flac", music())
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # STREAMINFO's count of samples: 36 bits
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert "lacks its length" in error(path)


def without_count(path):
    """Drop an mp3's first frame, which holds the count of frames."""
    data = path.read_bytes()
    path.write_bytes(data[data.index(data[:2], 4) :])
    return path


def test_an_mp3_of_constant_rate_needs_no_count(tmp_path):
    how = {"bitrate_mode": "CONSTANT", "compression_level": 0.5}
    path = without_count(write(tmp_path / "a.mp3", music(10.0), **how))
    assert abs(len(audio.read(path)) - 10 * RATE) < 5_000
    path.write_bytes(b"ID3\x04\0\0\0\0\x02\0" + bytes(256) + path.read_bytes() + bytes(128))
    assert abs(len(audio.read(path)) - 10 * RATE) < 5_000


def test_an_mp3_whose_length_is_guessed_too_short_is_no_half_song(tmp_path):
    sound = music(20.0)
    sound[RATE:] *= 1e-3  # few bits after a loud first second
    how = {"bitrate_mode": "VARIABLE", "compression_level": 0.5}
    path = without_count(write(tmp_path / "a.mp3", sound, **how))
    assert "its header lacks its length" in error(path)


@pytest.mark.parametrize("name", ["a.m4a", "a.mp4", "a.aac"])
def test_aac(tmp_path, name):
    sound = music(4.0, 48_000)
    path = write_ffmpeg(tmp_path / name, sound, "aac", 48_000)
    read = audio.read(path)
    assert read.dtype == np.float32
    assert abs(len(read) - 4 * RATE) < 4_096
    spectrum = np.abs(np.fft.rfft(read[RATE : 2 * RATE]))
    assert spectrum[[220, 277, 330]].min() > 20 * np.median(spectrum)
    blocks = list(audio.read_blocks(path, 0.5))
    assert len(blocks) > 5
    np.testing.assert_allclose(np.concatenate(blocks), read, atol=1e-5)


def test_unusable_m4a(tmp_path):
    path = write_ffmpeg(tmp_path / "a.m4a", music(), "aac")
    assert "not a sound file" in error(cut(path))  # its table of contents comes last
    early = {"movflags": "faststart"}
    path = write_ffmpeg(tmp_path / "b.m4a", music(), "aac", options=early)
    assert "cut off" in error(cut(path, 0.6))
    path.write_bytes(b"hello" * 1_000)
    assert "not a sound file" in error(path)


@pytest.mark.parametrize("name", ["list.m4a", "list.mp4", "list.aac"])
def test_a_playlist_called_m4a_opens_no_other_file(tmp_path, name):
    write_ffmpeg(tmp_path / "secret.m4a", music(), "aac")
    (tmp_path / name).write_text("ffconcat version 1.0\nfile 'secret.m4a'\n")
    assert "not a sound file" in error(tmp_path / name)


def test_an_open_file_is_read_as_its_path_is(tmp_path):
    for path in (
        write(tmp_path / "a.flac", music()),
        write(tmp_path / "a.mp3", music()),
        write_ffmpeg(tmp_path / "a.m4a", music(), "aac"),
    ):
        with path.open("rb", buffering=0) as file:
            file.read(100)  # from its beginning, wherever it stands
            blocks = list(audio.read_blocks(f"other{path.suffix}", 1.0, file))
            assert audio.sample_rate(path.name, file) == audio.sample_rate(path) == RATE
            assert not file.closed
        np.testing.assert_array_equal(np.concatenate(blocks), audio.read(path))


def test_m4a_without_pyav_says_what_to_install(tmp_path, monkeypatch):
    def no_av(name, *rest):
        if name == "av":
            raise ImportError(name)
        return original(name, *rest)

    original = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", no_av)
    (tmp_path / "a.m4a").write_bytes(b"anything")
    assert "pip install 'moodcurve[m4a]'" in error(tmp_path / "a.m4a")


def test_find_songs(tmp_path):
    names = ["b.wav", "a.MP3", "sub/c.flac", "sub/._c.flac", ".hidden/d.wav", "notes.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    given = tmp_path / "notes.txt"
    songs, problems = audio.find_songs([given, tmp_path, tmp_path / "b.wav"])
    assert [song.relative_to(tmp_path).as_posix() for song in songs] == [
        "notes.txt",  # a file given by name is taken as it is
        "a.MP3",
        "b.wav",
        "sub/c.flac",
    ]
    assert problems == []


def test_find_songs_goes_on_after_a_bad_path(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.wav").touch()
    paths = [tmp_path / "none.wav", tmp_path / "empty", str(tmp_path / "a.wav")]
    songs, problems = audio.find_songs(paths)
    assert songs == [tmp_path / "a.wav"]
    assert [str(problem).split(":")[0] for problem in problems] == [str(p) for p in paths[:2]]
    assert "no such file" in str(problems[0])
    assert "no song" in str(problems[1])


def test_decoding_does_not_call_back_into_python(tmp_path, monkeypatch):
    """A Ctrl-C that falls into such a call would be lost."""
    given, real = [], soundfile.SoundFile

    def spy(file, *rest, **named):
        given.append(file)
        return real(file, *rest, **named)

    path = write(tmp_path / "x.wav", music(1))
    monkeypatch.setattr(soundfile, "SoundFile", spy)
    assert len(audio.read(path)) == RATE
    assert [type(file) for file in given] == [int]


@pytest.mark.parametrize("rate", [44_100, 22_050, 8_000])  # MPEG-1, 2 and 2.5
def test_an_mp3_without_count_that_breaks_off_within_a_frame(tmp_path, rate):
    how = {"bitrate_mode": "CONSTANT", "compression_level": 0.5}
    path = without_count(write(tmp_path / "a.mp3", music(6.0, rate), rate, **how))
    whole = audio.read(path)
    content = path.read_bytes()
    path.write_bytes(content + b"TAG" + bytes(125))
    assert len(audio.read(path)) == len(whole)
    path.write_bytes(content[: len(content) // 2 + 5])
    assert re.search(r"cut off after [23]\.\d s, within a frame", error(path))
