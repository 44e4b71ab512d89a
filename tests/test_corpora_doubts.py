from pathlib import Path

import numpy as np
import pytest

from moodcurve import InputError
from moodcurve.corpora.doubts import check_labels
from moodcurve.corpora.folder import Corpus, Song


def corpus(name, labels, group=None):
    """A corpus of one static label a song."""
    songs = [
        Song(f"{name}{k}", None, np.array([]), np.array([pair], float), group=group)
        for k, pair in enumerate(labels)
    ]
    return Corpus(name, Path(name), tuple(songs))


def spread(seed, scale=0.3, shift=0.0, count=30):
    return np.clip(np.random.default_rng(seed).normal(shift, scale, (count, 2)), -1, 1)


def test_sound_labels_raise_no_doubt():
    assert check_labels([corpus("a", spread(0)), corpus("b", spread(1, scale=0.4))]) == []


def test_constant_labels_are_refused():
    labels = spread(0)
    labels[:, 1] = 0.25
    with pytest.raises(InputError, match=r"mine: arousal is 0.25 everywhere, .*nothing to learn"):
        check_labels([corpus("mine", labels)])


def test_one_song_is_refused():
    with pytest.raises(InputError, match="mine: one song"):
        check_labels([corpus("mine", [[0.1, 0.2]])])


def test_one_group():
    (line,) = check_labels([corpus("mine", spread(0), group="series")])
    assert "of one group" in line


def test_a_scale_from_0_to_1():
    (line,) = check_labels([corpus("mine", (spread(0) + 1) / 2)])
    assert line.startswith("mine: no label is below 0")
    assert "2 x - 1" in line


def test_two_scales_mixed_up():
    """One corpus on -1 .. 1, another squeezed to a quarter of that."""
    lines = check_labels([corpus("wide", spread(0)), corpus("narrow", spread(1) / 4)])
    assert len(lines) == 2
    assert all("wide and narrow" in line and "scale" in line for line in lines)


def test_few_songs_raise_no_doubt():
    assert check_labels([corpus("few", [[0.1, 0.2], [0.3, 0.1], [0.5, 0.9]])]) == []
