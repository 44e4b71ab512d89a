import re
from pathlib import Path

import numpy as np
import pytest

from deam_folder import make_pmemo
from moodcurve.corpora.pmemo import read_pmemo
from moodcurve.corpora.rows import labelled_rows
from moodcurve.errors import InputError


def problems(folder, **options):
    with pytest.raises(InputError) as caught:
        read_pmemo(folder, **options)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{folder}: {len(lines)} problem{'s' if len(lines) > 1 else ''}"
    return lines


def test_labels_by_hand(tmp_path):
    (tmp_path / "dynamic_annotations.csv").write_text(
        "musicId,frameTime,Arousal(mean),Valence(mean)\n"
        "10,15.0,0.5,1\n4,15.5,0.25,0\n4,16.0,0.75,0.6\n"
    )
    four, ten = read_pmemo(tmp_path, rows=False).songs
    assert (four.name, ten.name) == ("4", "10")
    np.testing.assert_array_equal(four.starts, [15.5, 16])
    np.testing.assert_allclose(four.labels, [[-1, -0.5], [0.2, 0.5]])
    np.testing.assert_array_equal(ten.labels, [[1, 0]])
    assert (four.audio, four.features) == (None, None)


def test_rows_and_labels(tmp_path):
    labels = make_pmemo(tmp_path / "PMEmo2019")
    corpus = read_pmemo(tmp_path / "PMEmo2019")
    assert (corpus.name, corpus.layout, corpus.notes) == ("PMEmo2019", "pmemo", ())
    assert corpus.test == frozenset()
    found = labelled_rows(corpus.songs)
    assert [one.song.name for one in found] == ["1", "4", "10"]
    for one in found:
        expected = np.full((36, 2), np.nan)
        expected[30:] = 2 * labels[int(one.song.name)] - 1
        np.testing.assert_allclose(one.labels, expected, atol=2e-5)
        assert one.rows.shape == (36, 260)
        # the maker puts column k around k, whatever the file's order of columns
        np.testing.assert_allclose(one.rows.mean(axis=0), np.arange(260), atol=3)
    assert not np.array_equal(found[0].rows, found[1].rows)


def test_choruses(tmp_path):
    make_pmemo(tmp_path, features_file=False)
    (tmp_path / "chorus").mkdir()
    for song in (1, 4, 10):
        (tmp_path / "chorus" / f"{song}.mp3").touch()
    for song in read_pmemo(tmp_path).songs:
        assert song.audio == tmp_path / "chorus" / f"{song.name}.mp3"
        assert song.features is None


def test_tables_at_the_top(tmp_path):
    make_pmemo(tmp_path)
    for piece in ("annotations/dynamic_annotations.csv", "features/dynamic_features.csv"):
        (tmp_path / piece).rename(tmp_path / Path(piece).name)
    assert read_pmemo(tmp_path).songs[0].features == tmp_path / "dynamic_features.csv"


@pytest.mark.parametrize(
    ("piece", "change", "expected"),
    [
        (
            "annotations/dynamic_annotations.csv",
            lambda t: t + "10,18.0,-0.1,0\n",
            r"dynamic_annotations\.csv:20: Arousal\(mean\) -0\.1 is out of range; labels are 0 ",
        ),
        (
            "annotations/dynamic_annotations.csv",
            lambda t: t.replace("Arousal(mean)", "arousal"),
            r"dynamic_annotations\.csv:1: no column Arousal\(mean\), found musicId, ",
        ),
        (
            "annotations/dynamic_annotations.csv",
            lambda t: t + "10,15.0,0,0\n",
            r'dynamic_annotations\.csv:20: time 15 s of song "10" is on line 14 already; ',
        ),
        (
            "annotations/dynamic_annotations.csv",
            lambda t: t + "11,15.0,0,0\n",
            r"dynamic_features\.csv: nothing for 1 of 4 songs \(11\); unpack PMEmo2019\.zip",
        ),
        (
            "features/dynamic_features.csv",
            lambda t: t.replace("\n1,0.5,", "\n1,0.5x,"),
            r'dynamic_features\.csv:3: frameTime "0\.5x" is not a finite number; ',
        ),
        (
            "features/dynamic_features.csv",
            lambda t: t.replace("jitterLocal_sma_mean", "x"),
            r"dynamic_features\.csv:1: 1 of 261 columns missing \(jitterLocal_sma_amean\); ",
        ),
    ],
)
def test_each_problem_is_the_only_line(tmp_path, piece, change, expected):
    make_pmemo(tmp_path)
    path = tmp_path / piece
    path.write_text(change(path.read_text()))
    (line,) = problems(tmp_path)
    assert re.match(expected, line)


def test_missing_pieces(tmp_path):
    make_pmemo(tmp_path, features_file=False)
    (tmp_path / "annotations").rename(tmp_path / "x")
    assert problems(tmp_path) == [
        "annotations/dynamic_annotations.csv: not there; it comes out of PMEmo2019.zip, "
        "unpack that in this folder",
        "features/dynamic_features.csv and chorus: nothing there, and one is needed; "
        "unpack PMEmo2019.zip in this folder",
    ]
