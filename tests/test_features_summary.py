import numpy as np
import pytest

from moodcurve.features import FEATURE_NAMES, ILL_CONDITIONED, row_count, summarise
from moodcurve.features.summary import Summary, derivative, moving_average


def random_descriptors(frames, seed=0):
    """65 columns; F0 (column 0) is 0 in about a third of the frames, in stretches."""
    rng = np.random.default_rng(seed)
    values = rng.normal(3, 1, (frames, 65))
    values[np.sin(np.arange(frames) / 6) > 0.5, 0] = 0
    return values.astype(np.float32)


def test_260_official_names():
    assert len(FEATURE_NAMES) == len(set(FEATURE_NAMES)) == 260
    assert FEATURE_NAMES[0] == "F0final_sma_stddev"
    assert FEATURE_NAMES[1] == "F0final_sma_amean"
    assert FEATURE_NAMES[-1] == "pcm_fftMag_mfcc_sma_de[14]_amean"
    assert FEATURE_NAMES[130] == "F0final_sma_de_stddev"
    assert FEATURE_NAMES[102:104] == (
        "pcm_fftMag_mfcc_sma[1]_stddev",
        "pcm_fftMag_mfcc_sma[1]_amean",
    )
    assert FEATURE_NAMES.index("pcm_RMSenergy_sma_amean") == 17
    assert FEATURE_NAMES.index("pcm_fftMag_fband250-650_sma_stddev") == 72
    assert FEATURE_NAMES.index("audSpec_Rfilt_sma_de[25]_amean") == 130 + 71


def test_moving_average_by_brute_force():
    """The voicing descriptors over those of the three frames that are not 0."""
    values = random_descriptors(40).astype(float)
    values[::7, 4] = 0
    out = moving_average(values)
    for t in range(40):
        near = np.array([values[min(max(s, 0), 39)] for s in (t - 1, t, t + 1)])
        assert out[t, 6:] == pytest.approx(near.mean(axis=0)[6:])
        for d in range(6):
            there = near[:, d][near[:, d] != 0]
            assert out[t, d] == pytest.approx(there.mean() if values[t, d] else 0)


def test_derivative_by_brute_force():
    """Slope of numpy's least-squares line through five frames."""
    values = random_descriptors(40, seed=1).astype(float)
    out = derivative(values)
    for t in range(40):
        near = np.array([values[min(max(s, 0), 39)] for s in range(t - 2, t + 3)])
        slope = np.polyfit(np.arange(-2, 3), near, 1)[0]
        assert out[t, 6:] == pytest.approx(slope[6:])


def test_derivatives_of_the_voicing_group_by_brute_force():
    """Over pairs neither of which is 0, divided by a sum that runs on through the song."""
    values = random_descriptors(40, seed=1).astype(float)
    values[::7, 4] = 0
    out = derivative(values)
    total = 10
    for t in range(40):
        for d in range(6):
            rise = 0.0
            for i in (1, 2):
                before, after = values[max(t - i, 0), d], values[min(t + i, 39), d]
                if before and after:
                    rise += i * (after - before)
                    total += i * i
            assert out[t, d] == pytest.approx(rise / total)
    assert total > 1000


def test_ill_conditioned_are_jitter_shimmer_and_the_voicing_group_s_derivatives():
    assert len(set(ILL_CONDITIONED)) == 6 + 12
    assert ILL_CONDITIONED[0] == "jitterLocal_sma_stddev"
    assert ILL_CONDITIONED[5:7] == ("shimmerLocal_sma_amean", "F0final_sma_de_stddev")
    assert ILL_CONDITIONED[-1] == "logHNR_sma_de_amean"


def test_derivative_of_a_ramp_is_its_slope():
    ramp = np.outer(np.arange(1.0, 21.0), np.full(65, 0.25))
    assert derivative(ramp)[2:-2, 6:] == pytest.approx(np.full((16, 59), 0.25))


@pytest.mark.parametrize("window", [0.5, 1.0, 2.0])
def test_rows_by_brute_force(window):
    values = random_descriptors(437)
    width = int(window * 100)
    rows = row_count(437, window)
    assert rows == 1 + (437 - width) // 50
    out = summarise(values, rows, window)
    assert out.shape == (rows, 260)
    assert out.dtype == np.float32
    smooth = moving_average(values.astype(float))
    slope = derivative(smooth)
    for k in range(rows):
        for d in range(65):
            for base, series in ((0, smooth), (130, slope)):
                inside = series[50 * k : 50 * k + width, d]
                mean = sum(inside) / width
                deviation = np.sqrt(sum((inside - mean) ** 2) / width)
                assert out[k, base + 2 * d] == pytest.approx(deviation, rel=1e-4, abs=1e-6)
                assert out[k, base + 2 * d + 1] == pytest.approx(mean, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("frames", "window", "rows"),
    [
        (4498, 1.0, 88),
        (4495, 1.0, 88),  # a song of 45 s
        (4500, 1.0, 89),
        (4498, 0.5, 89),
        (150, 1.0, 2),
        (149, 1.0, 1),
        (100, 1.0, 1),
        (100, 0.5, 2),
        (1, 1.0, 1),
    ],
)
def test_row_counts(frames, window, rows):
    assert row_count(frames, window) == rows


def test_tail_rows_take_the_last_whole_window():
    values = random_descriptors(437)
    out = summarise(values, 9)
    assert (out[:7] == summarise(values, 7)).all()
    smooth = moving_average(values.astype(float))
    assert out[7] == pytest.approx(out[8])
    assert out[7, 1:130:2] == pytest.approx(smooth[337:437].mean(axis=0), rel=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 5, 47, 99])
def test_a_song_shorter_than_a_window_is_summarised_whole(frames):
    values = random_descriptors(frames)
    out = summarise(values, 2)
    smooth = moving_average(values.astype(float))
    assert out[0, 1:130:2] == pytest.approx(smooth.mean(axis=0), rel=1e-5)
    assert out[0, 0:130:2] == pytest.approx(smooth.std(axis=0), rel=1e-4, abs=1e-6)
    assert (out[1] == out[0]).all()


def test_rows_do_not_depend_on_the_pieces_they_are_made_in():
    """Against the same rows alone, but for the derivatives that depend on all that went before."""
    values = random_descriptors(50 * 640)
    out = summarise(values, row_count(len(values)))
    assert len(out) == 639
    for row in (599, 600, 601):
        near = values[50 * (row - 2) : 50 * (row + 4)]
        alone = summarise(near, 5)[2]
        for part in (slice(0, 130), slice(142, 260)):
            assert out[row, part] == pytest.approx(alone[part], rel=1e-4, abs=1e-6)


def test_a_constant_has_no_deviation_and_no_slope():
    out = summarise(np.full((300, 65), 2.5, np.float32), 5)
    assert out[:, 1:130:2] == pytest.approx(2.5)
    assert out[:, 0:130:2] == pytest.approx(0, abs=1e-6)
    assert out[:, 130:] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("window", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("frames", [1, 3, 60, 99, 100, 104, 150, 399, 1234])
def test_the_size_of_blocks_does_not_matter(frames, window):
    """Bit for bit, for any number of rows, also more than there are whole windows."""
    rng = np.random.default_rng(frames)
    values = rng.normal(size=(frames, 65)).astype(np.float32)
    values[:, 0] = np.maximum(values[:, 0], 0)
    rows = row_count(frames, window) + 2
    expected = summarise(values, rows, window)
    for sizes in ([1] * frames, [7, 250, 3, 50, 1000]):
        summary, found, start = Summary(window), [], 0
        for size in [*sizes, frames]:
            found.append(summary.push(values[start : start + size]))
            start += size
        found.append(summary.finish(rows))
        np.testing.assert_array_equal(np.concatenate(found), expected)
