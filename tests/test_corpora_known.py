"""Corpora of songs of which only features are known."""

import numpy as np
import pytest

from moodcurve import InputError
from moodcurve.corpora.folder import read_corpus
from moodcurve.corpora.rows import labelled_rows
from moodcurve.features import COLUMNS, FAMILIES, LISTENER_NAMES


def write(folder, header=("song", *LISTENER_NAMES), rows=None, static=None, songs=None):
    folder.mkdir()
    rng = np.random.default_rng(0)
    numbers = [",".join(f"{v:.3f}" for v in rng.normal(size=200)) for _ in range(3)]
    rows = rows or [f"{name},{line}" for name, line in zip("abc", numbers, strict=True)]
    (folder / "rows.csv").write_text("\n".join([",".join(header), *rows]) + "\n")
    static = static or ["a,0.1,-0.2", "b,0.5,0.5", "c,-1,1"]
    (folder / "static.csv").write_text("\n".join(["song,valence,arousal", *static]) + "\n")
    if songs:
        (folder / "songs.csv").write_text("\n".join(songs) + "\n")
    return folder


def test_its_rows_know_one_family_only(tmp_path):
    corpus = read_corpus(write(tmp_path / "x", songs=["song,weight", "a,0.3", "b,"]))
    songs = labelled_rows(corpus.songs)
    assert [song.song.weight for song in songs] == [0.3, 1.0, 1.0]
    for song in songs:
        assert song.rows.shape == (10, len(COLUMNS))
        assert np.isnan(song.rows[:, FAMILIES["official"]]).all()
        assert np.isnan(song.rows[:, FAMILIES["harmony"]]).all()
        assert np.isfinite(song.rows[:, FAMILIES["listener"]]).all()
        assert (song.rows[:, FAMILIES["listener"]] == song.rows[0, FAMILIES["listener"]]).all()
    assert songs[2].labels[3] == pytest.approx([-1, 1])


def test_official_features_cannot_be_had_of_them(tmp_path):
    corpus = read_corpus(write(tmp_path / "x"))
    with pytest.raises(InputError, match="song a: only rows of other families"):
        labelled_rows(corpus.songs, official_only=True)


NUMBERS = ",".join(["0.5"] * 200)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"header": ("song", *LISTENER_NAMES[:-1])}, "199 of the 200 columns of listener"),
        ({"header": ("song",), "rows": ["a"]}, "no column of any family"),
        ({"header": ("song", *LISTENER_NAMES, "x")}, "unknown column x"),
        ({"rows": [f"a,{NUMBERS},1"]}, "202 cells under a header of 201"),
        ({"rows": [f"a,nan{NUMBERS[3:]}"]}, r"rows.csv:2: musicnn\[0\] is not a finite number"),
        ({"rows": [f"a,{NUMBERS}"] * 2}, 'rows.csv:3: song "a" is there already'),
        ({"static": ["a,5,3", "b,0,0", "c,0,0"]}, "static.csv:2: valence 5 is out of range"),
        ({"static": ["a,0,0", "b,0,0"]}, 'rows.csv: song "c": no label'),
        ({"static": ["a,0,0", "b,0,0", "c,0,0", "d,0,0"]}, 'no row for song "d"'),
        ({"songs": ["song,weight", "a,-1"]}, 'songs.csv:2: weight "-1" is no number over 0'),
    ],
)
def test_what_is_wrong_is_named(tmp_path, change, problem):
    with pytest.raises(InputError, match=problem):
        read_corpus(write(tmp_path / "x", **change))


def test_audio_beside_rows_is_not_overlooked(tmp_path):
    folder = write(tmp_path / "x")
    (folder / "audio").mkdir()
    (folder / "audio" / "d.wav").touch()
    with pytest.raises(InputError, match=r"rows\.csv: beside audio/; put its songs into a corpus"):
        read_corpus(folder)


def test_what_is_wrong_with_the_rows_is_all_that_is_said(tmp_path):
    folder = write(tmp_path / "x", header=("song", *LISTENER_NAMES[:-1], "other"))
    with pytest.raises(InputError) as error:
        read_corpus(folder)
    assert str(error.value).splitlines()[1:] == [
        "rows.csv:1: 199 of the 200 columns of listener, musicnn[199] is missing; "
        "give a family whole or not at all"
    ]
