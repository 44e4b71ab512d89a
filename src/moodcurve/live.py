"""A curve while the music plays: audio in blocks -> a value every half-second.

stream = StreamCurve(look_ahead=5.0)
for moment in stream.over(blocks):  # of mono float32 audio at 44.1 kHz, of any size
    print(moment.start_s, moment.valence, moment.arousal)
"""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import numpy as np

from moodcurve.audio import MIN_SECONDS, SAMPLE_RATE
from moodcurve.errors import InputError
from moodcurve.features import HOP
from moodcurve.features.frames import sixteen_bits
from moodcurve.model import DEFAULT, Model
from moodcurve.predict import Rows2Curve
from moodcurve.rows import RowStream, SongStream
from moodcurve.sound.loudness import Loudness, gain_to_level

_HALF = round(HOP * SAMPLE_RATE)  # samples of a half-second
_STEP = 50  # frames that the extractor takes in turn: those of a half-second
_PAST = 240  # half-seconds before a value, at least, that the model is given


class Moment(NamedTuple):
    """One half-second of a curve: where it starts and ends, in seconds, the rest as in `Curve`.

    The four edges are those of `Curve.band`; None where the model has not measured it.
    """

    start_s: float
    end_s: float
    valence: float
    arousal: float
    valence_low: float | None = None
    valence_high: float | None = None
    arousal_low: float | None = None
    arousal_high: float | None = None


class StreamCurve:
    """Valence and arousal of audio that comes in blocks; what it holds does not grow with it.

    The value of half-second k (k / 2 .. k / 2 + 0.5 s) is given as soon as (k + 1) / 2 +
    `look_ahead` seconds have been pushed, never earlier, and stays. It is what the offline model
    says of that half-second as if the audio ended at that moment; what comes later has no part in
    it, nor has the size of the blocks. So with a look-ahead of 0 it is the last value of the
    curve of all that was heard so far, and where the look-ahead reaches the end of the song it is
    the offline curve's own.

    A file is brought to one level first, and its loudness is known only at its end. Here a gain
    follows the loudness of all that was heard so far, unless that of the whole is given; so where
    music begins softer than it goes on, its first values are those of louder music.

    Of the past the model is given the last two minutes or a little more. It begins at a multiple of
    the model's longest scale, so that sequences are cut where they are in the whole song: what is
    left out would change only what a model hears of harmony over contexts of minutes, and how
    familiar the song is, which a band goes by.

    Args:
        model: the name of an installed model, a path, or a `Model`.
        look_ahead: seconds of audio after a half-second before its value is given, a multiple of
            0.5; 0 is causal.
        loudness: of the whole in LUFS (`sound.loudness`), where it is known beforehand.

    Raises:
        InputError: for another look-ahead, or a model that cannot be used.
    """

    def __init__(
        self,
        model: str | Path | Model = DEFAULT,
        look_ahead: float = 5.0,
        loudness: float | None = None,
    ) -> None:
        ahead = look_ahead / HOP
        if not (ahead >= 0 and float(ahead).is_integer()):
            raise InputError(f"look-ahead: {look_ahead:g} s; give 0 or a multiple of {HOP} s")
        self._ahead = int(ahead)
        self._rows2curve = Rows2Curve(model)
        self._stream: RowStream | SongStream
        if self._rows2curve.model.official_only:
            self._stream = RowStream(self._rows2curve.model.window, official_only=True, step=_STEP)
        else:
            self._stream = SongStream(self._rows2curve.model.window, step=_STEP)
        self._loudness = Loudness()
        self._gain = None if loudness is None else gain_to_level(loudness)
        self._half = np.zeros(_HALF, np.float32)  # the half-second that is being filled
        self._filled = 0  # samples of it
        self._halves = 0  # whole ones so far
        self._rows: np.ndarray | None = None  # complete rows, from `_first` on
        self._first = 0
        self._given = 0  # moments so far

    def push(self, samples: np.ndarray) -> list[Moment]:
        """Take the next samples; give the moments that are due with them.

        Args:
            samples: (n,) mono float32 at 44.1 kHz, nominally in [-1, 1]; `audio.convert` makes
                them of other audio. NaN counts as silence.

        Raises:
            InputError: for another shape, or integers.
        """
        samples = np.asarray(samples)
        if samples.ndim != 1 or samples.dtype.kind != "f":
            problem = f"{samples.dtype} samples of shape {samples.shape}"
            raise InputError(f"audio: {problem}; give mono floats (n,) in [-1, 1]")
        moments = []
        while len(samples):
            piece, samples = np.split(samples, [_HALF - self._filled])
            self._half[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            if self._filled == _HALF:
                self._add_half()
                if self._halves - self._ahead > self._given:
                    rest = deepcopy(self._stream).finish()  # as if the audio ended here
                    moments += self._moments(rest, self._given + 1)
        return moments

    def finish(self) -> list[Moment]:
        """Give the moments that are left when the audio has ended; nothing can follow.

        With those given before, there is one for every half-second, as in an offline curve: a rest
        under 50 ms has none of its own, nor has audio shorter than half a second in all.
        """
        if self._halves * HOP < MIN_SECONDS:
            return []
        known = self._hear(self._half[: self._filled])
        rest = self._stream.finish()
        return self._moments(rest, self._first + len(known) + len(rest))

    def over(self, blocks: Iterable[np.ndarray]) -> Iterator[Moment]:
        """All moments of audio in blocks, each as soon as it is due; see `push`."""
        for block in blocks:
            yield from self.push(block)
        yield from self.finish()

    def _add_half(self) -> None:
        self._hear(self._half)
        self._halves, self._filled = self._halves + 1, 0

    def _hear(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples; return all complete rows that are kept."""
        if isinstance(self._stream, SongStream):
            gain = self._gain
            if gain is None:
                self._loudness.push(sixteen_bits(samples))
                gain = gain_to_level(self._loudness.integrated())
            rows = self._stream.push(samples, gain)
        else:
            rows = self._stream.push(samples)
        self._rows = rows if self._rows is None else np.concatenate([self._rows, rows])
        return self._rows

    def _moments(self, rest: np.ndarray, end: int) -> list[Moment]:
        """Give the moments up to half-second `end`; `rest` are the rows after the complete ones."""
        curve = self._rows2curve(rest if self._rows is None else np.concatenate([self._rows, rest]))
        values = [curve.valence, curve.arousal]
        if curve.band is not None:
            band = curve.band
            values += [band.valence_low, band.valence_high, band.arousal_low, band.arousal_high]
        due = range(self._given, end)
        found = [
            Moment(HOP * k, HOP * (k + 1), *(float(v[k - self._first]) for v in values))
            for k in due
        ]
        self._given = end
        self._forget()
        return found

    def _forget(self) -> None:
        """Let rows go that the next moment is too far from."""
        longest = max(self._rows2curve.model.scales)
        first = max(0, (self._given - _PAST) // longest * longest)
        if self._rows is not None:
            self._rows, self._first = self._rows[first - self._first :], first
