"""The learned listener: against a plain evaluation of the network, and its known answers."""

import json
from pathlib import Path

import numpy as np
import pytest
import soxr

from moodcurve import InputError
from moodcurve.audio import SAMPLE_RATE, read
from moodcurve.features import listener
from moodcurve.features.listener import PATCH, Convolutions, Listener, head, patch_begin
from moodcurve.features.logmel import RATE, LogMel, resampled

EXAMPLE = Path(__file__).parents[1] / "examples" / "four_moods.ogg"
ANSWERS = Path(__file__).parents[2] / "shared" / "hearing" / "musicnn_answers.npz"


def music(seconds, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 220 * 2 ** (np.floor(3 * t) % 7 / 12)
    return (0.2 * np.sin(2 * np.pi * pitch * t) + 0.02 * rng.normal(size=len(t))).astype(np.float32)


def in_one_go(frames):
    """The channels (n, 212) of a whole song's frames, padded by zeros, in doubles."""
    w = {k: v.astype(float) for k, v in np.load(listener._WEIGHTS).items()}
    x = frames.astype(float) * w["input/scale"] + w["input/shift"]
    n, front = len(x), []
    for name in ("timbre38", "timbre67", "time128", "time64", "time32"):
        kernel = w[f"{name}/kernel"]
        kernel = kernel.reshape(len(kernel), -1, kernel.shape[-1])
        taps, bands, _ = kernel.shape
        before = (taps - 1) // 2
        padded = np.pad(x, ((before, taps - 1 - before), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (taps, bands))
        answers = np.einsum("npij,ijd->npd", windows, kernel, optimize=True) + w[f"{name}/bias"]
        normal = np.maximum(answers, 0) * w[f"{name}/scale"] + w[f"{name}/shift"]
        front.append(normal.max(axis=1))

    def conv(h, name):
        kernel = w[f"{name}/kernel"]
        padded = np.pad(h, ((3, 3), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, 7, axis=0)
        products = np.einsum("nci,icd->nd", windows, kernel, optimize=True) + w[f"{name}/bias"]
        return np.maximum(products, 0) * w[f"{name}/scale"] + w[f"{name}/shift"]

    front = np.hstack(front)
    first = np.tile(w["middle1/constant"], (n, 1))
    alive = w["middle1/alive"] > 0
    first[:, alive] = conv(np.hstack([front, np.ones((n, 1))]), "middle1")
    second = conv(first, "middle2") + first
    third = conv(second, "middle3") + second
    return np.hstack([front, first[:, alive], second, third])


@pytest.mark.parametrize("n", [1, 5, 31, 32, 33, 100, 187, 300])
def test_convolutions_like_those_of_a_whole_song(n):
    frames = np.random.default_rng(n).uniform(0, 3, (n, 96)).astype(np.float32)
    convolutions = Convolutions()
    parts = [convolutions.push(part) for part in np.array_split(frames, 3)]
    channels = np.concatenate([*parts, convolutions.finish()])
    np.testing.assert_allclose(channels, in_one_go(frames), rtol=1e-4, atol=4e-4)


def test_the_known_answers():
    """Of the published network, 24 patches, by a rewrite that equals its own graph to 5e-7."""
    if not ANSWERS.exists():
        pytest.skip("the known answers are not here")
    with np.load(ANSWERS) as answers:
        frames, penultimate = answers["logmel"], answers["penultimate"]
    for patch, expected in zip(frames, penultimate, strict=True):
        convolutions = Convolutions()
        channels = np.concatenate([convolutions.push(patch), convolutions.finish()])
        assert channels.shape == (PATCH, 212)
        said = head(channels.max(axis=0), channels.mean(axis=0))
        np.testing.assert_allclose(said, expected, atol=1e-5)


def test_log_mel_by_its_definition():
    """Slaney's mel bands (Auditory Toolbox 1998), each of one area, written out."""
    samples = read(EXAMPLE)[: 20 * SAMPLE_RATE]
    sound = np.pad(soxr.resample(samples, SAMPLE_RATE, RATE, "VHQ"), 256)
    frames = np.lib.stride_tricks.sliding_window_view(sound, 512)[::256]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    powers = np.abs(np.fft.rfft(frames * window)) ** 2
    steps = np.linspace(0, 15 + 27 * np.log(8) / np.log(6.4), 98)
    hertz = np.where(steps < 15, steps * 200 / 3, 1000 * 6.4 ** ((steps - 15) / 27))
    bins = np.arange(257) * RATE / 512
    triangles = [
        np.interp(bins, hertz[k : k + 3], [0, 2 / (hertz[k + 2] - hertz[k]), 0]) for k in range(96)
    ]
    expected = np.log10(1 + 10000 * powers @ np.transpose(triangles))
    mel = LogMel()
    own = np.concatenate([mel.push(samples), mel.finish()])
    n = min(len(own), len(expected)) - 3  # what is heard of the cut is another matter
    assert len(own) == pytest.approx(len(expected), abs=1)
    assert np.abs(own[:n] - expected[:n]).mean() < 1e-3
    below = hertz[2:] < 7000  # above, resamplers differ in how steeply they cut
    assert np.abs(own[:n] - expected[:n])[:, below].max() < 0.02


@pytest.mark.parametrize("frequency", [100.0, 1000.0, 5000.0])
def test_a_tone_at_16_khz_is_the_tone(frequency):
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * frequency * t).astype(np.float32)
    out = resampled(np.pad(tone, 176)[: 441 * 90 + 352])
    expected = np.sin(2 * np.pi * frequency * np.arange(len(out)) / RATE)
    np.testing.assert_allclose(out[200:-200], expected[200:-200], atol=1e-4)


def test_what_16_khz_cannot_hold_is_gone():
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * 9000 * t).astype(np.float32)
    assert np.abs(resampled(tone[: 441 * 90 + 352])[200:-200]).max() < 1e-4


@pytest.mark.parametrize("seconds", [0.01, 0.5, 0.57, 1.51, 3.0, 7.3])
def test_the_size_of_blocks_does_not_matter(seconds):
    audio, rng = music(seconds), np.random.default_rng(0)
    count = max(1, round(2 * seconds))
    whole, parts = Listener(), Listener()
    expected = np.concatenate([whole.push(audio), whole.finish(count)])
    places = np.sort(rng.integers(0, len(audio), 9))
    rows = [parts.push(part) for part in np.split(audio, places)]
    assert np.concatenate([*rows, parts.finish(count)]).tobytes() == expected.tobytes()
    assert expected.shape == (count, 200)


def test_a_row_has_the_three_seconds_around_it():
    audio = music(12)
    mel, convolutions = LogMel(), Convolutions()
    frames = np.concatenate([mel.push(audio), mel.finish()])
    channels = np.concatenate([convolutions.push(frames), convolutions.finish()])
    stream = Listener()
    rows = np.concatenate([stream.push(audio), stream.finish(24)])
    last = len(channels) - PATCH
    for k, row in enumerate(rows):
        begin = min(max(patch_begin(k), 0), last)
        patch = channels[begin : begin + PATCH]
        np.testing.assert_allclose(row, head(patch.max(axis=0), patch.mean(axis=0)), atol=1e-6)
    middle = (patch_begin(10) + PATCH / 2) / 62.5
    assert middle == pytest.approx(5.25, abs=0.01)


@pytest.mark.parametrize("damage", ["missing", "cut", "another"])
def test_damaged_weights_are_named(tmp_path, monkeypatch, damage):
    content = listener._WEIGHTS.read_bytes()
    path = tmp_path / "listener.npz"
    if damage != "missing":
        path.write_bytes(content[:-9] if damage == "cut" else content + b"x")
    monkeypatch.setattr(listener, "_WEIGHTS", path)
    listener.weights.cache_clear()
    try:
        with pytest.raises(InputError, match=r"listener\.npz: .*install moodcurve again"):
            listener.weights()
    finally:
        listener.weights.cache_clear()


def test_the_weights_say_whose_they_are():
    about = json.loads(listener._ABOUT.read_text())
    assert about["licence"] == "ISC"
    assert "musicnn-0.1.0" in about["source"]
    notice = listener._ABOUT.with_suffix(".LICENSE").read_text()
    assert "Pons" in notice
    assert "Permission to use, copy, modify" in notice
