from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from deam_folder import make_deam

pytest.importorskip("torch", reason="training needs moodcurve[train]")

import moodcurve.corpora.rows
from moodcurve import InputError
from moodcurve.corpora.feature_files import read_features
from moodcurve.corpora.folder import Corpus, Song
from moodcurve.corpora.layouts import open_corpus
from moodcurve.corpora.rows import LabelledRows
from moodcurve.reproduce import split as module
from moodcurve.reproduce.split import (
    TRAINING,
    WITH_TEST,
    Split,
    fingerprint,
    full_length,
    prepare,
    pretraining_labels,
    split_songs,
)
from moodcurve.rows import cached_rows

NAN = np.nan


def songs(count, group=lambda k: None, genres=lambda k: ()):
    starts, labels = np.arange(4) / 2, np.linspace(-0.5, 0.5, 8).reshape(4, 2)
    return tuple(
        Song(f"{k:03}", Path(f"{k:03}.wav"), starts, labels, group(k), genres(k))
        for k in range(count)
    )


def corpus(found, test=()):
    return Corpus("made up", Path("made up"), tuple(found), frozenset(test))


def names(found):
    return [song.name for song in found]


# Which songs


def test_the_corpus_says_what_its_test_songs_are():
    """431 + 58 songs: five sets of 20, none of them test songs."""
    found = songs(489, genres=lambda k: (("rock", "pop", "jazz")[k % 3],))
    split = split_songs(corpus(found, names(found)[7:65]), 0)
    assert split.official
    assert names(split.test) == names(found)[7:65]
    assert names(split.development) == names(found)[:7] + names(found)[65:]
    assert [len(members) for members in split.validation] == [20] * 5
    members = np.concatenate(split.validation)
    assert len(set(members.tolist())) == 100
    assert members.max() < 431


def test_validation_sets_follow_the_genres_of_the_test_songs():
    """The test songs are all folk, a quarter of the others."""
    found = songs(489, genres=lambda k: ("folk",) if k < 58 or k % 4 == 0 else ("rock",))
    split = split_songs(corpus(found, names(found)[:58]), 0)
    for members in split.validation:
        assert {split.development[number].genre for number in members} == {"folk"}


def test_a_fifth_for_testing_and_five_twentieths_for_validation():
    split = split_songs(corpus(songs(100)), 0)
    assert not split.official
    assert len(split.test) == 20
    assert len(split.development) == 80
    assert [len(members) for members in split.validation] == [5] * 5
    assert sorted(names(split.test) + names(split.development)) == names(songs(100))


def test_without_groups_the_test_songs_are_drawn_by_genre():
    share = Counter(rock=50, pop=33, jazz=17)
    order = list(share.elements())
    found = songs(100, genres=lambda k: (order[k],))
    for seed in range(5):
        drawn = Counter(song.genre for song in split_songs(corpus(found), seed).test)
        assert all(abs(drawn[genre] - 0.2 * share[genre]) < 1 for genre in share)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(0, 9), st.integers(0, 99))
def test_whole_groups_about_a_fifth(sizes, alone, seed):
    """No further from a fifth than half the largest group, as adding a group must bring nearer."""
    groups = [f"g{g}" for g, size in enumerate(sizes) for _ in range(size)] + [None] * alone
    found = songs(len(groups), group=groups.__getitem__)
    goal = max(1, round(0.2 * len(found)))
    try:
        split = split_songs(corpus(found), seed)
    except InputError as error:
        smallest = 1 if alone else min(sizes)
        left = len(found) - goal - max(sizes) / 2
        assert smallest >= 2 * goal or left <= 5 * max(1, round(0.05 * len(found)))
        assert "; add songs" in str(error)
        return
    tested, trained = ({s.group for s in side} for side in (split.test, split.development))
    assert tested & trained <= {None}
    assert abs(len(split.test) - goal) <= max(sizes) / 2
    assert split.test


def test_groups_too_large_for_a_test_set_are_refused():
    """Two series of ten: neither is near a fifth of twenty, and without test songs nothing goes."""
    with pytest.raises(InputError, match=r"20 songs in 2 groups.*; add songs of other groups"):
        split_songs(corpus(songs(20, group=lambda k: str(k % 2))), 0)


def test_too_few_songs():
    with pytest.raises(InputError, match="too few"):
        split_songs(corpus(songs(6)), 0)
    found = songs(8)
    with pytest.raises(InputError, match="5 songs are too few for 5 sets of 1"):
        split_songs(corpus(found, names(found)[:3]), 0)


def test_the_seed_decides_the_split():
    found = songs(60, group=lambda k: str(k // 3))

    def drawn(seed):
        split = split_songs(corpus(found), seed)
        return [names(split.test), *(members.tolist() for members in split.validation)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


# Their rows


def joined(song, seed, labels, length=8):
    """What `labelled_rows` would give: labels of one number, or one a half-second."""
    rows = np.random.default_rng(seed).normal(seed, 1 + seed % 3, (length, 260))
    values = np.full((length, 2), NAN)
    values[:] = np.reshape(labels, (-1, 1))
    return LabelledRows(song, rows.astype(np.float32), values.astype(np.float32))


CLIP = [NAN, NAN, 0.1, 0.2, NAN, 0.4, NAN, NAN]  # without labels before, after, and within


@pytest.fixture
def material(monkeypatch):
    """Seven clips (one with a single label for all of it) and two test songs."""
    found = songs(9)
    split = split_songs(corpus(found, names(found)[7:]), 0)
    rows = {song.name: joined(song, k, CLIP) for k, song in enumerate(found)}
    rows["003"] = joined(found[3], 3, 0.3, length=5)
    monkeypatch.setattr(
        module, "labelled_rows", lambda asked, official_only: [rows[song.name] for song in asked]
    )
    return split, rows


def standard(rows, known):
    """Standardised by float64 moments of the rows given."""
    known = np.concatenate(known).astype(np.float64)
    return (rows - known.mean(axis=0)) / known.std(axis=0)


def known_rows(split, rows):
    return [rows[s.name].rows[~np.isnan(rows[s.name].labels[:, 0])] for s in split.development]


def test_clips_are_cut_to_their_labelled_stretch(material):
    split, rows = material
    found = prepare(split, None)
    for song in found.development:
        whole = rows[song.song.name]
        stretch = slice(0, 5) if song.song.name == "003" else slice(2, 6)
        expected = standard(whole.rows[stretch], known_rows(split, rows))
        np.testing.assert_allclose(song.rows, expected, atol=1e-5)
        np.testing.assert_array_equal(song.labels, whole.labels[stretch])
    assert [np.isnan(s.labels[:, 0]).sum() for s in found.development] == [1, 1, 1, 0, 1, 1, 1]
    assert found.validation == split.validation


def test_a_label_of_either_dimension_is_one(material):
    split, rows = material
    rows["001"].labels[1, 1] = rows["001"].labels[7, 0] = 0.5
    assert len(prepare(split, None).development[1].rows) == 7


def test_test_songs_are_whole(material):
    split, rows = material
    found = prepare(split, None)
    assert names(song.song for song in found.test) == ["007", "008"]
    for song in found.test:
        expected = standard(rows[song.song.name].rows, known_rows(split, rows))
        np.testing.assert_allclose(song.rows, expected, atol=1e-4)
        np.testing.assert_array_equal(song.labels, rows[song.song.name].labels)


def test_only_labelled_development_rows_set_the_standard(material):
    """Neither a test song nor a half-second without label may move it."""
    split, rows = material
    before = prepare(split, None)
    rows["008"].rows[:] = 1e4
    for song in split.development:
        unlabelled = np.isnan(rows[song.name].labels[:, 0])
        rows[song.name].rows[unlabelled] = 1e4
    after = prepare(split, None)
    np.testing.assert_array_equal(before.mean, after.mean)
    np.testing.assert_array_equal(before.deviation, after.deviation)
    known = np.concatenate(known_rows(split, rows)).astype(np.float64)
    np.testing.assert_allclose(after.mean, known.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(after.deviation, known.std(axis=0), rtol=1e-5)


def test_the_limit_is_kept_in_all_sets(material):
    split, rows = material
    rows["008"].rows[:] = 1e4
    found = prepare(split, 1.5)
    sets = [song.rows for song in (*found.development, *found.test)]
    for one in (*sets, *found.pretraining[TRAINING], *found.pretraining[WITH_TEST]):
        assert np.abs(one).max() <= 1.5
    assert found.test[1].rows.min() == 1.5


def test_the_two_pretraining_sets(material):
    """The labelled stretches and the whole test songs; all rows of the clips."""
    split, rows = material
    found = prepare(split, None)
    own = [song.rows for song in (*found.development, *found.test)]
    assert [len(one) for one in own] == [4, 4, 4, 5, 4, 4, 4, 8, 8]
    for one, expected in zip(found.pretraining[WITH_TEST], own, strict=True):
        np.testing.assert_array_equal(one, expected)
    for song, one in zip(split.development, found.pretraining[TRAINING], strict=True):
        expected = standard(rows[song.name].rows, known_rows(split, rows))
        np.testing.assert_allclose(one, expected, atol=1e-4)


def test_without_official_test_songs_none_is_pretrained_on(material):
    split, _ = material
    found = prepare(replace(split, official=False), None)
    assert list(found.pretraining) == [TRAINING]
    assert len(found.pretraining[TRAINING]) == len(split.development)


def test_the_names_of_the_pretraining_sets(material):
    split, _ = material
    assert pretraining_labels(split, None) == {WITH_TEST: "7x30, 2-full", TRAINING: "7-full (45 s)"}
    assert pretraining_labels(split, Path("full"))[TRAINING] == "7-full"
    drawn = pretraining_labels(replace(split, official=False), None)
    assert drawn == {WITH_TEST: None, TRAINING: "7 training songs"}


def test_a_deam_folder(tmp_path):
    """Labels of half-seconds 30 .. 41 of the official feature files, whose last row is missing."""
    make_deam(tmp_path, clips=range(2, 9), tests=(2001, 2002))
    split = split_songs(open_corpus(tmp_path), 0)
    found = prepare(split, None)
    assert names(split.test) == ["2001", "2002"]
    for song in found.development:
        _, rows = read_features(tmp_path / "features" / f"{song.song.name}.csv")
        assert len(rows) == 41
        restored = song.rows * found.deviation + found.mean
        np.testing.assert_allclose(restored, rows[30:], atol=1e-3)
        np.testing.assert_allclose(song.labels, song.song.labels[:11], atol=1e-6)
    assert [len(song.rows) for song in found.test] == [44, 44]
    assert [len(rows) for rows in found.pretraining[TRAINING]] == [41] * 7


@pytest.fixture
def full(tmp_path, monkeypatch):
    """A DEAM folder, and a folder with full-length recordings of its clips."""

    def run(function, jobs, initializer=None, shared=(), processes=None):
        return map(function, jobs)

    monkeypatch.setattr(moodcurve.corpora.rows, "in_processes", run)
    monkeypatch.setenv("MOODCURVE_CACHE", str(tmp_path / "cache"))
    make_deam(tmp_path / "deam", clips=range(2, 8), tests=(2001,))
    (tmp_path / "full").mkdir()
    rng = np.random.default_rng(0)
    for clip in range(2, 8):
        noise = rng.normal(0, 0.1, 44100 * 2)
        suffix = "WAV" if clip == 4 else "wav"
        soundfile.write(tmp_path / "full" / f"{clip}.{suffix}", noise, 44100)
    (tmp_path / "full" / "notes.txt").write_text("not a song")
    return tmp_path / "deam", tmp_path / "full"


def test_full_length_recordings_are_pretrained_on_and_nothing_else(full):
    deam, recordings = full
    split = split_songs(open_corpus(deam), 0)
    without = prepare(split, None)
    found = prepare(split, None, full_length(split, recordings))
    assert [len(rows) for rows in found.pretraining[TRAINING]] == [4] * 6
    for song, rows in zip(split.development, found.pretraining[TRAINING], strict=True):
        (path,) = recordings.glob(f"{song.name}.*")
        expected = (cached_rows(path, official_only=True) - without.mean) / without.deviation
        np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-4)
    for one, two in zip(
        (*without.development, *without.test, *without.pretraining[WITH_TEST]),
        (*found.development, *found.test, *found.pretraining[WITH_TEST]),
        strict=True,
    ):
        np.testing.assert_array_equal(getattr(one, "rows", one), getattr(two, "rows", two))
    assert fingerprint(split, without) != fingerprint(split, found)


def test_recordings_that_are_missing_are_named(full, tmp_path):
    deam, recordings = full
    (recordings / "3.wav").unlink()
    (recordings / "5.wav").unlink()
    split = split_songs(open_corpus(deam), 0)
    with pytest.raises(InputError, match=r"2 of 6 development songs are not in it \(3, 5.*; add"):
        full_length(split, recordings)
    with pytest.raises(InputError, match="nowhere: no such folder; name one"):
        full_length(split, tmp_path / "nowhere")


# What a run is known by


def changed(split, **fields):
    first, *others = split.development
    return replace(split, development=(replace(first, **fields), *others))


@pytest.mark.parametrize(
    "change",
    [
        lambda s: changed(s, name="another"),
        lambda s: changed(s, group="a group"),
        lambda s: changed(s, genres=("rock",)),
        lambda s: changed(s, starts=s.development[0].starts + 0.5),
        lambda s: changed(s, labels=s.development[0].labels + 1e-6),
        lambda s: replace(s, test=s.test[:1]),
        lambda s: replace(s, test=s.test[::-1]),
        lambda s: replace(s, validation=s.validation[::-1]),
        lambda s: replace(s, validation=(*s.validation[:4], s.validation[4] + 1)),
    ],
)
def test_the_fingerprint_tells_splits_apart(material, change):
    split, _ = material
    assert fingerprint(change(split), None) != fingerprint(split, None)


def test_the_fingerprint_does_not_depend_on_where_the_corpus_is(material):
    split, _ = material
    moved = changed(split, audio=Path("elsewhere.wav"))
    assert fingerprint(moved, None) == fingerprint(split, None)


@pytest.mark.parametrize(
    "part",
    [
        lambda m: m.development[2].rows,
        lambda m: m.development[2].labels,
        lambda m: m.test[1].rows,
        lambda m: m.test[1].labels,
        lambda m: m.pretraining[TRAINING][4],
        lambda m: m.pretraining[WITH_TEST][8],
    ],
)
def test_the_fingerprint_tells_rows_and_labels_apart(material, part):
    split, _ = material
    found = prepare(split, None)
    before = fingerprint(split, found)
    assert fingerprint(split, prepare(split, None)) == before
    part(found)[-1, -1] = 1e-3
    assert fingerprint(split, found) != before


def test_a_split_compares_by_identity():
    """Arrays have no single truth, so a Split must not be compared field by field."""
    split = split_songs(corpus(songs(40)), 0)
    assert split == split
    assert split != Split(split.development, split.test, split.validation, split.official)
