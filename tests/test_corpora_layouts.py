import numpy as np
import pytest
import soundfile

from deam_folder import make_deam, make_pmemo
from moodcurve.audio import SAMPLE_RATE
from moodcurve.corpora.layouts import open_corpus
from moodcurve.corpora.rows import labelled_rows
from moodcurve.errors import InputError


def make_own(folder):
    (folder / "audio").mkdir(parents=True)
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE)
    soundfile.write(folder / "audio" / "a.wav", noise, SAMPLE_RATE)
    (folder / "static.csv").write_text("song,valence,arousal\na,0.5,0\n")


MAKERS = {"folder": make_own, "deam": make_deam, "pmemo": make_pmemo}


@pytest.mark.parametrize("layout", MAKERS)
def test_the_layout_is_seen(tmp_path, layout):
    MAKERS[layout](tmp_path / "x")
    for folder in (tmp_path / "x", str(tmp_path / "x")):
        corpus = open_corpus(folder)
        assert (corpus.layout, corpus.name) == (layout, "x")


@pytest.mark.parametrize("layout", MAKERS)
def test_one_level_too_deep(tmp_path, layout):
    MAKERS[layout](tmp_path / "x" / "y")
    with pytest.raises(InputError) as caught:
        open_corpus(tmp_path / "x")
    inner = tmp_path / "x" / "y"
    assert (
        str(caught.value) == f"{tmp_path / 'x'}: unpacked one level too deep; give {inner} instead"
    )


@pytest.mark.parametrize("layout", ["folder", "pmemo"])
def test_only_deam_has_scales(tmp_path, layout):
    MAKERS[layout](tmp_path / "x")
    with pytest.raises(InputError, match=r"x: scale me2015 is DEAM's, and this is none; leave it"):
        open_corpus(tmp_path / "x", "me2015")


def test_options_reach_deam(tmp_path):
    make_deam(tmp_path, features_of=())
    corpus = open_corpus(tmp_path, "me2015", rows=False)
    assert not corpus.test


def test_options_reach_pmemo(tmp_path):
    make_pmemo(tmp_path, features_file=False)
    assert len(open_corpus(tmp_path, rows=False).songs) == 3


def test_neither(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        open_corpus(tmp_path / "none")
    with pytest.raises(InputError, match=r"dynamic\.csv: neither it nor static\.csv"):
        open_corpus(tmp_path)


def test_deams_rows_and_labels_are_joined_by_time(tmp_path):
    """Features start at 0 s, labels at 15 s: the first 30 rows have none."""
    labels = make_deam(tmp_path / "x")
    for one in labelled_rows(open_corpus(tmp_path / "x").songs):
        known = labels[int(one.song.name)]
        assert np.isnan(one.labels[:30]).all()
        # the last label speaks of a half-second whose one-second window runs over the end
        count = min(len(one.rows) - 30, len(one.song.labels))
        np.testing.assert_allclose(one.labels[30 : 30 + count], known[:count], rtol=1e-6)
        assert len(one.rows) == 30 + len(known) - 1
