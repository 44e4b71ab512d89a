"""From rows to what networks see: the official features, and harmony and the listener in context.

What key a passage is in, and whether it is major or minor, takes seconds to hear. So the chroma of
the rows is averaged over some time around each, and compared with the profiles of the 24 keys; and
so are the listener's numbers, which waver from one 3 s to the next.
"""

import numpy as np
from numpy.typing import NDArray

from moodcurve.errors import InputError
from moodcurve.features import COLUMNS, FAMILIES, FEATURE_NAMES, HARMONY_NAMES, LISTENER_NAMES
from moodcurve.features.harmony import PITCH_CLASSES
from moodcurve.network import Array

Float64 = NDArray[np.float64]

# How well each of 12 tones fits a key, from its keynote up (Krumhansl & Kessler 1982).
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)

_COLUMNS = 25  # that are averaged at once

_KEY_NAMES = ("key_major", "key_minor", "key_mode", "key_clarity")
#: Columns that each context adds.
CONTEXT_NAMES = (*_KEY_NAMES, *HARMONY_NAMES[PITCH_CLASSES:])


def input_names(contexts: tuple[int, ...], listener: tuple[int, ...]) -> tuple[str, ...]:
    """The columns of `in_context`: official ones, harmony in each context, the listener in each."""
    return (
        *FEATURE_NAMES,
        *(f"{name} over {width}" for width in contexts for name in CONTEXT_NAMES),
        *(f"{name} over {width}" for width in listener for name in LISTENER_NAMES),
    )


def in_context(
    rows: NDArray[np.floating], contexts: tuple[int, ...], listener: tuple[int, ...]
) -> Array:
    """Rows (n, 483), or (n, 260) without any context -> float32 (n, 260 + 15 C + 200 W).

    Columns as `input_names`. A family that is not known of a song, NaN in its rows, stays NaN.

    For each of the C contexts of w half-seconds, w / 2 to either side (fewer at a song's ends):

    - key_major, key_minor: the highest correlation, -1 .. 1, of the mean chroma with the profiles
      of the 12 major and of the 12 minor keys (Krumhansl 1990); 0 in silence
    - key_mode: key_major - key_minor; key_clarity: the higher of the two
    - the means of harmony's triads and intervals

    For each of the W widths of the listener, the means of its numbers over so many half-seconds.

    Raises:
        InputError: for rows of official features only, where there are contexts.
    """
    official = np.asarray(rows[:, : len(FEATURE_NAMES)], np.float32)
    if not contexts and not listener:
        return official
    if rows.shape[1] != len(COLUMNS):
        raise InputError(
            f"rows: {rows.shape[1]} features, and this model also hears harmony and the learned "
            f"listener: give the {len(COLUMNS)} that come of audio"
        )
    harmony, heard = (rows[:, FAMILIES[family]] for family in ("harmony", "listener"))
    inputs: list[NDArray[np.floating]] = [official]
    for width in contexts:
        mean = centred_mean(harmony, width)
        inputs += [_keys(mean[:, :PITCH_CLASSES]), mean[:, PITCH_CLASSES:]]
    inputs += [centred_mean(heard, width) for width in listener]
    return np.hstack([values.astype(np.float32) for values in inputs])


def listener_alone(inputs: Array, listener: tuple[int, ...]) -> Array:
    """The inputs (n, F) with all but the listener's 0, their mean; as they are without a listener.

    Of a song of a corpus without audio nothing else is known.
    """
    if not listener:
        return inputs
    alone = np.zeros_like(inputs)
    place = slice(-len(LISTENER_NAMES) * len(listener), None)
    alone[:, place] = inputs[:, place]
    return alone


def centred_mean(values: NDArray[np.floating], width: int) -> Float64:
    """Mean over `width` rows around each, (width - 1) // 2 of them before it.

    At the ends of (n, d) values, over those rows of the window that there are.
    """
    row = np.arange(len(values))
    begin = np.maximum(row - (width - 1) // 2, 0)
    end = np.minimum(row + width // 2 + 1, len(values))
    mean = np.empty(values.shape)
    for first in range(0, values.shape[1], _COLUMNS):  # sums take far more memory than means
        columns = slice(first, first + _COLUMNS)
        total = np.cumsum(values[:, columns], axis=0, dtype=np.float64)
        total = np.vstack([np.zeros((1, total.shape[1])), total])
        mean[:, columns] = (total[end] - total[begin]) / (end - begin)[:, np.newaxis]
    return mean


def _profiles(of_c: tuple[float, ...]) -> Float64:
    """A profile's 12 transpositions, each with mean 0 and length 1, as columns."""
    profile = np.array(of_c) - np.mean(of_c)
    rolled = [np.roll(profile, k) for k in range(PITCH_CLASSES)]
    profiles: Float64 = np.stack(rolled, axis=1) / np.linalg.norm(profile)
    return profiles


_MAJOR_KEYS, _MINOR_KEYS = _profiles(_MAJOR), _profiles(_MINOR)


def _keys(chroma: Float64) -> Float64:
    """How well each chroma (n, 12) fits its best major key, its best minor one, ...: (n, 4)."""
    around = chroma - chroma.mean(axis=1, keepdims=True)
    length = np.linalg.norm(around, axis=1, keepdims=True)
    around /= np.where(length > 1e-9, length, np.inf)
    major, minor = ((around @ keys).max(axis=1) for keys in (_MAJOR_KEYS, _MINOR_KEYS))
    return np.column_stack([major, minor, major - minor, np.maximum(major, minor)])
