"""PMEmo: choruses of popular songs, labelled every half-second, as released in 2019.

The layout::

    annotations/dynamic_annotations.csv   musicId, frameTime, Arousal(mean), Valence(mean)
    features/dynamic_features.csv         musicId, frameTime, 260 columns    and / or
    chorus/<id>.mp3

Both tables are also found at the top of the folder. Labels are in [0, 1] there and in [-1, 1]
here; ``frameTime`` is the start, in seconds, of the half-second that a label speaks of, as in the
features that the authors join to them.
"""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path

from moodcurve.corpora.check import read_table, report, row_problems
from moodcurve.corpora.feature_files import songs_of
from moodcurve.corpora.folder import Array, Corpus, Song, labels_of
from moodcurve.corpora.pieces import (
    audio_by_number,
    missing,
    no_source,
    source_problems,
    system_files,
)
from moodcurve.errors import InputError

LABELS = "annotations/dynamic_annotations.csv"
FEATURES = "features/dynamic_features.csv"

_ARCHIVE = "PMEmo2019.zip"


def is_pmemo(folder: Path) -> bool:
    """Whether there is a table of PMEmo in the folder."""
    return any(_found(folder, piece) for piece in (LABELS, FEATURES))


def read_pmemo(folder: str | PathLike[str], rows: bool = True) -> Corpus:
    """Read PMEmo from the layout above.

    Songs are named by their numbers; their features are preferred to their audio. All features
    are in one file, which is read here where `rows` are wanted, and then kept in memory.

    Args:
        folder: with the pieces above.
        rows: whether every song must have features or audio; without, labels are enough.

    Raises:
        InputError: if anything is wrong with the corpus: all problems at once, as of
            `moodcurve.corpora.folder.read_corpus`.
    """
    folder = Path(folder)
    problems: list[str] = []
    labels = _labels(folder, problems)
    songs = sorted(labels, key=int)
    features = _found(folder, FEATURES)
    audio = audio_by_number(folder, "chorus")
    if rows:
        problems += _rows_problems(folder, songs, features, audio)
    report(folder, problems)
    return Corpus(
        folder.resolve().name,
        folder,
        tuple(Song(song, audio.get(song), *labels[song], features=features) for song in songs),
        notes=system_files(folder),
        layout="pmemo",
    )


def _found(folder: Path, piece: str) -> Path | None:
    """Return where a piece is: in its folder, or at the top."""
    paths = (folder / piece, folder / Path(piece).name)
    return next((path for path in paths if path.is_file()), None)


def _labels(folder: Path, problems: list[str]) -> dict[str, tuple[Array, Array]]:
    """Return the songs' labels in [-1, 1]."""
    path = _found(folder, LABELS)
    if path is None:
        problems.append(missing(folder, LABELS, _ARCHIVE))
        return {}
    table = read_table(path)
    wrong = [*table.problems, *row_problems(table)]
    problems += wrong
    if wrong:
        return {}
    return {song: (starts, 2 * labels - 1) for song, (starts, labels) in labels_of(table).items()}


def _rows_problems(
    folder: Path, songs: Sequence[str], features: Path | None, audio: Mapping[str, Path]
) -> Iterator[str]:
    """Yield what keeps rows from being taken from features or, where there are none, from audio."""
    if features:
        try:
            yield from source_problems(songs, features.name, songs_of(features), _ARCHIVE)
        except InputError as error:
            yield str(error).replace(str(features), features.name, 1)
    elif audio:
        yield from source_problems(songs, "chorus", audio, _ARCHIVE)
    else:
        yield no_source(folder, {FEATURES: _ARCHIVE, "chorus": _ARCHIVE})
