"""Spans of time that a curve is asked for, other than its half-seconds: (starts, ends) in seconds.

Each is of shape (m,); spans may overlap or leave gaps, but lie within the song.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moodcurve.corpora.check import check_header, number, read_text, split_rows
from moodcurve.errors import InputError
from moodcurve.features import HOP

Spans = tuple[NDArray[np.float64], NDArray[np.float64]]

_FASTEST = 1000  # Hz; no video and no display is faster


def at_rate(rate: str, seconds: float) -> Spans:
    """Spans of 1 / rate each from 0 on, until the song of `seconds` is covered.

    The rate is a number or a fraction in Hz: "25", "0.1", "30000/1001". The last span ends with the
    song. Raises InputError for anything else, and beyond 1000 Hz.
    """
    top, _, bottom = rate.partition("/")
    try:
        hertz = float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"--rate {rate}: no number; give one in Hz: 25 or 30000/1001") from None
    if not 0 < hertz <= _FASTEST:
        raise InputError(f"--rate {rate}: out of range; give more than 0 and at most {_FASTEST} Hz")
    edges = np.arange(math.ceil(round(seconds * hertz, 6)) + 1) / hertz
    edges[-1] = seconds
    return edges[:-1], edges[1:]


def between_beats(path: Path, seconds: float) -> Spans:
    """From each beat to the next, and from the last to the end of the song of `seconds`.

    The file has a beat a line: its time in seconds, and whatever else after a comma or a tab, as
    Audacity's labels, Sonic Visualiser's layers and most beat trackers have it. Raises InputError
    for another one, and where the times do not rise or lie outside the song.
    """
    times: list[float] = []
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if not text.strip():
            continue
        where = f"{path.name}:{line}"
        time = _seconds(where, text.replace(",", " ").split()[0])
        if times and time <= times[-1]:
            raise InputError(f"{where}: {time:g} s is not after {times[-1]:g} s; sort the beats")
        _check_within(where, time, seconds)
        times.append(time)
    if not times:
        raise InputError(f"{path.name}: no beats; write one time in seconds a line")
    end = max(seconds, times[-1] + HOP / 2)  # a beat in the last moment, after the curve
    return np.array(times), np.array([*times[1:], end])


def listed(path: Path, seconds: float) -> Spans:
    """The segments of a CSV file with the columns start and end, in seconds.

    Raises InputError for another one, for a segment that ends before it starts, and for one outside
    the song of `seconds`.
    """
    (first, header), *lines = split_rows(path.name, read_text(path))
    header = [cell.strip() for cell in header]
    check_header(f"{path.name}:{first}", ("start", "end"), header)
    spans = []
    for line, cells in lines:
        where = f"{path.name}:{line}"
        row = dict(zip(header, cells, strict=False))
        start, end = (_seconds(where, row.get(name, "")) for name in ("start", "end"))
        if end <= start:
            raise InputError(f"{where}: ends at {end:g} s, not after its start; correct it")
        _check_within(where, start, seconds)
        _check_within(where, end, seconds)
        spans.append((start, end))
    if not spans:
        raise InputError(f"{path.name}: no segments below the header; add some")
    starts, ends = np.array(spans).T
    return starts, ends


def _seconds(where: str, cell: str) -> float:
    found = number(cell)
    if found is None:
        raise InputError(f'{where}: "{cell.strip()}" is no time; write seconds, such as 12.5')
    return found


def _check_within(where: str, time: float, seconds: float) -> None:
    # A curve ends with its last whole half-second, the song perhaps a little later.
    if not 0 <= time <= seconds + HOP:
        raise InputError(
            f"{where}: {time:g} s is outside the song (0 to {seconds:g} s); "
            "leave it out, or take the curve of the right song"
        )
