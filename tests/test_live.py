import contextlib
import io
import os
import pty
import signal
import struct
import subprocess
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from conftest import tone
from moodcurve import Audio2Curve, InputError, Rows2Curve, StreamCurve
from moodcurve.audio import SAMPLE_RATE, convert
from moodcurve.cli import main
from moodcurve.curve import Band, Curve
from moodcurve.microphone import read_microphone
from moodcurve.model import save
from moodcurve.pipe import read_pipe
from moodcurve.rows import rows_of

HALF = SAMPLE_RATE // 2


def music(seconds, seed=0):
    """Tones that change every second, with some noise."""
    rng = np.random.default_rng(seed)
    parts = [tone(1, pitch, loud) for pitch, loud in rng.uniform((80, 0.01), (600, 0.5), (200, 2))]
    samples = np.concatenate(parts)[: round(seconds * SAMPLE_RATE)]
    return samples + rng.normal(0, 0.003, len(samples)).astype(np.float32)


@pytest.fixture(scope="module")
def song():
    return music(20.3)


def pairs(moments):
    return np.array([(m.valence, m.arousal) for m in moments])


def offline(model, audio):
    curve = Rows2Curve(model)(rows_of([audio]))
    return np.column_stack([curve.valence, curve.arousal])


def test_as_if_the_audio_ended_at_each_moment(model, song):
    """The oracle is the offline model, given what had been heard, and no more."""
    for ahead in (0, 1, 4):
        stream = StreamCurve(model, ahead / 2)
        found = stream.push(song)
        assert len(found) == 40 - ahead
        for k in (0, 1, 2, 7, 19, 39 - ahead):
            heard = song[: HALF * (k + 1 + ahead)]
            np.testing.assert_array_equal(pairs(found[k : k + 1])[0], offline(model, heard)[k])
    assert np.abs(np.diff(pairs(found), axis=0)).max() > 1e-3


@pytest.mark.parametrize("look_ahead", [0, 0.5, 2.5])
def test_never_earlier_and_never_later(model, song, look_ahead):
    """To the sample: nothing one before, the moment with it."""
    stream, given = StreamCurve(model, look_ahead), []
    for k in range(4):
        due = round(((k + 1) / 2 + look_ahead) * SAMPLE_RATE)
        start = 0 if not given else due - HALF
        assert stream.push(song[start : due - 1]) == []
        (moment,) = stream.push(song[due - 1 : due])
        given.append(moment)
    assert [(m.start_s, m.end_s) for m in given] == [(k / 2, (k + 1) / 2) for k in range(4)]


def test_what_comes_later_changes_nothing(model, song):
    other = song.copy()
    other[HALF * 24 :] = music(20.3, seed=1)[HALF * 24 :]
    one, two = (StreamCurve(model, 2).push(audio) for audio in (song, other))
    assert one[:20] == two[:20]  # the last of them ends at 10 s, 2 s before the change
    assert one[20] != two[20]


@pytest.mark.parametrize("size", [997, HALF, HALF + 1, 100_000])
def test_the_size_of_the_blocks_changes_nothing(model, song, size):
    whole = StreamCurve(model, 1)
    expected = whole.push(song) + whole.finish()
    blocks = [song[i : i + size] for i in range(0, len(song), size)]
    assert list(StreamCurve(model, 1).over(blocks)) == expected


@pytest.mark.parametrize("look_ahead", [0, 1, 25])
def test_at_the_end_as_offline(model, song, look_ahead):
    """A moment for every half-second; where the look-ahead covered the rest, the offline value."""
    stream = StreamCurve(model, look_ahead)
    before = stream.push(song)
    rest, expected = stream.finish(), offline(model, song)
    assert [m.start_s for m in before + rest] == [k / 2 for k in range(41)]
    assert len(rest) == min(41, 2 * look_ahead + 1)
    np.testing.assert_array_equal(pairs(rest), expected[len(before) :])
    np.testing.assert_array_equal(expected, np.column_stack(list(both(model, song))))


def both(model, audio):
    curve = Audio2Curve(model)(audio, SAMPLE_RATE)
    return curve.valence, curve.arousal


@pytest.mark.parametrize(
    ("seconds", "moments"), [(0, 0), (0.49, 0), (0.5, 1), (0.54, 1), (0.56, 2), (3.0, 6)]
)
def test_how_many_moments_a_short_stream_has(model, seconds, moments):
    for look_ahead in (0, 5):
        blocks = [tone(seconds)] if seconds else []
        assert len(list(StreamCurve(model, look_ahead).over(blocks))) == moments


def test_after_more_than_the_past_that_is_held(model, monkeypatch):
    """From 150 s on rows are let go; the values are those of all that was heard all the same."""
    shapes, original = [], Rows2Curve.__call__

    def watched(self, rows, about=None):
        shapes.append(len(rows))
        return (original if len(shapes) > 300 else flat)(self, rows, about)

    monkeypatch.setattr(Rows2Curve, "__call__", watched)
    audio = music(155)
    moments = StreamCurve(model, 3).push(audio)
    assert len(moments) == len(shapes) == 304
    first = [k + 7 - length for k, length in enumerate(shapes)]
    assert first == [max(0, (k - 240) // 60 * 60) for k in range(304)]
    for k in (300, 303):
        heard = audio[: HALF * (k + 7)]
        expected = offline(model, heard)[k]  # float32 products of another size: not to the bit
        np.testing.assert_allclose(pairs(moments)[k], expected, atol=1e-6)


def test_what_is_held_does_not_grow(model, monkeypatch):
    """Six minutes, without the networks: the arrays reachable from the stream stay as many."""
    monkeypatch.setattr(Rows2Curve, "__call__", flat)
    stream, noise, held = StreamCurve(model, 2), music(10), []
    for _ in range(36):
        assert len(stream.push(noise)) in (16, 20)
        held.append(size_of(stream, set()))
    assert max(held[18:]) <= max(held[:18])
    assert max(held) < 8e6


def flat(self, rows, about=None):
    """A curve in no time."""
    return Curve(np.zeros(len(rows)), np.zeros(len(rows)))


def size_of(thing, seen):
    """Bytes of the arrays that can be reached from an object's attributes; a view's whole base."""
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return size_of(thing.base, seen) if thing.base is not None else thing.nbytes
    inner = thing if isinstance(thing, (list, tuple)) else vars(thing).values()
    if isinstance(thing, (list, tuple)) or type(thing).__module__.startswith("moodcurve"):
        return sum(size_of(x, seen) for x in inner if hasattr(x, "__dict__") or is_many(x))
    return 0


def is_many(thing):
    return isinstance(thing, (list, tuple, np.ndarray))


def test_silence_is_neutral(model):
    stream = StreamCurve(model, 0)
    moments = stream.push(np.zeros(4 * SAMPLE_RATE, np.float32))
    assert set(map(tuple, pairs(moments))) == {(0.0, 0.0)}
    loud = stream.push(tone(2))
    assert loud[-1].valence != 0


def test_the_band_is_passed_on(model, song, monkeypatch):
    original = Rows2Curve.__call__

    def banded(self, rows, about=None):
        curve = original(self, rows, about)
        v, a = curve.valence, curve.arousal
        return replace(curve, band=Band(v - 0.1, v + 0.2, a - 0.3, a + 0.4))

    plain = StreamCurve(model, 0).push(song[: 4 * HALF])
    monkeypatch.setattr(Rows2Curve, "__call__", banded)
    for moment, old in zip(StreamCurve(model, 0).push(song[: 4 * HALF]), plain, strict=True):
        assert moment[:4] == old[:4]
        v, a = old.valence, old.arousal
        assert moment[4:] == pytest.approx((v - 0.1, v + 0.2, a - 0.3, a + 0.4))
        assert old[4:] == (None,) * 4


@pytest.mark.parametrize("look_ahead", [-0.5, -1e-9, 0.3, 5.1, float("nan"), float("inf")])
def test_look_aheads_that_cannot_be(model, look_ahead):
    with pytest.raises(InputError, match=r"look-ahead: .* give 0 or a multiple of 0\.5 s"):
        StreamCurve(model, look_ahead)


@pytest.mark.parametrize(
    "samples", [np.zeros((100, 2), np.float32), np.zeros(100, np.int16), np.float32(0)]
)
def test_samples_that_cannot_be(model, samples):
    with pytest.raises(InputError, match=r"audio: .* give mono floats \(n,\)"):
        StreamCurve(model).push(samples)


# Pipes


def pcm(audio, kind="<i2"):
    top = -float(np.iinfo(kind).min)
    return np.clip(np.round(audio * top), -top, top - 1).astype(kind)


def wav(audio, subtype, form="WAV"):
    file = io.BytesIO()
    soundfile.write(file, audio, 48_000, format=form, subtype=subtype)
    return file.getvalue()


def chunks(content, *arguments):
    """Read as from a pipe that gives a few bytes at a time, nothing to be sought."""

    class Trickle(io.RawIOBase):
        def __init__(self):
            self.inner = io.BytesIO(content)

        def readable(self):
            return True

        def readinto(self, buffer):
            data = self.inner.read(min(len(buffer), 1001))
            buffer[: len(data)] = data
            return len(data)

    found = list(read_pipe(io.BufferedReader(Trickle()), *arguments))
    assert len({rate for rate, _ in found}) == 1
    return found[0][0], np.concatenate([chunk for _, chunk in found])


STEREO = np.random.default_rng(0).uniform(-1, 1, (5000, 2)).astype(np.float32)


@pytest.mark.parametrize("extra", [b"", b"x", b"xyz"])
def test_raw_pcm(extra):
    """Whole frames only: what is left of one at the end is dropped."""
    rate, found = chunks(pcm(STEREO).tobytes() + extra, 8000, 2)
    assert rate == 8000
    np.testing.assert_array_equal(found, pcm(STEREO) / 32768)


@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_32", "FLOAT"])
def test_wav(subtype, form):
    """As libsndfile, which can seek, reads the same bytes."""
    content = wav(STEREO, subtype, form)
    expected, _ = soundfile.read(io.BytesIO(content), dtype="float32")
    rate, found = chunks(content)
    assert rate == 48_000
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [0, 0x7FFF_F000, 0x8000_0000, 0xFFFF_FFFF])
def test_wav_that_does_not_know_its_length(size):
    content = bytearray(wav(STEREO, "PCM_16"))
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", size)
    assert len(chunks(bytes(content))[1]) == len(STEREO)


def test_wav_with_other_chunks():
    """Before the samples, of an odd size, and after them: none of it is sound."""
    content = wav(STEREO, "PCM_16")
    at = content.index(b"data")
    note = b"LIST" + struct.pack("<I", 5) + b"abcde\0"
    _, found = chunks(content[:at] + note + content[at:] + note)
    assert len(found) == len(STEREO)
    np.testing.assert_array_equal(found, chunks(content)[1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "nothing came"),
        (pcm(STEREO).tobytes(), "not wav, so taken for raw 16-bit PCM: say --rate and --channels"),
        (wav(STEREO, "PCM_16")[:30], "ends within its wav header"),
        (b"RIFF\0\0\0\0AVI " + bytes(50), "RIFF, but not wav"),
        (b"RIFF\0\0\0\0WAVEdata" + bytes(50), "its wav header does not say the format"),
        (wav(STEREO, "PCM_24"), "with 24 bits; pipe it with 16 bits"),
        (wav(STEREO, "ULAW"), "wav of format 7 with 8 bits"),
    ],
)
def test_pipes_that_cannot_be_read(content, message):
    with pytest.raises(InputError, match=f"standard input: .*{message}"):
        chunks(content)


# moodcurve live


@pytest.fixture
def bundle(model, tmp_path):
    save(model, tmp_path / "bundle")
    return tmp_path / "bundle"


def live(bundle, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "moodcurve", "live", "--model", bundle, *map(str, arguments)],
        **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        | options,
    )


def hear(bundle, content, *arguments):
    """All of a pipe's content through the command: the table it prints, its header checked."""
    with live(bundle, *arguments) as process:
        text, error = process.communicate(content)
    assert (process.returncode, error.decode()) == (0, "")
    header, *lines = text.decode().splitlines()
    assert header == "start_s,end_s,valence,arousal"
    return np.array([line.split(",") for line in lines], float)


def expected_table(model, audio, look_ahead):
    return np.array([m[:4] for m in StreamCurve(model, look_ahead).over([audio])])


def test_live_raw_stereo_that_ends_within_a_frame(model, bundle, song):
    stereo = np.stack([song, song], axis=1)[: 11 * HALF]
    content = pcm(stereo).tobytes() + b"x"
    found = hear(bundle, content, "-", "--rate", SAMPLE_RATE, "--channels", 2, "--look-ahead", 1)
    audio = (pcm(song[: 11 * HALF]) / 32768).astype(np.float32)
    np.testing.assert_allclose(found, expected_table(model, audio, 1), atol=5.01e-5)
    assert len(found) == 11


def test_live_wav_of_another_rate(model, bundle, song):
    audio = song[: 3 * 48_000]  # at 48 kHz 3 s
    found = hear(bundle, wav(audio, "FLOAT"), "--look-ahead", 0)
    resampled = np.concatenate(list(convert("x", iter([(48_000, audio[:, np.newaxis])]))))
    np.testing.assert_allclose(found, expected_table(model, resampled, 0), atol=1e-4)
    assert len(found) == 6


def test_live_silence(bundle):
    found = hear(bundle, bytes(2 * SAMPLE_RATE), "--rate", SAMPLE_RATE, "--channels", 1)
    np.testing.assert_array_equal(found, [[0, 0.5, 0, 0], [0.5, 1, 0, 0]])


def test_live_a_file(model, bundle, tmp_path, capsys):
    soundfile.write(tmp_path / "x.wav", tone(2), SAMPLE_RATE, subtype="FLOAT")
    assert main(["live", str(tmp_path / "x.wav"), "--model", str(bundle)]) == 0
    text, error = capsys.readouterr()
    found = np.array([line.split(",") for line in text.splitlines()[1:]], float)
    np.testing.assert_allclose(found, expected_table(model, tone(2), 5), atol=5.01e-5)
    assert error == ""


def test_live_says_each_value_at_once_and_stops_by_ctrl_c(bundle, song):
    """Of a pipe that stays open: what is due is there to read; then the interrupt is heard."""
    content = pcm(song[: 2 * HALF]).tobytes()
    with live(bundle, "--rate", SAMPLE_RATE, "--channels", 1, "--look-ahead", 0) as process:
        process.stdin.write(content)
        process.stdin.flush()
        lines = [process.stdout.readline() for _ in range(3)]
        assert [line.split(b",")[0] for line in lines] == [b"start_s", b"0.0", b"0.5"]
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr.read() == b"moodcurve: stopped\n"


def test_live_for_a_reader_that_leaves(bundle, song):
    content = pcm(song[: 6 * HALF]).tobytes()
    with live(bundle, "--rate", SAMPLE_RATE, "--channels", 1, "--look-ahead", 0) as process:
        process.stdin.write(content[: 4 * HALF])
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # it may have ended before it has all
            process.stdin.write(content[4 * HALF :])
            process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_live_of_sound_that_goes_bad(bundle):
    """What was heard until then has been said; the fault is named, and is not a misuse."""
    audio = tone(3)
    audio[100_000] = np.nan
    with live(bundle, "--look-ahead", 0) as process:
        text, error = process.communicate(wav(audio, "FLOAT"))
    assert process.returncode == 1
    assert text.splitlines()[1].startswith(b"0.0,0.5,")
    assert error.startswith(b"moodcurve: error: standard input: NaN or infinity at 2.0")
    assert error.count(b"\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--look-ahead", "-1"], "look-ahead: -1 s"),
        (["--look-ahead", "0.3"], "look-ahead: 0.3 s"),
        (["--rate", "44100"], "say --rate and --channels"),
        (["--rate", "10", "--channels", "1"], "sample rate 10 Hz"),
        (["--rate", "44100", "--channels", "0"], "0 channels; give at least 1"),
        (["--microphone", "x.wav"], "--microphone and x.wav: give one of them"),
        (["--microphone", "--rate", "8000"], "only for raw PCM"),
        (["x.wav", "--channels", "2"], "only for raw PCM"),
        (["none.wav"], "none.wav: no such file"),
        (["--model", "none"], "none: no such model"),
    ],
)
def test_live_wrong_arguments(bundle, arguments, message):
    with live(bundle, *arguments) as process:
        text, error = process.communicate(pcm(tone(1)).tobytes())
    assert (process.returncode, text) == (2, b"")
    assert error.decode().startswith("moodcurve: error: ")
    assert message in error.decode()
    assert error.count(b"\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_live_at_a_terminal(bundle):
    ours, theirs = pty.openpty()
    with live(bundle, stdin=theirs) as process:
        text, error = process.communicate()
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, text) == (2, b"")
    assert error.startswith(b"moodcurve: error: standard input: a terminal; give FILE or ")


# The microphone


class FakeStream:
    """What `sounddevice` opens: three chunks of a tone at 48 kHz, then the device is gone."""

    def __init__(self, samplerate, blocksize, *, channels, dtype, callback):
        assert (samplerate, blocksize, channels, dtype) == (48_000, 4800, 1, "float32")
        self.callback = callback

    def __enter__(self):
        buffer = np.zeros((4800, 1), np.float32)  # one for all, as PortAudio's
        for start in range(0, 3 * 4800, 4800):
            buffer[:, 0] = tone(3)[start : start + 4800]
            self.callback(buffer, 4800, None, None)

    def __exit__(self, *_):
        FakeDevices.closed = True


class FakeDevices(types.SimpleNamespace):
    PortAudioError = type("PortAudioError", (Exception,), {})
    InputStream = FakeStream
    closed = False

    @staticmethod
    def query_devices(kind):
        assert kind == "input"
        return {"default_samplerate": 48_000.0}


def test_the_microphone(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeDevices)
    monkeypatch.setattr("moodcurve.microphone._PATIENCE", 0.01)
    found = []
    with pytest.raises(InputError, match="microphone: nothing comes any more"):
        for rate, chunk in read_microphone():
            assert rate == 48_000
            found.append(chunk)
    np.testing.assert_array_equal(np.concatenate(found), tone(3)[: 3 * 4800, np.newaxis])
    assert FakeDevices.closed


def test_no_microphone(monkeypatch, bundle, capsys):
    class None_(FakeDevices):
        @staticmethod
        def query_devices(kind):
            raise FakeDevices.PortAudioError("Error querying\ndevice -1")

    monkeypatch.setitem(sys.modules, "sounddevice", None_)
    assert main(["live", "--microphone", "--model", str(bundle)]) == 2
    message = "microphone: Error querying device -1; connect one, or pipe the sound in"
    assert capsys.readouterr().err == f"moodcurve: error: {message}\n"


def test_the_microphone_needs_a_package(monkeypatch, bundle, capsys):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert main(["live", "--microphone", "--model", str(bundle)]) == 2
    assert capsys.readouterr().err == (
        "moodcurve: error: microphone: needs sounddevice; run: pip install 'moodcurve[live]'\n"
    )
