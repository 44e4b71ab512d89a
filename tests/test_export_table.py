"""Curves on other spans than half-seconds: closed forms, and a fine sum as the oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curves import stepped
from moodcurve import Curve, InputError
from moodcurve.export.spans import at_rate, between_beats, listed
from moodcurve.export.table import BAND, over, tabulate

SECONDS = 30.0


def spans(*pairs):
    return tuple(np.array(pairs, float).T)


def test_half_seconds_are_the_curve_itself():
    curve = stepped()
    table = tabulate(curve)
    assert list(table.columns) == ["start_s", "end_s", "valence", "arousal", *BAND]
    assert table.columns["valence"] == curve.valence.tolist()
    assert table.columns["arousal_high"] == curve.band.arousal_high.tolist()
    assert tabulate(curve, spans=at_rate("2", SECONDS)) == table


def test_the_columns_of_a_curve_without_band_and_with_words():
    table = tabulate(stepped(band=False), "0..1", moods=True)
    assert list(table.columns) == ["start_s", "end_s", "valence", "arousal", "quadrant", "mood"]
    assert table.scale == "0..1"
    # 0.5, -0.4 is at 321.3 degrees: "at ease" is at 321
    assert set(table.columns["mood"][:20]) <= {"at ease", "satisfied", "content"}
    assert set(table.columns["quadrant"][40:]) == {"neutral"}


def test_words_are_those_of_the_span():
    table = tabulate(stepped(), moods=True, spans=spans((0, 10), (10, 20), (20, 30)))
    assert table.columns["quadrant"] == ["calm and pleasant", "excited and unpleasant", "neutral"]


def test_means_by_hand():
    values = np.array([0.0, 1.0, 3.0])
    found = over(values, spans((0, 1), (0, 1.5), (0.25, 0.75), (0.4, 1.4), (1.0, 2.0)))
    # (0.1 * 0 + 0.5 * 1 + 0.4 * 3) / 1; beyond the end the last value holds
    np.testing.assert_allclose(found, [0.5, 4 / 3, 0.5, 1.7, 3.0])


def test_short_spans_lie_on_lines_between_middles():
    values = np.array([0.0, 1.0])  # middles at 0.25 and 0.75 s
    found = over(values, spans((0.0, 0.1), (0.45, 0.55), (0.3, 0.5), (0.9, 1.0)))
    np.testing.assert_allclose(found, [0, 0.5, 0.3, 1])


@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=40),
    st.integers(0, 100),
    st.integers(50, 900),
)
def test_means_are_those_of_a_fine_sum(values, start, length):
    """Starts and lengths in hundredths of a second, against a mean of hundredths."""
    fine = np.repeat([*values, values[-1]], 50)
    start = min(start, len(fine) - 50)
    end = min(start + length, len(fine))
    found = over(np.array(values), spans((start / 100, end / 100)))
    np.testing.assert_allclose(found, [fine[start:end].mean()], atol=1e-9)


@pytest.mark.parametrize("rate", ["0.1", "2", "25", "30000/1001", "0.001", "1000"])
def test_spans_of_a_rate_cover_the_song(rate):
    top, _, bottom = rate.partition("/")
    hertz = float(top) / float(bottom or 1)
    starts, ends = at_rate(rate, SECONDS)
    assert starts[0] == 0
    assert ends[-1] == SECONDS
    np.testing.assert_array_equal(starts[1:], ends[:-1])
    np.testing.assert_allclose(starts, np.arange(len(starts)) / hertz)
    assert len(starts) == {"0.1": 3, "2": 60, "25": 750, "1000": 30_000}.get(rate, len(starts))
    assert (ends > starts).all()


def test_the_mean_of_the_song_is_kept_by_longer_spans():
    curve = stepped()
    found = over(curve.valence, at_rate("0.2", SECONDS))
    assert found.mean() == pytest.approx(curve.valence.mean())


def test_frames_move_smoothly():
    """No frame of a video jumps further than a line between two half-seconds rises."""
    curve = stepped()
    found = over(curve.arousal, at_rate("25", SECONDS))
    assert np.abs(np.diff(found)).max() < np.abs(np.diff(curve.arousal)).max() / 12


@pytest.mark.parametrize("rate", ["", "x", "0", "-1", "1001", "nan", "inf", "1/0", "1e999", "2/x"])
def test_wrong_rates(rate):
    with pytest.raises(InputError, match=r"^--rate .*; give "):
        at_rate(rate, SECONDS)


def write(path, text):
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    ["1\n2.5\n\n4\n", "1.0\t1.0\tone\n2.5\t2.5\ttwo\n4\t4\tthree", "\ufeff1,x\r\n2.5,y\r\n4,z\r\n"],
    ids=["times", "Audacity", "CSV"],
)
def test_beats(tmp_path, text):
    starts, ends = between_beats(write(tmp_path / "beats.txt", text), SECONDS)
    np.testing.assert_array_equal(starts, [1, 2.5, 4])
    np.testing.assert_array_equal(ends, [2.5, 4, 30])


def test_a_beat_after_the_last_half_second(tmp_path):
    beats = write(tmp_path / "beats.txt", "29\n30.3\n")
    assert len(over(np.zeros(60), between_beats(beats, SECONDS))) == 2


def test_segments(tmp_path):
    text = "name,start,end\nverse,0,12.5\nchorus,10,30.2\n"
    starts, ends = listed(write(tmp_path / "s.csv", text), SECONDS)
    np.testing.assert_array_equal(starts, [0, 10])
    np.testing.assert_array_equal(ends, [12.5, 30.2])


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (between_beats, "", "s.csv: no beats"),
        (between_beats, "time\n1\n", 's.csv:1: "time" is no time'),
        (between_beats, "1\n1\n", "s.csv:2: 1 s is not after 1 s"),
        (between_beats, "1\n31\n", "s.csv:2: 31 s is outside the song (0 to 30 s)"),
        (between_beats, "-1\n", "s.csv:1: -1 s is outside the song"),
        (between_beats, "nan\n", 's.csv:1: "nan" is no time'),
        (listed, "", "s.csv: empty"),
        (listed, "start,end\n", "s.csv: no segments"),
        (listed, "0,1\n", "s.csv:1: no column start, end"),
        (listed, "start;end\n0;1\n", "s.csv:1: columns separated by semicolons"),
        (listed, "start,end\n0,1\n2,2\n", "s.csv:3: ends at 2 s, not after its start"),
        (listed, "start,end\n0\n", 's.csv:2: "" is no time'),
        (listed, "start,end\n0,40\n", "s.csv:2: 40 s is outside the song"),
        (listed, "start,end\n-1,4\n", "s.csv:2: -1 s is outside the song"),
    ],
)
def test_wrong_lists(tmp_path, read, text, message):
    with pytest.raises(InputError) as caught:
        read(write(tmp_path / "s.csv", text), SECONDS)
    assert str(caught.value).startswith(message)
    assert "; " in str(caught.value)


def test_a_list_that_is_not_there(tmp_path):
    for read in (between_beats, listed):
        with pytest.raises(InputError, match=r"^no\.csv: No such file"):
            read(tmp_path / "no.csv", SECONDS)


def test_the_shortest_curve():
    one = Curve(np.array([0.25]), np.array([-0.25]))
    table = tabulate(one, spans=at_rate("25", 0.5))
    assert table.columns["valence"] == [0.25] * 13
