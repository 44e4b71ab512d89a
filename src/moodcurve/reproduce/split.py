"""Which songs train, stop and test, and the rows that each of them gives (paper, section 3.2.1)."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from moodcurve.corpora.folder import Corpus, Song, audio_files
from moodcurve.corpora.genres import genre_weights
from moodcurve.corpora.rows import LabelledRows, labelled_rows
from moodcurve.errors import InputError
from moodcurve.model import standardise
from moodcurve.network import Array
from moodcurve.training.ensemble import moments
from moodcurve.training.partitions import Indices, sets_like

PARTITIONS = 5
_MEDIAEVAL_SHARE = 20 / 431  # of the development songs in each validation set
_TEST_SHARE, _VALIDATION_SHARE = 0.2, 0.05  # of all songs, where there is no official test set
_DRAWS = 50  # of whole groups, of which the one nearest to the share is taken
_NO_LABEL = np.zeros((1, 2))

# The two rows of Table 2: what the lower layers were pretrained on.
TRAINING, WITH_TEST = "training", "with-test"


@dataclass(frozen=True, eq=False)
class Split:
    """The songs of the experiment.

    Attributes:
        development: what is trained on; each song is in at most one of `validation`.
        test: what is only ever scored (and, in one row of Table 2, pretrained on).
        validation: the validation set of each partition, as numbers of development songs.
        official: whether the corpus itself says what the test songs are.
    """

    development: tuple[Song, ...]
    test: tuple[Song, ...]
    validation: tuple[Indices, ...]
    official: bool


@dataclass(frozen=True, eq=False)
class Material:
    """What training and scoring work on; all rows are standardised.

    Attributes:
        development: the labelled stretch of each development song.
        test: all of each test song.
        validation: as in `Split`.
        pretraining: rows without labels, by the name of the pretraining set.
        mean, deviation: (260,) of the features before, over the labelled development rows.
    """

    development: tuple[LabelledRows, ...]
    test: tuple[LabelledRows, ...]
    validation: tuple[Indices, ...]
    pretraining: Mapping[str, tuple[Array, ...]]
    mean: Array
    deviation: Array


def split_songs(corpus: Corpus, seed: int) -> Split:
    """Set test songs aside and draw the five validation sets, following the test songs' genres.

    The test songs are the corpus's own where it has any; else a fifth of the songs, by whole groups
    where there are groups, else by genre. A validation set has 20 of 431 songs (MediaEval), else a
    twentieth of all songs. Raises InputError where the songs are too few for that.
    """
    rng = np.random.default_rng([seed, 1])
    songs = corpus.songs
    if corpus.test:
        test = {number for number, song in enumerate(songs) if song.name in corpus.test}
        size = round(_MEDIAEVAL_SHARE * (len(songs) - len(test)))
    else:
        test = _draw_test(songs, rng)
        size = round(_VALIDATION_SHARE * len(songs))
    development = tuple(song for number, song in enumerate(songs) if number not in test)
    tested = tuple(song for number, song in enumerate(songs) if number in test)
    sets = sets_like(development, genre_weights(tested), PARTITIONS, max(1, size), rng)
    return Split(development, tested, tuple(sets), bool(corpus.test))


def _draw_test(songs: Sequence[Song], rng: np.random.Generator) -> set[int]:
    goal = max(1, round(_TEST_SHARE * len(songs)))
    if not any(song.group for song in songs):
        return set(sets_like(songs, genre_weights(songs), 1, goal, rng)[0].tolist())
    units: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, song in enumerate(songs):
        units[("group", song.group) if song.group else ("song", song.name)].append(number)

    def draw() -> set[int]:
        chosen: list[int] = []
        for index in rng.permutation(len(units)):
            unit = list(units.values())[index]
            if abs(len(chosen) + len(unit) - goal) < abs(len(chosen) - goal):
                chosen += unit
        return set(chosen)

    test = min((draw() for _ in range(_DRAWS)), key=lambda chosen: abs(len(chosen) - goal))
    if not test:
        raise InputError(
            f"{len(songs)} songs in {len(units)} groups: none is small enough for a test set of a "
            "fifth; add songs of other groups"
        )
    return test


def pretraining_labels(split: Split, full: Path | None) -> dict[str, str | None]:
    """The two pretraining sets of Table 2 as the tables call them; None for one there cannot be."""
    count = len(split.development)
    if not split.official:
        return {WITH_TEST: None, TRAINING: f"{count} training songs"}
    kind = "full" if full else "full (45 s)"
    return {WITH_TEST: f"{count}x30, {len(split.test)}-full", TRAINING: f"{count}-{kind}"}


def prepare(split: Split, limit: float | None, full: Sequence[Song] = ()) -> Material:
    """Extract the rows of all songs, join labels to them, cut and standardise.

    `full` are the development songs at full length, to pretrain on; without them it is all there
    is of each. Raises InputError where a song's rows cannot be had.
    """
    songs = [
        song.official()
        for song in labelled_rows([*split.development, *split.test], official_only=True)
    ]
    whole, test = songs[: len(split.development)], songs[len(split.development) :]
    mean, deviation = moments(whole)

    def standard(rows: Array) -> Array:
        return standardise(rows, mean, deviation, limit)

    whole = [replace(song, rows=standard(song.rows)) for song in whole]
    test = [replace(song, rows=standard(song.rows)) for song in test]
    development = tuple(_labelled_stretch(song) for song in whole)
    unlabelled = tuple(song.rows for song in whole)
    if full:
        unlabelled = tuple(
            standard(song.official().rows) for song in labelled_rows(full, official_only=True)
        )
    pretraining = {TRAINING: unlabelled}
    if split.official:
        pretraining[WITH_TEST] = tuple(song.rows for song in (*development, *test))
    return Material(development, tuple(test), split.validation, pretraining, mean, deviation)


def _labelled_stretch(song: LabelledRows) -> LabelledRows:
    """A song from its first to its last labelled half-second."""
    labelled = np.flatnonzero(~np.isnan(song.labels).all(axis=1))
    stretch = slice(labelled[0], labelled[-1] + 1)
    return replace(song, rows=song.rows[stretch], labels=song.labels[stretch])


def full_length(split: Split, folder: Path) -> list[Song]:
    """The development songs with the full-length audio `<song>.<ext>` of a folder, and no labels.

    Raises InputError where one is not in the folder.
    """
    if not folder.is_dir():
        raise InputError(f"--full {folder}: no such folder; name one with the full-length songs")
    files = {path.stem: path for path in audio_files(folder)}
    missing = [song.name for song in split.development if song.name not in files]
    if missing:
        first = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise InputError(
            f"--full {folder}: {len(missing)} of {len(split.development)} development songs are "
            f"not in it ({first}); add them as <song>.mp3, or leave --full out"
        )
    return [
        replace(song, audio=files[song.name], features=None, starts=np.empty(0), labels=_NO_LABEL)
        for song in split.development
    ]


def fingerprint(split: Split, material: Material | None) -> str:
    """A hash of songs, labels, rows and sets: what a run's results depend on beside its recipe."""
    digest = hashlib.sha256()
    for songs in (split.development, split.test):
        digest.update(f"{len(songs)} songs\0".encode())
        for song in songs:
            digest.update(f"{song.name}\0{song.group}\0{song.genres}\0".encode())
            digest.update(song.starts.tobytes() + song.labels.tobytes())
    for members in split.validation:
        digest.update(members.tobytes() + b"\0")
    if material:
        for found in (*material.development, *material.test):
            digest.update(found.rows.tobytes() + found.labels.tobytes())
        for name, unlabelled in material.pretraining.items():
            digest.update(name.encode())
            for rows in unlabelled:
                digest.update(rows.tobytes())
    return digest.hexdigest()
