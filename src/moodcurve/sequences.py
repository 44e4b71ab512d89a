"""Rows of a song cut into pieces of T half-seconds, and stitched back (paper, section 3.5).

Shapes: B pieces, T half-seconds, F features or K outputs a half-second.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodcurve.errors import InputError

Array = NDArray[np.floating[Any]]


def cut(rows: Array, length: int) -> Array:
    """Cut a song's rows into pieces of equal length.

    Parameters
    ----------
    rows : (n, F)
        one row a half-second, at least one
    length
        half-seconds a piece, at least 1

    Returns
    -------
    (B, T, F)
        T = min(length, n). The pieces follow one another without overlap; where n is no multiple
        of T, the last one is taken from the song's end and overlaps the one before it.

    Raises
    ------
    InputError
        if there is no row, or `length` is below 1
    """
    if rows.ndim != 2 or not len(rows) or length < 1:
        shape = f"shape {rows.shape} cut to length {length}"
        raise InputError(f"rows: {shape}; give at least one row (n, F) and a length of 1 or more")
    n = len(rows)
    size = min(length, n)
    starts = list(range(0, n - size + 1, size))
    if n % size:
        starts.append(n - size)
    return np.stack([rows[start : start + size] for start in starts])


def stitch(pieces: Array, n: int) -> Array:
    """Undo `cut`: join the pieces of a song of n rows.

    Where the last piece overlaps the one before it, the rows are the earlier piece's.

    Parameters
    ----------
    pieces : (B, T, K)
        what came of the pieces of `cut`, in its order
    n
        rows of the song

    Returns
    -------
    (n, K)

    Raises
    ------
    InputError
        if so many pieces are not those of a song of n rows
    """
    count, size = pieces.shape[:2]
    remainder = n - (count - 1) * size
    if not 1 <= remainder <= size:
        problem = f"{count} pieces of {size} rows do not make a song of {n}"
        raise InputError(f"pieces: {problem}; stitch all pieces of one song")
    return np.concatenate([*pieces[:-1], pieces[-1, size - remainder :]])


def pad(rows: Sequence[Array], length: int) -> tuple[Array, NDArray[np.bool_]]:
    """Stack pieces of different lengths, filled up with zeros at their ends.

    Parameters
    ----------
    rows : B arrays of shape (t_i, F)
        t_i at most `length`
    length
        T, the common length

    Returns
    -------
    (B, T, F), (B, T)
        the pieces, and a mask: True where a row is real

    Raises
    ------
    InputError
        if there is no piece, or one is longer than `length`
    """
    if not rows or max(len(piece) for piece in rows) > length:
        longest = max((len(piece) for piece in rows), default=0)
        problem = f"{len(rows)} pieces of up to {longest} rows for a length of {length}"
        raise InputError(f"rows: {problem}; give one piece at least and none longer")
    lengths = np.array([len(piece) for piece in rows])
    mask = np.arange(length) < lengths[:, np.newaxis]
    padded = np.zeros((*mask.shape, rows[0].shape[1]), dtype=np.result_type(*rows))
    padded[mask] = np.concatenate(rows)
    return padded, mask
