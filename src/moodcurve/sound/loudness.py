"""How loud a piece of audio is: integrated loudness after ITU-R BS.1770-4, of audio in blocks.

    loudness = Loudness()
    for block in blocks:
        loudness.push(block)
    gain = gain_to_level(loudness.integrated())

The audio goes through the recommendation's K-weighting (a shelf of 4 dB over some 1.5 kHz, a
high-pass at 38 Hz); its power is taken over blocks of 0.4 s every 0.1 s. Blocks under -70 LUFS do
not count, nor do those 10 LU under the mean of the others: silence has no part in it.
"""

import numpy as np
from numpy.typing import NDArray

from moodcurve.audio import SAMPLE_RATE

Float64 = NDArray[np.float64]

#: LUFS, the level that songs are brought to: that of much streamed music.
LEVEL = -14.0

_STEP = SAMPLE_RATE // 10  # samples of 0.1 s
_BLOCK = 4  # steps
_SILENT, _QUIET = -70.0, -10.0  # LUFS, and LU under the mean
_OFFSET = -0.691  # dB, so that 997 Hz at full scale has -3.01 LUFS in one channel


def _weighting() -> Float64:
    """K-weighting at 44.1 kHz, (2, 6) second-order sections.

    The recommendation gives coefficients at 48 kHz; these are of the same two analogue filters, by
    the bilinear transform (frequencies, gain and quality as fitted by De Man 2014).
    """
    k, q, gain = (
        np.tan(np.pi * 1681.974450955533 / SAMPLE_RATE),
        0.7071752369554196,
        1.584864701130855,
    )
    bow = gain**0.4996667741545416
    shelf = np.array([gain + bow * k / q + k * k, 2 * (k * k - gain), gain - bow * k / q + k * k])
    poles = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
    first = [*(shelf / poles[0]), *(poles / poles[0])]
    k, q = np.tan(np.pi * 38.13547087602444 / SAMPLE_RATE), 0.5003270373238773
    poles = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
    return np.array([first, [1.0, -2.0, 1.0, *(poles / poles[0])]])


_WEIGHTING = _weighting()


class Loudness:
    """Integrated loudness of mono audio at 44.1 kHz that comes in blocks of any size.

    It keeps one number for every 0.1 s.
    """

    def __init__(self) -> None:
        self._state = np.zeros((2, 2))
        self._rest = np.zeros(0)
        self._powers: list[Float64] = []  # mean squares of the steps of 0.1 s

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take the next samples (n,), full scale 1."""
        from scipy.signal import sosfilt  # its import takes longer than some commands

        if not len(samples):
            return
        weighted, self._state = sosfilt(_WEIGHTING, samples, zi=self._state)
        weighted = np.concatenate([self._rest, weighted])
        count = len(weighted) // _STEP
        steps, self._rest = np.split(weighted, [count * _STEP])
        self._powers.append(np.square(steps.reshape(count, _STEP)).mean(axis=1))

    def integrated(self) -> float:
        """The loudness of all that was heard, in LUFS; -inf where none of it is over -70 LUFS."""
        powers = np.concatenate([np.zeros(0), *self._powers])
        if len(powers) < _BLOCK:
            return -np.inf
        blocks = np.lib.stride_tricks.sliding_window_view(powers, _BLOCK).mean(axis=1)
        blocks = blocks[blocks > _power(_SILENT)]
        blocks = blocks[blocks > _power(_lufs(blocks) + _QUIET)]
        return _lufs(blocks)


def gain_to_level(loudness: float) -> float:
    """The factor that brings audio of that loudness to `LEVEL`; 1 for audio without any."""
    return float(10 ** ((LEVEL - loudness) / 20)) if np.isfinite(loudness) else 1.0


def _lufs(blocks: Float64) -> float:
    return float(_OFFSET + 10 * np.log10(blocks.mean())) if len(blocks) else -np.inf


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET) / 10))
