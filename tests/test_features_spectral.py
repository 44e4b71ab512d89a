import numpy as np
import pytest

from moodcurve.audio import SAMPLE_RATE
from moodcurve.features.frames import power_of, short_spectra
from moodcurve.features.spectral import flux, harmonicity, roll_off, spectral

LOW, MIDDLE, ROLL25, ROLL50, ROLL75, ROLL90, FLUX, CENTROID, ENTROPY = range(9)
VARIANCE, SKEWNESS, KURTOSIS, SLOPE, SHARPNESS, HARMONICITY = range(9, 15)

WIDTH = SAMPLE_RATE / 1024
FREQUENCIES = np.arange(1, 513) * WIDTH


def sine(frequency, seconds=0.5, amplitude=0.5):
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def of(power):
    """Descriptors of hand-made spectra of bins 1 .. 512; bin 0 is a trap."""
    power = np.atleast_2d(power)
    with_constant = np.column_stack([np.full(len(power), 99.0), power]).astype(np.float32)
    return spectral(with_constant, with_constant[0])


def of_audio(samples, count=40):
    power = power_of(short_spectra()(samples, count))
    return spectral(power, power[0])


def random_spectra(count=20):
    return np.random.default_rng(1).exponential(size=(count, 512))


@pytest.mark.parametrize("frequency", [440, 1000, 5000, 12_000])
def test_a_sine_lies_where_its_frequency_is(frequency):
    values = of_audio(sine(frequency))
    assert values[:, CENTROID] == pytest.approx(frequency, rel=0.01)
    for share in (ROLL25, ROLL50, ROLL75, ROLL90):
        assert values[:, share] == pytest.approx(frequency, abs=2 * WIDTH)


def test_band_energies_of_sines():
    """Half of 1024 A^2 sum(w^2) / 2 lies at positive frequencies; the unit is 1 / 512 of it."""
    window = np.hamming(882)
    expected = 0.5**2 / 4 * np.sum(window**2) * 1024 / 512
    for frequency, low, middle in ((430, 1, 0), (2000, 0, 1), (820, 0, 0), (9000, 0, 0)):
        values = of_audio(sine(frequency)).mean(axis=0)
        assert values[LOW] / expected == pytest.approx(low, abs=0.01)
        assert values[MIDDLE] / expected == pytest.approx(middle, abs=0.01)


def test_band_energies_bin_by_bin():
    """Bin k stands for f_k .. f_(k+1); one that an edge cuts counts with its share."""
    for k in (4, 5, 6, 10, 14, 15, 16, 22, 23, 24, 92, 93, 512):
        one = np.zeros(512)
        one[k - 1] = 512.0
        values = of(one)[0]
        for column, low, high in ((LOW, 250, 650), (MIDDLE, 1000, 4000)):
            fine = k * WIDTH + (np.arange(10_000) + 0.5) / 10_000 * WIDTH
            inside = np.mean((fine > low) & (fine < high))
            assert values[column] == pytest.approx(inside, abs=2e-4)


def test_a_flat_spectrum():
    """A discrete uniform distribution over 512 bins."""
    values = of(np.full(512, 0.7))[0]
    n = 512
    assert values[ENTROPY] == pytest.approx(9, abs=1e-5)
    assert values[CENTROID] == pytest.approx(513 / 2 * WIDTH)
    assert values[VARIANCE] == pytest.approx((n**2 - 1) / 12 * WIDTH**2)
    assert values[SKEWNESS] == pytest.approx(0, abs=1e-6)
    assert values[KURTOSIS] == pytest.approx(3 / 5 * (3 * n**2 - 7) / (n**2 - 1))
    assert values[KURTOSIS] == pytest.approx(1.8, abs=1e-4)
    assert values[SLOPE] == pytest.approx(0, abs=1e-12)
    assert values[HARMONICITY] == 0
    for column, share in ((ROLL25, 0.25), (ROLL50, 0.5), (ROLL75, 0.75)):
        assert values[column] == pytest.approx(512 * share * WIDTH)
    assert values[ROLL90] == pytest.approx(461 * WIDTH)  # 460.8 bins


def test_two_lines_by_hand():
    """A quarter of the power at bin 10, the rest at bin 30: a Bernoulli distribution."""
    power = np.zeros(512)
    power[[9, 29]] = 1.0, 3.0
    values = of(power)[0]
    p = 0.75
    assert values[CENTROID] == pytest.approx(25 * WIDTH)
    assert values[VARIANCE] == pytest.approx(p * (1 - p) * (20 * WIDTH) ** 2)
    assert values[SKEWNESS] == pytest.approx((1 - 2 * p) / np.sqrt(p * (1 - p)))
    assert values[KURTOSIS] == pytest.approx(3 + (1 - 6 * p * (1 - p)) / (p * (1 - p)))
    # 512 P >= 1e-7 take part in the entropy, hence the tolerance.
    assert values[ENTROPY] == pytest.approx(-0.25 * np.log2(0.25) - 0.75 * np.log2(0.75), abs=2e-3)
    assert [round(v / WIDTH) for v in values[[ROLL25, ROLL50, ROLL75, ROLL90]]] == [10, 30, 30, 30]


def test_moments_and_roll_off_by_brute_force():
    spectra = random_spectra(5)
    values = of(spectra)
    for power, value in zip(spectra, values, strict=True):
        p = power / power.sum()
        mean = sum(p * FREQUENCIES)
        deviation = np.sqrt(sum(p * (FREQUENCIES - mean) ** 2))
        assert value[CENTROID] == pytest.approx(mean, rel=1e-5)
        assert value[VARIANCE] == pytest.approx(deviation**2, rel=1e-5)
        skewness = sum(p * (FREQUENCIES - mean) ** 3) / deviation**3
        assert value[SKEWNESS] == pytest.approx(skewness, abs=1e-5)
        kurtosis = sum(p * (FREQUENCIES - mean) ** 4) / deviation**4
        assert value[KURTOSIS] == pytest.approx(kurtosis, rel=1e-5)
        for column, share in ((ROLL25, 0.25), (ROLL50, 0.5), (ROLL75, 0.75), (ROLL90, 0.9)):
            k = 1
            while power[:k].sum() < share * power.sum():
                k += 1
            assert value[column] == pytest.approx(k * WIDTH)


def test_roll_off_of_any_share():
    power = np.ones((1, 513), np.float32)
    (value,) = roll_off(power, (0.1,))
    assert value == pytest.approx([52 * WIDTH])


NOISE_ENTROPY = np.log2(512) - (1 - np.euler_gamma) / np.log(2)  # powers ~ exponential: 8.39 bits


def test_entropy_of_exponential_powers():
    assert of(random_spectra(400))[:, ENTROPY].mean() == pytest.approx(NOISE_ENTROPY, abs=0.02)


def test_entropy_of_white_noise():
    noise = np.random.default_rng(2).normal(0, 0.1, 2 * SAMPLE_RATE).astype(np.float32)
    assert of_audio(noise, 190)[:, ENTROPY].mean() == pytest.approx(NOISE_ENTROPY, abs=0.03)


def test_entropy_by_definition():
    spectra = random_spectra(3)
    values = of(spectra)[:, ENTROPY]
    for power, value in zip(spectra, values, strict=True):
        p = power / power.sum()
        assert value == pytest.approx(-sum(p * np.log2(p)), abs=1e-4)


def test_a_sine_has_less_entropy_than_noise():
    assert of_audio(sine(1000))[:, ENTROPY].max() < 3


def test_flux_of_a_stationary_signal_is_nil():
    """100 Hz and its multiples repeat every 10 ms, which is a step: every frame is the same."""
    periodic = sine(100) + sine(1000) + sine(4200)
    assert of_audio(periodic)[:, FLUX] == pytest.approx(0, abs=1e-3)
    assert of_audio(sine(1037))[1:, FLUX].mean() > 0.01


def test_flux_of_doubled_and_vanished_magnitudes():
    """Magnitudes m, 2 m, 0: changes m and 2 m, whose RMS over the bins is by hand."""
    magnitude = np.random.default_rng(3).uniform(1, 2, 513)
    power = np.float32([magnitude**2, 4 * magnitude**2, 0 * magnitude])
    root = np.sqrt(np.mean(magnitude[1:] ** 2))
    assert flux(power, power[0]) == pytest.approx([0, root, 2 * root], rel=1e-5)
    assert flux(power[1:], power[0]) == pytest.approx([root, 2 * root], rel=1e-5)
    assert flux(power[:1], power[2]) == pytest.approx([root], rel=1e-5)


def test_slope_is_the_regression_line():
    for power, value in zip(random_spectra(5), of(random_spectra(5)), strict=True):
        slope = np.polyfit(FREQUENCIES, power, 1)[0]
        assert value[SLOPE] == pytest.approx(510.985 * slope, rel=1e-3)
    rising = of(1 + 0.01 * FREQUENCIES)[0, SLOPE]
    assert rising == pytest.approx(510.985 * 0.01, rel=1e-4)


def test_harmonicity_by_brute_force():
    spectra = random_spectra(6)
    for power, value in zip(spectra, of(spectra)[:, HARMONICITY], strict=True):
        way, last = 0.0, None
        p = [99.0, *power]
        for k in range(3, 511):
            others = [p[k - 2], p[k - 1], p[k + 1], p[k + 2]]
            if p[k] > max(others) or p[k] < min(others):
                if last is not None:
                    way += abs(p[k] - last)
                last = p[k]
        assert value == pytest.approx(way / 1024, rel=1e-5)


def test_harmonicity_by_hand():
    """Peaks of 1 every 10 bins, valleys of 0.1 between them: each way is 0.9."""
    power = np.full((1, 513), 0.5, np.float32)
    power[0, 20:120:10] = 1.0
    power[0, 25:125:10] = 0.1
    assert harmonicity(power) == pytest.approx([19 * 0.9 / 1024], rel=1e-5)
    # Two such frames share nothing, and a flat one between them has no way at all.
    flat = np.ones((1, 513), np.float32)
    both = harmonicity(np.vstack([power, flat, power]))
    assert both == pytest.approx(np.array([1, 0, 1]) * 19 * 0.9 / 1024, rel=1e-5)


def test_tones_over_gaps_are_more_harmonic_than_noise():
    partials = sum(sine(220.0 * h, amplitude=0.1) for h in range(1, 20))
    noise = np.random.default_rng(4).normal(0, partials.std(), len(partials)).astype(np.float32)
    harmonic = of_audio(partials)[:, HARMONICITY].mean()
    assert harmonic > of_audio(noise)[:, HARMONICITY].mean()


def test_sharpness_is_1_acum_at_1_khz_and_rises():
    tones = [125, 250, 500, 1000, 2000, 4000, 8000, 12_000, 16_000]
    values = [of_audio(sine(f))[:, SHARPNESS].mean() for f in tones]
    assert values[3] == pytest.approx(1, rel=0.1)
    assert (np.diff(values) > 0).all()


def test_sharpness_below_16_bark_is_the_bark_scale():
    """0.11 z; at 130 Hz, 500 Hz, 1 kHz and 2 kHz Zwicker's table has 1.3, 5, 8.5 and 13 Bark."""
    for k, bark in ((3, 1.3), (12, 5.0), (23, 8.5), (46, 13.0)):
        one = np.zeros(512)
        one[k - 1] = 1.0
        assert of(one)[0, SHARPNESS] == pytest.approx(0.11 * bark, rel=0.05)


def test_sharpness_weighs_what_lies_over_16_bark():
    """As documented: z (1 + 0.11102 (z - 16)^1.58524), z beyond 20.1 corrected by 0.22."""
    for k in (100, 250, 400, 512):
        z = 26.81 / (1 + 1960 / (k * WIDTH)) - 0.53
        z += 0.22 * max(z - 20.1, 0)
        one = np.zeros(512)
        one[k - 1] = 1.0
        expected = 0.11 * z * (1 + 0.11102 * (z - 16) ** 1.58524)
        assert of(one)[0, SHARPNESS] == pytest.approx(expected, rel=1e-6)


def test_level_changes_only_what_has_a_level():
    power = random_spectra(4)
    loud, soft = of(power), of(power / 100)
    free = [ROLL25, ROLL50, ROLL75, ROLL90, CENTROID, VARIANCE, SKEWNESS, KURTOSIS, SHARPNESS]
    assert loud[:, free] == pytest.approx(soft[:, free], rel=1e-4, abs=1e-6)
    assert loud[:, ENTROPY] == pytest.approx(soft[:, ENTROPY], abs=1e-4)
    for column in (LOW, MIDDLE, SLOPE, HARMONICITY):
        assert loud[:, column] == pytest.approx(100 * soft[:, column], rel=1e-4)


def test_silence():
    values = spectral(np.zeros((3, 513), np.float32), np.zeros(513, np.float32))
    assert np.isfinite(values).all()
    assert (
        values[:, [LOW, MIDDLE, FLUX, CENTROID, ENTROPY, VARIANCE, SLOPE, SHARPNESS]] == 0
    ).all()
