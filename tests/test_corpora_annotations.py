"""Raters' samples: labels and agreement against numbers worked out by hand, files against loss."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from conftest import tone
from moodcurve.audio import SAMPLE_RATE
from moodcurve.corpora.annotations import Annotated, Rater, agreement, half_seconds, mean_labels
from moodcurve.corpora.folder import read_corpus
from moodcurve.errors import InputError


def rater(times, valence, arousal=0.0, lag: float = 0.0, name: str = "A") -> Rater:
    shape = np.zeros(len(times))
    return Rater(name, lag, np.stack([times, shape + valence, shape + arousal], axis=1))


def test_a_straight_line_has_its_middle_in_each_half_second() -> None:
    times = np.linspace(0, 5, 51)
    found = half_seconds(rater(times, times / 10, -times / 10))
    middles = 0.25 + 0.5 * np.arange(10)
    assert np.allclose(found, np.stack([middles / 10, -middles / 10], axis=1))


def test_the_lag_moves_samples_back() -> None:
    times = np.linspace(0, 8, 81)
    moved = half_seconds(rater(times, times / 10, lag=2.0))
    assert len(moved) == 12
    assert np.allclose(moved[:, 0], (2.25 + 0.5 * np.arange(12)) / 10)


def test_what_is_not_covered_by_half_is_unknown() -> None:
    # From 0.2 s on: 0.3 of the first half-second; up to 1.2 s: 0.2 of the third.
    found = half_seconds(rater(np.linspace(0.2, 1.2, 11), 0.5))
    assert np.isfinite(found).all(axis=1).tolist() == [True, True, False]


def test_gaps_longer_than_a_second_and_nulls_are_unknown() -> None:
    times = np.array([0, 0.5, 1, 3, 3.5, 4])
    found = half_seconds(rater(times, 0.5, np.array([0, 0, 0, 0, np.nan, np.nan])))
    known = np.isfinite(found)
    assert known[:, 0].tolist() == [True, True, False, False, False, False, True, True]
    assert known[:, 1].tolist() == [True, True] + [False] * 6
    assert half_seconds(rater(np.zeros(0), 0.0)).shape == (0, 2)
    assert not np.isfinite(half_seconds(rater(np.array([1.0]), 0.0))).any()


def test_labels_are_the_mean_of_those_who_judged() -> None:
    times = np.arange(0, 2.01, 0.25)
    one = rater(times, 0.2, np.where(times < 1, 0.4, np.nan))
    two = rater(times, 0.6, np.nan)
    starts, labels = mean_labels([one, two])
    assert starts.tolist() == [0.0, 0.5]  # the second's line ends at 0.75: half is covered
    assert np.allclose(labels, [[0.4, 0.4], [0.4, 0.4]])


def test_alpha_and_r_by_hand() -> None:
    # Half-second values 0 .1 .2 .3 and 0 .2 .1 .3 (held, so that each half-second is one number):
    # variances 1/60 each, of the sum (0 .3 .3 .6) 0.06; alpha = 2 (1 - (1/30) / 0.06) = 8/9.
    # r = (sum of products of deviations .04) / .05 = .8.
    edges = np.repeat(np.arange(4) / 2, 2) + np.tile([0.0, 0.4999], 4)
    one = rater(edges, np.repeat([0, 0.1, 0.2, 0.3], 2))
    two = rater(edges, np.repeat([0, 0.2, 0.1, 0.3], 2), name="B")
    found = agreement([one, two])
    assert found["valence"]["alpha"] == pytest.approx(8 / 9, abs=1e-6)
    assert np.allclose(found["valence"]["r"], [[1, 0.8], [0.8, 1]], atol=1e-6)
    assert found["arousal"] == {"alpha": None, "r": [[None, None], [None, None]]}  # constant


def test_alpha_of_equal_raters_is_one_and_of_one_is_none() -> None:
    times = np.arange(0, 10, 0.1)
    one = rater(times, np.sin(times))
    assert agreement([one, one, one])["valence"]["alpha"] == pytest.approx(1)
    assert agreement([one])["valence"] == {"alpha": None, "r": [[pytest.approx(1)]]}
    assert agreement([])["valence"] == {"alpha": None, "r": []}


@given(st.integers(2, 5), st.integers(3, 40), st.integers(0, 2**32 - 1))
def test_alpha_by_its_other_form(k: int, n: int, seed: int) -> None:
    """Alpha by the mean covariance of pairs: k c / (v + (k - 1) c), with v the mean variance."""
    from moodcurve.corpora.annotations import _alpha

    values = np.random.default_rng(seed).normal(size=(k, n)) + np.linspace(0, 3, n)
    covariance = np.cov(values)
    v = np.trace(covariance) / k
    c = (covariance.sum() - np.trace(covariance)) / (k * (k - 1))
    assert _alpha(values) == pytest.approx(k * c / (v + (k - 1) * c))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    (folder / "audio").mkdir(parents=True)
    for name in ("one", "two"):
        soundfile.write(folder / "audio" / f"{name}.wav", tone(3), SAMPLE_RATE)
    return folder


def said(valence: float = 0.5, seconds: int = 3, lag: float = 0.0) -> dict:
    samples = [[t / 4, valence, -valence] for t in range(4 * seconds + 1)]
    return {"lag_s": lag, "samples": samples}


def test_what_is_kept_is_a_corpus(corpus: Path) -> None:
    kept = Annotated(corpus)
    kept.put("one", "Ann", said(0.5))
    kept.put("one", "Ben", said(0.1))
    kept.put("two", "Ann", said(-0.5))
    songs = {song.name: song for song in read_corpus(corpus).songs}
    assert songs["one"].starts.tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert np.allclose(songs["one"].labels, [[0.3, -0.3]] * 6)
    assert np.allclose(songs["two"].labels, [[-0.5, 0.5]] * 6)
    kept.remove("one", "Ben")
    assert np.allclose(read_corpus(corpus).songs[0].labels, [[0.5, -0.5]] * 6)
    reopened = Annotated(corpus).document("one")["raters"]
    assert reopened == [{"name": "Ann", **said(0.5)}]
    kept.remove("one", "Ann")
    kept.remove("two", "Ann")
    assert sorted(path.name for path in corpus.rglob("*") if path.is_file()) == [
        "one.wav",
        "two.wav",
    ]


def test_rows_of_others_stay_as_they_are(corpus: Path) -> None:
    table = 'time_s,song,arousal,valence,source\n0,two,0.100,-0.2,"a, b"\n0.5,two,0.2,-0.3,c\n'
    (corpus / "dynamic.csv").write_text(table)
    kept = Annotated(corpus)
    kept.put("one", "Ann", said())
    lines = (corpus / "dynamic.csv").read_text().splitlines()
    assert lines[:3] == table.splitlines()
    assert lines[3] == "0.0,one,-0.5000,0.5000,"
    with pytest.raises(InputError, match=r"two: has labels of its own in dynamic\.csv"):
        kept.put("two", "Ann", said())
    kept.remove("one", "Ann")
    assert (corpus / "dynamic.csv").read_text() == table


def test_a_failed_write_loses_nothing(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Annotated(corpus)
    kept.put("one", "Ann", said(0.5))
    before = {path: path.read_bytes() for path in corpus.rglob("*") if path.is_file()}
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(InputError, match="cannot be written"):
        kept.put("one", "Ann", said(0.1))
    assert {path: path.read_bytes() for path in corpus.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "a\0",
        ".a",
        " a",
        "a ",
        "a.",
        "x" * 65,
        "a\n",
        "é" * 150,
    ],
)
def test_names_of_raters_that_are_none(corpus: Path, name: str) -> None:
    with pytest.raises(InputError, match="rater: give a name"):
        Annotated(corpus).put("one", name, said())
    assert not (corpus / "annotations").exists()


@pytest.mark.parametrize("song", ["", "..", "../audio/one", "three", "one.wav"])
def test_songs_that_are_not_there(corpus: Path, song: str) -> None:
    with pytest.raises(InputError, match="no such song"):
        Annotated(corpus).put(song, "Ann", said())


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"lag_s": 0},
        {"lag_s": None, "samples": []},
        {"lag_s": -1, "samples": []},
        {"lag_s": float("nan"), "samples": []},
        {"lag_s": True, "samples": []},
        {"lag_s": 0, "samples": [[0, 1.1, 0]]},
        {"lag_s": 0, "samples": [[0, float("nan"), 0]]},
        {"lag_s": 0, "samples": [[float("inf"), 0, 0]]},
        {"lag_s": 0, "samples": [[-1, 0, 0]]},
        {"lag_s": 0, "samples": [[0, 0]]},
        {"lag_s": 0, "samples": [[0, "0", 0]]},
        {"lag_s": 0, "samples": [[0, 10**400, 0]]},
        {"lag_s": 0, "samples": [[1, 0, 0], [1, 0, 0]]},
        {"lag_s": 0, "samples": [[1, 0, 0], [0.5, 0, 0]]},
        {"lag_s": 0, "samples": [[t, 0, 0] for t in range(250_001)]},
    ],
    ids=lambda document: json.dumps(document)[:40],
)
def test_documents_that_are_none(corpus: Path, document: object) -> None:
    with pytest.raises(InputError):
        Annotated(corpus).put("one", "Ann", document)
    assert not (corpus / "dynamic.csv").exists()


def test_one_rater_in_two_spellings_is_refused(corpus: Path) -> None:
    kept = Annotated(corpus)
    kept.put("one", "Ann", said())
    with pytest.raises(InputError, match="there is a rater Ann"):
        kept.put("one", "ann", said())


def test_an_annotation_that_was_spoilt_is_named(corpus: Path) -> None:
    kept = Annotated(corpus)
    kept.put("one", "Ann", said())
    (corpus / "annotations" / "one" / "Ann.json").write_text("{")
    with pytest.raises(InputError, match=r"Ann\.json: not an annotation"):
        kept.document("one")


def test_from_an_empty_folder(tmp_path: Path) -> None:
    kept = Annotated(tmp_path / "new")
    assert kept.songs() == []
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(2), SAMPLE_RATE)
    with path.open("rb") as file:
        assert kept.add_audio("Ä song.wav", file) == "Ä song"
    kept.put("Ä song", "Ann", said(seconds=2))
    table = (tmp_path / "new" / "dynamic.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    assert [row["song"] for row in rows] == ["Ä song"] * 4
    assert kept.songs() == [{"name": "Ä song", "raters": ["Ann"]}]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written"):
        Annotated(tmp_path / "new")
