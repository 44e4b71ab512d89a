"""Songs heard otherwise, in ways that leave their mood as it was; for a row of `across.py`.

A copy is up to a semitone faster and higher or slower and lower, up to 6 dB louder or softer, in
bass and treble too, and has been through mp3: no more than lies between two releases of a song.
"""

import io
import zlib
from dataclasses import replace

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import sosfilt

from moodcurve.audio import SAMPLE_RATE, read
from moodcurve.corpora.rows import LabelledRows
from moodcurve.features import HOP
from moodcurve.rows import all_rows_of

SEMITONE = 2 ** (1 / 12)
DECIBELS = 6.0
BASS, TREBLE = 200.0, 4000.0  # Hz, where the shelves end and begin

Audio = NDArray[np.float32]


def varied(song: LabelledRows) -> LabelledRows:
    """A copy of a song's rows, from its audio, and its labels; the same at each call."""
    assert song.song.audio is not None
    rng = np.random.default_rng(zlib.crc32(song.song.name.encode()))
    speed = SEMITONE ** rng.uniform(-1, 1)
    audio = soxr.resample(read(song.song.audio), SAMPLE_RATE * speed, SAMPLE_RATE)
    audio = through_mp3(coloured(audio, *10 ** (DECIBELS / 20 * rng.uniform(-1, 1, 3))))
    rows = all_rows_of(lambda: [audio])
    copy = replace(song.song, starts=song.song.starts / speed)
    labels = copy.labels_at(np.arange(len(rows)) * HOP + HOP / 2)
    return LabelledRows(copy, rows, labels.astype(np.float32))


def coloured(audio: Audio, bass: float, treble: float, level: float) -> Audio:
    """The audio with its bass, its treble, and all of it times these; no sample over 1."""
    sections = np.array([low_shelf(BASS, bass), low_shelf(TREBLE, 1 / treble)])
    found = sosfilt(sections, audio) * (treble * level)
    return (found / max(1.0, np.abs(found).max(initial=0.0))).astype(np.float32)


def low_shelf(corner: float, gain: float) -> NDArray[np.float64]:
    """A first-order section with `gain` far below `corner` Hz, 1 far above, its root at it.

    (s + g^1/2) / (s + g^-1/2) by the bilinear transform.
    """
    k, root = np.tan(np.pi * corner / SAMPLE_RATE), np.sqrt(gain)
    section = np.array([1 + k * root, k * root - 1, 0, 1 + k / root, k / root - 1, 0])
    return section / section[3]


def through_mp3(audio: Audio) -> Audio:
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", SAMPLE_RATE, 1, format="MP3") as sound:
        for begin in range(0, len(audio), SAMPLE_RATE):
            sound.write(audio[begin : begin + SAMPLE_RATE])
    file.seek(0)
    found: Audio = soundfile.read(file, dtype="float32")[0]
    return found
