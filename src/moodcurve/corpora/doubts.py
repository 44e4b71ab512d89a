"""Labels that a model can be trained on, but perhaps should not be; said before anything is."""

from collections.abc import Iterator, Sequence

import numpy as np

from moodcurve.corpora.folder import Corpus, Song
from moodcurve.errors import InputError
from moodcurve.model import DIMENSIONS

_SAME = 1e-6  # a standard deviation under which labels are constant
_WIDER = 3.0  # times the spread of another corpus: perhaps another scale
_FEW = 8  # songs of which nothing can be said


def check_labels(corpora: Sequence[Corpus]) -> list[str]:
    """Lines about labels that look wrong for training.

    Raises:
        InputError: where there is nothing to learn: a single song, or a dimension that is the
            same everywhere.
    """
    songs = [song for corpus in corpora for song in corpus.songs]
    names = ", ".join(corpus.name for corpus in corpora)
    if len(songs) < 2:
        raise InputError(f"{names}: one song; a model needs many, and some to be tested on")
    means = _song_means(songs)
    labels = np.concatenate([song.labels for song in songs])
    for dimension, spread in zip(DIMENSIONS, np.nanstd(labels, axis=0), strict=True):
        if spread < _SAME:
            value = np.nanmean(labels[:, DIMENSIONS.index(dimension)])
            raise InputError(
                f"{names}: {dimension} is {value:g} everywhere, so there is nothing to learn; "
                "check the labels"
            )
    lines = [*_one_sided(corpora), *_unequal(corpora)]
    for dimension, spread in zip(DIMENSIONS, np.nanstd(means, axis=0), strict=True):
        if spread < _SAME:
            lines.append(f"{names}: every song has the same mean {dimension}; check the labels")
    groups = {song.group for song in songs}
    if len(groups) == 1 and None not in groups:
        lines.append(
            f"{names}: all songs are of one group, so nothing shows how the model does on others"
        )
    return lines


def _song_means(songs: Sequence[Song]) -> np.ndarray:
    return np.array([np.nanmean(song.labels, axis=0) for song in songs])


def _one_sided(corpora: Sequence[Corpus]) -> Iterator[str]:
    """Labels of 0 .. 1 pass for labels of -1 .. 1 that are never unpleasant and never calm."""
    for corpus in corpora:
        labels = np.concatenate([song.labels for song in corpus.songs])
        if len(corpus.songs) >= _FEW and np.nanmin(labels) >= 0:
            yield (
                f"{corpus.name}: no label is below 0, as if no music were unpleasant or calm; "
                "if their scale is 0 .. 1, use 2 x - 1"
            )


def _unequal(corpora: Sequence[Corpus]) -> Iterator[str]:
    """Corpora whose labels spread so differently that they may be on different scales."""
    large = [corpus for corpus in corpora if len(corpus.songs) >= _FEW]
    spreads = np.array([_song_means(corpus.songs).std(axis=0) for corpus in large])
    for d, dimension in enumerate(DIMENSIONS):
        if len(large) > 1 and spreads[:, d].max() > _WIDER * spreads[:, d].min():
            wide, narrow = (large[int(pick(spreads[:, d]))] for pick in (np.argmax, np.argmin))
            yield (
                f"{wide.name} and {narrow.name}: {dimension} spreads "
                f"{spreads[:, d].max() / spreads[:, d].min():.1f} times as wide in the first; "
                "are both on the scale of -1 .. 1?"
            )
