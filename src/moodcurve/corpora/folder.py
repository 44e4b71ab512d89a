"""Anyone's own corpus: a folder of songs with their labels.

The layout::

    audio/<song>.<ext>   one file a song
    dynamic.csv          song, time_s, valence, arousal   labels along the song, and / or
    static.csv           song, valence, arousal           one label for the whole song
    songs.csv            song, group, genre, weight       optional, and so are all columns but song
    rows.csv             song, columns of features        of songs without audio, see `known`

Labels are in [-1, 1]. A song is in one of the two label tables. Columns are in any order, and
further ones are ignored. ``time_s`` is the start, in seconds, of the interval that a label speaks
of; the interval lasts until the song's next label. ``weight`` says how much a song counts in
training, 1 where none is given. A folder has ``audio/`` or ``rows.csv``, not both.
"""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moodcurve.audio import EXTENSIONS
from moodcurve.corpora.check import (
    TABLES,
    Table,
    corpus_problems,
    read_table,
    report,
    song_name,
)
from moodcurve.corpora.known import read_rows
from moodcurve.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)  # arrays have no single truth to compare songs by
class Song:
    """A song and its labels.

    Attributes
    ----------
    name
        the audio file's name without its extension, or the song's id
    audio
        the audio file; None where there are only features, or only labels
    starts : (N,)
        where each labelled interval starts, in seconds, ascending; empty for a static song
    labels : (N, 2)
        valence and arousal of each interval in [-1, 1]; (1, 2) for a static song
    group
        what must not be split between training and testing, such as a series; None if not given
    genres
        its genres, the first one first; empty if not given
    features
        an official feature file to take the song's rows from, instead of from the audio
    rows : (n, 483)
        rows to take, instead of from the audio, NaN for families that are not known of the song
    weight
        how much the song counts in training
    """

    name: str
    audio: Path | None
    starts: Array
    labels: Array
    group: str | None = None
    genres: tuple[str, ...] = ()
    features: Path | None = None
    rows: NDArray[np.float32] | None = None
    weight: float = 1.0

    @property
    def genre(self) -> str | None:
        """The first of its genres; None if none is given."""
        return self.genres[0] if self.genres else None

    def labels_at(self, midpoints: ArrayLike) -> Array:
        """Return the labels at given times, for instance at the midpoints of half-seconds.

        Between the midpoints of two intervals the labels are interpolated linearly; between the
        first or last interval's midpoint and its outer edge the label is held; outside of all
        intervals there is none. An interval lasts until the next label, the last one as long as
        the one before it, a single one to the end of the song. A static song has its label
        everywhere.

        Parameters
        ----------
        midpoints : (n,)
            times in seconds

        Returns
        -------
        (n, 2)
            valence and arousal in [-1, 1]; NaN where there is no label
        """
        times = np.asarray(midpoints, dtype=np.float64)
        if not len(self.starts):
            return np.repeat(self.labels, len(times), axis=0)
        last_end = 2 * self.starts[-1] - self.starts[-2] if len(self.starts) > 1 else np.inf
        ends = np.append(self.starts[1:], last_end)
        centres = (self.starts + ends) / 2
        found = np.stack([np.interp(times, centres, column) for column in self.labels.T], axis=1)
        found[(times < self.starts[0]) | (times >= last_end)] = np.nan
        return found


@dataclass(frozen=True, eq=False)
class Corpus:
    """A folder of labelled songs.

    Attributes
    ----------
    name
        the folder's name
    folder
        the folder
    songs
        its songs, sorted by name (by number where names are ids)
    test
        the names of the songs that the corpus itself sets aside as its test set
    notes
        what its user should know: departures from the official corpus, harmless oddities
    layout
        "folder", "deam" or "pmemo"
    """

    name: str
    folder: Path
    songs: tuple[Song, ...]
    test: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    layout: str = "folder"


def read_corpus(folder: str | PathLike[str]) -> Corpus:
    """Read a corpus folder of the layout above; the audio files are found, not opened.

    Raises
    ------
    InputError
        if anything is wrong with the corpus: all problems at once, the first line their number,
        then one line each (at most 20, then how many more)
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name a folder with audio/ and labels")
    paths = [folder / file for file in ("dynamic.csv", "static.csv", "songs.csv")]
    tables = {path.name: read_table(path) for path in paths if path.exists()}
    audio = audio_files(folder / "audio")
    known, problems = read_rows(folder / "rows.csv")
    if known and audio:
        problems.append("rows.csv: beside audio/; put its songs into a corpus of their own")
    report(folder, problems or corpus_problems(tables, audio, known))
    labelled = {
        song: labels
        for file in ("dynamic.csv", "static.csv")
        for song, labels in labels_of(tables.get(file, Table(file))).items()
    }
    details = {row.song: row.cells for row in tables.get("songs.csv", Table("songs.csv")).rows}
    sources = {song_name(path.stem): path for path in audio} or dict.fromkeys(known)
    songs = []
    for name, path in sources.items():
        cells = details.get(name, {})
        group, genre = (cells.get(column, "").strip() or None for column in ("group", "genre"))
        weight = float(cells.get("weight", "").strip() or 1)
        starts, labels = labelled[name]
        genres = (genre,) if genre else ()
        rows = known.get(name)
        songs.append(Song(name, path, starts, labels, group, genres, rows=rows, weight=weight))
    return Corpus(folder.resolve().name, folder, tuple(sorted(songs, key=lambda song: song.name)))


def audio_files(folder: Path) -> list[Path]:
    """Return the folder's audio files; hidden ones, such as macOS's ``._x.mp3``, are none."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(
        path
        for path in found
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()
    )


def labels_of(table: Table) -> dict[str, tuple[Array, Array]]:
    """Return the start times (N,) and labels (N, 2) of each song of a sound table, as written.

    Of a table without times, each song has no start and one label.
    """
    columns = TABLES[table.file]
    found: dict[str, tuple[list[float], list[list[float]]]] = {}
    for row in table.rows:
        starts, labels = found.setdefault(row.song, ([], []))
        labels.append([float(row.cells[column]) for column in columns.labels])
        if columns.time:
            starts.append(float(row.cells[columns.time]))
    return {song: (np.array(starts), np.array(labels)) for song, (starts, labels) in found.items()}
