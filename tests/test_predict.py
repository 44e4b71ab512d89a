import math

import numpy as np
import pytest
import soundfile

import moodcurve
from conftest import SCALES, tone
from moodcurve import Audio2Curve, File2Curve, InputError, Rows2Curve
from moodcurve.audio import SAMPLE_RATE, read
from moodcurve.features import FEATURE_NAMES, VERSION
from moodcurve.model import save
from moodcurve.network import forward
from moodcurve.rows import PAUSE, rows_of

LOUDNESS = FEATURE_NAMES.index("pcm_RMSenergy_sma_amean")


def random_rows(model, n, seed=1):
    """Rows as the model's training data might have been, none of them silent."""
    z = np.random.default_rng(seed).normal(0, 2, (n, len(FEATURE_NAMES)))
    return (model.mean + z * model.deviation).astype(np.float32)


def at(values, t):
    return values[min(max(t, 0), len(values) - 1)]


def brute_supervector(curves, t):
    found = []
    for o in curves:
        slope = sum(k * (at(o, t + k) - at(o, t - k)) for k in (1, 2)) / 10
        around = [o[s] for s in range(t - 2, t + 3) if 0 <= s < len(o)]
        found += [o[t], slope, sum(around) / len(around)]
    return found


def brute_scale(network, scale, rows):
    """Piece by piece; the last one starts early, and gives only what is still missing."""
    found, n = [], len(rows)
    while len(found) < n:
        start = max(0, min(len(found), n - scale))
        output = forward(network, rows[None, start : start + scale])[0, :, 0]
        found += [float(value) for value in output[len(found) - start :]]
    return found


def brute_curve(model, dimension, rows):
    fusion = model.fusions[dimension]
    silent = rows[:, LOUDNESS] == 0
    z = (rows[~silent].astype(float) - model.mean) / model.deviation
    z = np.clip(z, -model.limit, model.limit).astype(np.float32)
    groups = [
        [brute_scale(network, scale, z) for network, scale in zip(group, SCALES, strict=True)]
        for group in fusion.groups
    ]
    found = []
    for t in range(len(z)):
        says = []
        for curves in groups:
            x, total = brute_supervector(curves, t), 0.0
            for node, beta in enumerate(fusion.elm_beta):
                a = float(fusion.elm_bias[node])
                a += sum(v * float(w) for v, w in zip(x, fusion.elm_weights[:, node], strict=True))
                total += float(beta) / (1 + math.exp(-a))
            says.append(total)
        found.append(min(1.0, max(-1.0, sum(says) / len(says))))
    curve = np.zeros(len(rows))
    curve[~silent] = found
    return curve


@pytest.mark.parametrize("n", [1, 7, 10, 61, 95])
def test_like_brute_force(model, n):
    """With songs shorter than the shortest scale, and no multiple of any."""
    rows = random_rows(model, n)
    rows[n // 2, LOUDNESS] = 0 if n > 1 else 0.1
    curve = Rows2Curve(model)(rows)
    np.testing.assert_allclose(curve.valence, brute_curve(model, "valence", rows), atol=2e-6)
    np.testing.assert_allclose(curve.arousal, brute_curve(model, "arousal", rows), atol=2e-6)
    assert np.abs(curve.valence - curve.arousal).max() > 0.01


def test_values_are_clipped(model):
    for sign in (1, -1):
        model.fusions["valence"].elm_beta[:] = 20 * sign
        curve = Rows2Curve(model)(random_rows(model, 30))
        np.testing.assert_array_equal(curve.valence, np.full(30, sign))
        assert np.abs(curve.arousal).max() < 1


@pytest.mark.parametrize("length", [3, 20, 200])
def test_silence_takes_no_part_in_the_music_beside_it(model, length):
    """Before, after, and, where it is long, between two pieces: each has the curve it has alone."""
    one, other = random_rows(model, 50), random_rows(model, 70)[::-1]
    silence = np.zeros((length, rows_width := one.shape[1]), np.float32)
    assert rows_width == 260
    rows2curve = Rows2Curve(model)
    alone, second = rows2curve(one), rows2curve(other)
    beside = rows2curve(np.concatenate([silence, one, silence]))
    np.testing.assert_array_equal(beside.valence[length:-length], alone.valence)
    assert not beside.valence[:length].any()
    assert not beside.valence[-length:].any()
    if length >= PAUSE:
        both = rows2curve(np.concatenate([one, silence, other]))
        np.testing.assert_array_equal(both.arousal[:50], alone.arousal)
        np.testing.assert_array_equal(both.arousal[-70:], second.arousal)


def test_a_song_that_is_silent_from_end_to_end(model):
    curve = Rows2Curve(model)(np.zeros((9, 260), np.float32))
    assert not curve.valence.any()
    assert curve.about["silent_rows"] == 9


def test_silence_is_neutral(model):
    rows = random_rows(model, 40)
    rows[10:20, LOUDNESS] = 0
    curve = Rows2Curve(model)(rows)
    for values in (curve.valence, curve.arousal):
        np.testing.assert_array_equal(values == 0, (np.arange(40) >= 10) & (np.arange(40) < 20))
    assert curve.about["silent_rows"] == 10


@pytest.mark.parametrize("shape", [(0, 260), (5, 259), (260,), (1, 5, 260)])
def test_rows_of_another_shape(model, shape):
    with pytest.raises(InputError, match=r"rows: shape .*; give \(half-seconds, 483\)"):
        Rows2Curve(model)(np.ones(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_that_are_no_numbers(model, value):
    rows = random_rows(model, 12)
    rows[11, 259] = value
    with pytest.raises(InputError, match="rows: NaN or infinity"):
        Rows2Curve(model)(rows)


def test_the_start_of_a_song_does_not_depend_on_its_length(model):
    """But for the last 2 rows, whose slope and mean look ahead."""
    rows = random_rows(model, 180)
    short, long = (Rows2Curve(model)(part) for part in (rows[:60], rows))
    for one, other in ((short.valence, long.valence), (short.arousal, long.arousal)):
        np.testing.assert_allclose(one[:58], other[:58], atol=1e-6)
        assert np.abs(one[58:] - other[58:60]).max() > 1e-4


def test_where_a_curve_comes_from(model):
    about = Rows2Curve(model)(random_rows(model, 3), {"song": "x"}).about
    assert about["song"] == "x"
    assert about["model"] == {"name": "random", "trained_on": ["none"]}
    assert about["licence"] == "MIT"
    assert about["moodcurve"] == moodcurve.__version__
    assert about["features"] == {"extractor": VERSION, "window_s": 1.0}
    assert about["scale"]["valence"].startswith("-1 unpleasant .. 1 pleasant")
    assert about["scale"]["arousal"].startswith("-1 calm .. 1 excited")


def test_the_ladder_agrees(model, song):
    audio = read(song)
    by_rows = Rows2Curve(model)(rows_of([audio]))
    by_audio = Audio2Curve(model)(audio, SAMPLE_RATE)
    by_file = File2Curve(model)(str(song))
    for curve in (by_audio, by_file):
        np.testing.assert_array_equal(curve.valence, by_rows.valence)
        np.testing.assert_array_equal(curve.arousal, by_rows.arousal)
    assert (by_file.about["song"], by_file.about["file"]) == ("tone", "tone.wav")
    assert len(by_file.times) == 20
    assert by_file.times[-1] == 9.5


@pytest.mark.parametrize("step", [Rows2Curve, Audio2Curve, File2Curve])
def test_a_model_by_its_path(model, song, tmp_path, step):
    save(model, tmp_path / "bundle")
    given = {Rows2Curve: [random_rows(model, 4)], File2Curve: [song]}
    arguments = given.get(step, [tone(1), SAMPLE_RATE])
    expected = step(model)(*arguments)
    for path in (tmp_path / "bundle", str(tmp_path / "bundle")):
        np.testing.assert_array_equal(step(path)(*arguments).valence, expected.valence)
    with pytest.raises(InputError, match="none: no such model"):
        step(tmp_path / "none")


def test_channels_and_rates(model):
    mono = Audio2Curve(model)(tone(2), SAMPLE_RATE)
    stereo = Audio2Curve(model)(np.stack([tone(2), tone(2)], axis=1), SAMPLE_RATE)
    np.testing.assert_array_equal(mono.valence, stereo.valence)
    half = Audio2Curve(model)(tone(2)[::2], SAMPLE_RATE // 2)
    assert len(half.valence) == len(mono.valence) == 4


@pytest.mark.parametrize(("seconds", "rows"), [(0.5, 1), (0.6, 2), (3.0, 6), (3.3, 7)])
def test_the_curve_covers_a_short_song(model, tmp_path, seconds, rows):
    path = tmp_path / "short.wav"
    soundfile.write(path, tone(seconds), SAMPLE_RATE)
    curve = File2Curve(model)(path)
    assert len(curve.valence) == len(curve.arousal) == len(curve.times) == rows
    assert np.isfinite([curve.valence, curve.arousal]).all()
    assert np.all(curve.valence != 0)


def test_a_silent_file(model, tmp_path):
    path = tmp_path / "silent.wav"
    soundfile.write(path, np.zeros(2 * SAMPLE_RATE), SAMPLE_RATE)
    curve = File2Curve(model)(path)
    np.testing.assert_array_equal([curve.valence, curve.arousal], np.zeros((2, 4)))
    assert curve.about["silent_rows"] == 4


def test_progress_adds_up_to_the_song(model, song, monkeypatch):
    seconds = []
    blocks = moodcurve.predict.read_blocks
    monkeypatch.setattr("moodcurve.predict.read_blocks", lambda path: blocks(path, 3.0))
    File2Curve(model)(song, on_seconds=seconds.append)
    assert len(seconds) == 4
    assert sum(seconds) == pytest.approx(10)


def test_errors_name_the_file(model, tmp_path):
    with pytest.raises(InputError, match=r"none\.wav: no such file"):
        File2Curve(model)(tmp_path / "none.wav")
    with pytest.raises(InputError, match="audio: int16 samples"):
        Audio2Curve(model)(np.zeros(SAMPLE_RATE, np.int16), SAMPLE_RATE)


def test_the_public_names():
    for name in moodcurve.__all__:
        assert getattr(moodcurve, name).__class__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        moodcurve.nothing  # noqa: B018
