import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodcurve.errors import InputError
from moodcurve.sequences import cut, pad, stitch

SONGS = st.integers(1, 200)
LENGTHS = st.sampled_from([1, 2, 7, 10, 20, 30, 60])


def ramp(n, columns=1):
    return np.arange(n * columns, dtype=np.float32).reshape(n, columns)


def test_cut_by_hand():
    pieces = cut(ramp(7), 3)[..., 0]
    np.testing.assert_array_equal(pieces, [[0, 1, 2], [3, 4, 5], [4, 5, 6]])


def test_an_exact_multiple_has_no_overlap():
    np.testing.assert_array_equal(cut(ramp(6), 3)[..., 0], [[0, 1, 2], [3, 4, 5]])


def test_a_short_song_is_one_piece():
    np.testing.assert_array_equal(cut(ramp(4), 10)[..., 0], [[0, 1, 2, 3]])


@given(SONGS, LENGTHS)
def test_stitch_undoes_cut(n, length):
    rows = ramp(n, 3)
    pieces = cut(rows, length)
    assert pieces.dtype == rows.dtype
    assert pieces.shape == (-(-n // length), min(n, length), 3)
    np.testing.assert_array_equal(stitch(pieces, n), rows)


def test_the_earlier_piece_gives_the_overlapped_rows():
    """The pieces of 7 rows are 0 .. 2, 3 .. 5 and 4 .. 6: only row 6 comes from the last."""
    pieces = np.repeat([[[0.0]], [[1.0]], [[2.0]]], 3, axis=1)
    np.testing.assert_array_equal(stitch(pieces, 7)[:, 0], [0, 0, 0, 1, 1, 1, 2])


@pytest.mark.parametrize(("rows", "length"), [(ramp(0), 3), (np.zeros(5), 3), (ramp(5), 0)])
def test_cut_rejects(rows, length):
    with pytest.raises(InputError, match="rows: "):
        cut(rows, length)


@pytest.mark.parametrize("n", [0, 6, 10])
def test_stitch_rejects_another_songs_length(n):
    with pytest.raises(InputError, match=f"3 pieces of 3 rows do not make a song of {n}; "):
        stitch(np.zeros((3, 3, 1)), n)


def test_pad_by_hand():
    padded, mask = pad([ramp(2, 2), ramp(1, 2), ramp(0, 2)], 3)
    np.testing.assert_array_equal(
        padded, [[[0, 1], [2, 3], [0, 0]], [[0, 1], [0, 0], [0, 0]], np.zeros((3, 2))]
    )
    np.testing.assert_array_equal(mask, [[True, True, False], [True, False, False], [False] * 3])


@given(st.lists(st.integers(0, 12), min_size=1, max_size=8))
def test_pad_keeps_every_row(lengths):
    rows = [1 + ramp(n, 2) for n in lengths]
    padded, mask = pad(rows, 12)
    assert padded.shape == (len(lengths), 12, 2)
    assert padded.dtype == np.float32
    for piece, full, real in zip(rows, padded, mask, strict=True):
        np.testing.assert_array_equal(full[real], piece)
        assert real.sum() == len(piece)
        assert not full[len(piece) :].any()


@pytest.mark.parametrize("rows", [[], [ramp(2), ramp(4)]])
def test_pad_rejects(rows):
    with pytest.raises(InputError, match="rows: "):
        pad(rows, 3)
