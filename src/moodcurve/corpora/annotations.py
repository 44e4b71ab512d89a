"""Labels that people give while they listen: raw samples of each rater, and what comes of them.

Beside the files of a corpus folder (`moodcurve.corpora.folder`)::

    annotations/<song>/<rater>.json    {"name", "lag_s", "samples": [[time_s, valence, arousal]..]}

A sample says where a rater's pointer was at a moment; valence and arousal are in [-1, 1], either
is null while it was not judged. `lag_s` is the rater's reaction time: a sample at t speaks of the
music at t - lag_s. From these the songs' rows of dynamic.csv are made, every half-second that the
raters' mean is known at; rows of other songs stay as they are.
"""

import csv
import json
import math
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from moodcurve.audio import EXTENSIONS
from moodcurve.corpora.check import song_name
from moodcurve.corpora.folder import audio_files
from moodcurve.errors import InputError
from moodcurve.features import HOP
from moodcurve.files import check_folder, replacing
from moodcurve.metrics import pearson_r
from moodcurve.model import DIMENSIONS

MOST_RATERS = 50  # of a song
MOST_SAMPLES = 250_000  # of a rater: two hours at 30 a second
_MOST_SECONDS = 86_400.0
_MOST_LAG = 10.0  # seconds
_GAP = 1.0  # seconds between two samples, beyond which nothing is known of what is between
_GRID = 20  # points a half-second at which the line between samples is read
_RATER = re.compile(r"[^\W_](?:[\w .'-]{0,62}\w)?")
_COLUMNS = ("song", "time_s", *DIMENSIONS)

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rater:
    """What one rater said of a song: samples (n, 3) of time in s, valence, arousal (NaN: none)."""

    name: str
    lag_s: float
    samples: Array


def half_seconds(rater: Rater) -> Array:
    """The rater's valence and arousal of each half-second of the music: (n, 2), NaN where unknown.

    The samples, moved back by the lag, are joined by straight lines where they are at most 1 s
    apart; a half-second has the mean of the line over it if the line covers half of it at least.
    """
    times = rater.samples[:, 0] - rater.lag_s
    count = max(0, math.ceil(times[-1] / HOP)) if len(times) else 0
    grid = (np.arange(count * _GRID) + 0.5) * (HOP / _GRID)
    found = np.full((count, 2), np.nan)
    for column, values in enumerate(rater.samples[:, 1:].T):
        line = _line(times, values, grid).reshape(count, _GRID)
        known = np.isfinite(line)
        enough = 2 * known.sum(axis=1) >= _GRID
        sums = np.where(known, line, 0).sum(axis=1)
        found[enough, column] = sums[enough] / known.sum(axis=1)[enough]
    return found


def _line(times: Array, values: Array, grid: Array) -> Array:
    """The line through samples at grid points; NaN in gaps, beyond the ends and beside a null."""
    if not len(times):
        return np.full(len(grid), np.nan)
    after = np.searchsorted(times, grid).clip(1, max(1, len(times) - 1))
    before = after - 1
    after = after.clip(max=len(times) - 1)
    step = times[after] - times[before]
    inside = (times[before] <= grid) & (grid <= times[after]) & (step <= _GAP) & (step > 0)
    share = np.where(inside, (grid - times[before]) / np.where(step > 0, step, 1), np.nan)
    line: Array = values[before] + share * (values[after] - values[before])
    return line


def mean_labels(raters: Sequence[Rater]) -> tuple[Array, Array]:
    """Starts (m,) in seconds and labels (m, 2) of the half-seconds that have both dimensions.

    Each dimension is the mean over the raters who judged it there.
    """
    stacked = _stacked(raters)
    known = np.isfinite(stacked)
    counts = known.sum(axis=0)
    sums = np.where(known, stacked, 0).sum(axis=0)
    both = np.flatnonzero((counts > 0).all(axis=1))
    labels: Array = sums[both] / counts[both]
    return HOP * both.astype(np.float64), labels


def agreement(raters: Sequence[Rater]) -> dict[str, dict[str, Any]]:
    """How well raters agree: for each dimension `alpha` and `r`; None where it is not defined.

    `alpha` is Cronbach's, with raters as items and half-seconds that all of them judged as cases
    (Cronbach 1951, Psychometrika 16, 297-334): k / (k - 1) (1 - sum of the raters' variances /
    variance of their sum), at most 1. `r` is Pearson's of each two, over their own common
    half-seconds: a list of k lists of k.
    """
    stacked = _stacked(raters)
    return {
        name: {"alpha": _alpha(values), "r": _correlations(values)}
        for name, values in zip(DIMENSIONS, np.moveaxis(stacked, 2, 0), strict=True)
    }


def _stacked(raters: Sequence[Rater]) -> Array:
    """All raters' half-seconds, (k, n, 2)."""
    found = [half_seconds(rater) for rater in raters]
    stacked = np.full((len(found), max(map(len, found), default=0), 2), np.nan)
    for row, values in zip(stacked, found, strict=True):
        row[: len(values)] = values
    return stacked


def _alpha(values: Array) -> float | None:
    """Cronbach's alpha of (k, n); cases with NaN are left out."""
    k = len(values)
    values = values[:, np.isfinite(values).all(axis=0)]
    if k < 2 or values.shape[1] < 2:
        return None
    total = values.sum(axis=0).var(ddof=1)
    if total < 1e-12:
        return None
    return float(k / (k - 1) * (1 - values.var(axis=1, ddof=1).sum() / total))


def _correlations(values: Array) -> list[list[float | None]]:
    found: list[list[float | None]] = []
    for one in values:
        row: list[float | None] = []
        for other in values:
            common = np.isfinite(one) & np.isfinite(other)
            r = pearson_r(one[common], other[common]) if common.sum() > 1 else math.nan
            row.append(r if math.isfinite(r) else None)
        found.append(row)
    return found


class Annotated:
    """A corpus folder that annotations are kept in, each change saved at once.

    Not for two servers at a time. Raises InputError where the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        check_folder(folder / "audio")
        self.name = folder.resolve().name
        self._folder = folder

    def songs(self) -> list[dict[str, Any]]:
        """Each song that has audio here: its name and its raters' names."""
        return [
            {"name": song, "raters": [rater.name for rater in self._raters(song)]}
            for song in self._names()
        ]

    def document(self, song: str) -> dict[str, Any]:
        """What the raters of a song said, and how well they agree; ready for JSON."""
        raters = self._raters(self._check_song(song))
        return {"raters": [_plain(rater) for rater in raters], "agreement": agreement(raters)}

    def put(self, song: str, name: str, document: Any) -> None:
        """Save what a rater said, replacing what was there, and make dynamic.csv anew.

        Raises InputError for an unknown song, a name or samples that cannot be used, or a song that
        has labels here that were not made from annotations.
        """
        song = self._check_song(song)
        rater = Rater(_check_rater(name), *_checked(document))
        there = [other.name for other in self._raters(song)]
        for other in there:
            if other != name and other.casefold() == name.casefold():
                raise InputError(f"{name}: there is a rater {other}; write the name as it is there")
        if name not in there and len(there) >= MOST_RATERS:
            raise InputError(f"{song}: has {MOST_RATERS} raters already; remove one")
        self._check_own(song)
        with replacing(self._path(song, name)) as part:
            part.write_text(json.dumps(_plain(rater), allow_nan=False) + "\n", encoding="utf-8")
        self._write_labels({song})

    def remove(self, song: str, name: str) -> None:
        """Take back all that a rater said of a song, and make dynamic.csv anew."""
        song = self._check_song(song)
        path = self._path(song, _check_rater(name))
        if not path.exists():
            raise InputError(f"{song}: no rater {name}")
        path.unlink()
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
        self._write_labels({song})

    def check_audio(self, name: str) -> None:
        """Raise InputError for the name of an audio file that cannot be added."""
        path = Path(name)
        if path.name != name or name.startswith(".") or path.suffix.lower() not in EXTENSIONS:
            raise InputError(f"{name}: no name of a song; looked for {' '.join(EXTENSIONS)}")

    def add_audio(self, name: str, file: BinaryIO) -> str:
        """Store a song and return its name; the same file again changes nothing.

        Raises InputError for a name that cannot be, or where another file has the song's name.
        """
        self.check_audio(name)
        path = self._folder / "audio" / name
        song = song_name(path.stem)
        for other in audio_files(path.parent):
            if song_name(other.stem).casefold() == song.casefold():
                if other.name == name and _same_content(other, file):
                    return song
                raise InputError(f"{name}: {other.name} is there already; rename one of them")
        with replacing(path) as part, part.open("wb") as stored:
            file.seek(0)
            shutil.copyfileobj(file, stored, 1 << 20)
        return song

    def _names(self) -> list[str]:
        return [song_name(path.stem) for path in audio_files(self._folder / "audio")]

    def _check_song(self, song: str) -> str:
        song = song_name(song)
        if song not in self._names():
            raise InputError(f"{song}: no such song in {self.name}/audio; add it first")
        return song

    def _path(self, song: str, rater: str) -> Path:
        return self._folder / "annotations" / song / f"{rater}.json"

    def _raters(self, song: str) -> list[Rater]:
        found = []
        for path in sorted((self._folder / "annotations" / song).glob("[!.]*.json")):
            try:
                document = json.loads(path.read_text(encoding="utf-8"))
                found.append(Rater(_check_rater(document["name"]), *_checked(document)))
            except (OSError, ValueError, KeyError, TypeError, InputError) as error:
                raise InputError(f"{path}: not an annotation ({error}); remove it") from None
        return found

    def _check_own(self, song: str) -> None:
        """Raise where labels that were not made here would be written over."""
        if any((self._folder / "annotations" / song).glob("[!.]*.json")):
            return
        for file in ("dynamic.csv", "static.csv"):
            if any(song_name(row["song"] or "") == song for row in self._rows(file)[1]):
                raise InputError(f"{song}: has labels of its own in {file}; take them out first")

    def _rows(self, file: str) -> tuple[list[str], list[dict[str, str]]]:
        """Header and rows of one of the corpus' tables."""
        try:
            text = (self._folder / file).read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return list(_COLUMNS), []
        except (OSError, ValueError):
            raise InputError(f"{self._folder / file}: cannot be read; check it") from None
        reader = csv.DictReader(text.splitlines())
        header = list(reader.fieldnames or _COLUMNS)
        rows = list(reader)
        if "song" not in header or any(None in row for row in rows):
            raise InputError(f"{self._folder / file}: not a table of songs; check it")
        return header, rows

    def _write_labels(self, songs: set[str]) -> None:
        """Make the rows of these songs in dynamic.csv anew; leave all other rows as they are."""
        header, rows = self._rows("dynamic.csv")
        rows = [row for row in rows if song_name(row["song"] or "") not in songs]
        for song in sorted(songs):
            rows += _label_rows(song, self._raters(song))
        path = self._folder / "dynamic.csv"
        if not rows:
            path.unlink(missing_ok=True)
            return
        with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, header, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _label_rows(song: str, raters: Sequence[Rater]) -> Iterator[dict[str, str]]:
    starts, labels = mean_labels(raters)
    for start, (valence, arousal) in zip(starts, labels, strict=True):
        cells = (song, f"{start:.1f}", f"{valence:z.4f}", f"{arousal:z.4f}")
        yield dict(zip(_COLUMNS, cells, strict=True))


def _plain(rater: Rater) -> dict[str, Any]:
    samples = [[None if math.isnan(x) else x for x in row] for row in rater.samples.tolist()]
    return {"name": rater.name, "lag_s": rater.lag_s, "samples": samples}


def _check_rater(name: str) -> str:
    """The name, if it can be one of a file on any system."""
    if not isinstance(name, str) or not _RATER.fullmatch(name) or len(name.encode()) > 200:
        raise InputError(
            "rater: give a name of letters, digits, spaces, - . ' or _, at most 64, that begins "
            "with a letter or digit"
        )
    return name


def _checked(document: Any) -> tuple[float, Array]:
    """The lag and samples (n, 3) of a document. Raises InputError."""
    if not isinstance(document, dict) or not isinstance(document.get("samples"), list):
        raise InputError("annotation: give lag_s and samples")
    lag: Any = document.get("lag_s")
    rows = document["samples"]
    if not _is_number(lag) or not 0 <= lag <= _MOST_LAG:
        raise InputError(f"lag_s: give seconds from 0 to {_MOST_LAG:g}")
    if len(rows) > MOST_SAMPLES:
        raise InputError(f"samples: more than {MOST_SAMPLES}; record fewer a second")
    for number, row in enumerate(rows, start=1):
        if not _is_sample(row):
            raise InputError(
                f"samples: number {number} is not [time in s, valence, arousal] with values "
                "in -1 .. 1 or null"
            )
    samples = np.array(rows, dtype=np.float64).reshape(-1, 3)
    if (np.diff(samples[:, 0]) <= 0).any():
        raise InputError("samples: times do not rise; sort them, each once")
    return float(lag), samples


def _is_sample(row: Any) -> bool:
    if not isinstance(row, list) or len(row) != 3:
        return False
    time, *values = row
    if not _is_number(time) or not 0 <= time <= _MOST_SECONDS:
        return False
    return all(value is None or (_is_number(value) and -1 <= value <= 1) for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same_content(path: Path, file: BinaryIO) -> bool:
    file.seek(0)
    with path.open("rb") as other:
        while (block := file.read(1 << 20)) == other.read(1 << 20):
            if not block:
                return True
    return False
