"""Draw the pictures of docs/descriptors.md: every family of descriptors along the example song.

    python tools/feature_pictures.py

writes docs/pictures/{voicing,energy,auditory,spectral,cepstral,rows}.png. Needs matplotlib
(and pillow, which it brings).
"""

import io
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from PIL import Image

from moodcurve.audio import SAMPLE_RATE, read
from moodcurve.features import FEATURE_NAMES, HOP, WINDOW, descriptors, row_count, summarise
from moodcurve.features.auditory import CENTRES, mel_bands
from moodcurve.features.frames import (
    FRAMES_PER_SECOND,
    Float32,
    Float64,
    power_of,
    short_spectra,
)
from moodcurve.features.summary import derivative, moving_average

ROOT = Path(__file__).parents[1]
SONG = ROOT / "examples" / "four_moods.ogg"
PICTURES = ROOT / "docs" / "pictures"

SECTIONS = {"calm": 0, "joyful": 18, "tense": 36, "sad": 54}  # seconds; examples/README.md
END = 74
# Okabe & Ito's palette: told apart by the colour-blind as well.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"

COLUMNS = {
    name.removesuffix("_amean").replace("_sma", ""): k
    for k, name in enumerate(FEATURE_NAMES[1:130:2])
}


def main() -> None:
    audio = read(SONG)
    raw = descriptors([audio])
    smooth = moving_average(raw.astype(np.float64))
    pictures = {
        "voicing": voicing(audio, raw.astype(np.float64)),
        "energy": energy(audio, smooth),
        "auditory": auditory(audio, smooth),
        "spectral": spectral(audio, smooth),
        "cepstral": cepstral(audio, smooth),
        "rows": rows(raw, smooth),
    }
    PICTURES.mkdir(exist_ok=True)
    for name, figure in pictures.items():
        path = PICTURES / f"{name}.png"
        drawn = io.BytesIO()
        figure.savefig(drawn)
        # A palette of 256 colours: a third of the size, no difference to the eye.
        Image.open(drawn).convert("RGB").quantize(256).save(path, optimize=True)
        print(f"wrote {path.relative_to(ROOT)}: {path.stat().st_size / 1e3:.0f} kB")


def voicing(audio: Float32, values: Float64) -> Figure:
    figure, panels = song(audio, "Voicing: is there a pitch, which, and how steady", 5)
    pitch, clear, jitter, shimmer, ratio = panels
    f0 = values[:, COLUMNS["F0final"]]
    sung = f0 > 0
    pitch.plot(times(f0)[sung], f0[sung], ".", color=BLUE, markersize=2)
    pitch.set(yscale="log", ylim=(50, 650), yticks=[55, 110, 220, 440])
    pitch.set_yticks([], minor=True)
    pitch.set_yticklabels(["55", "110", "220", "440"])
    name(pitch, "F0final: pitch (no dot: none found)", "Hz")
    line(clear, values[:, COLUMNS["voicingFinalUnclipped"]])
    clear.axhline(0.7, color="0.3", linewidth=1, linestyle="--")
    clear.set(ylim=(0, 1))
    name(clear, "voicingFinalUnclipped: how clearly (dashed: from here on, a pitch)", "0 .. 1")
    jitters = {"jitterLocal": BLUE, "jitterDDP": VERMILION}
    for descriptor, colour in jitters.items():
        line(jitter, 100 * values[:, COLUMNS[descriptor]], colour, label=descriptor, frames=False)
    jitter.set(ylim=(0, None))
    name(jitter, "Jitter: periods of unequal length", "% of a period")
    legend(jitter)
    line(shimmer, 100 * values[:, COLUMNS["shimmerLocal"]])
    shimmer.set(ylim=(0, 45))
    name(shimmer, "shimmerLocal: periods of unequal strength", "% of the\namplitude")
    level = values[:, COLUMNS["logHNR"]]
    line(ratio, np.where(sung, level, np.nan))
    ratio.set(ylim=(-15, 30))
    name(ratio, "logHNR: tone over noise, where there is a pitch", "dB")
    return figure


def energy(audio: Float32, values: Float64) -> Figure:
    figure, panels = song(audio, "Energy: how much sound there is", 4)
    for axes, (column, title, unit) in zip(
        panels,
        (
            ("audspec_lengthL1norm", "loudness", "power$^{0.33}$"),
            ("audspecRasta_lengthL1norm", "loudness, only what changes", "power$^{0.33}$"),
            ("pcm_RMSenergy", "level", "full scale = 1"),
            ("pcm_zcr", "zero crossings", "a sample"),
        ),
        strict=True,
    ):
        line(axes, values[:, COLUMNS[column]])
        name(axes, f"{column}: {title}", unit)
    panels[1].set(yscale="log", yticks=[0.5, 1, 2, 4, 8], yticklabels=["0.5", "1", "2", "4", "8"])
    panels[1].set_yticks([], minor=True)
    panels[3].set(ylim=(0, 0.15))
    return figure


def auditory(audio: Float32, values: Float64) -> Figure:
    figure, (plain, filtered) = song(audio, "Auditory bands: 26 registers of the ear", 2, 2.3)
    bands = mel_bands(power_of(short_spectra()(audio, len(values))))
    level = 10 * np.log10(np.maximum(bands, 1e-9))
    heat(figure, plain, level.T, "dB", "viridis", (level.max() - 70, level.max()))
    name(plain, "For comparison, the bands before the filter: whatever sounds", "centre, Hz")
    first = COLUMNS["audSpec_Rfilt[0]"]
    loud = values[:, first : first + len(CENTRES)]
    usual = loud / np.median(loud, axis=0)
    norm = LogNorm(1 / 4, 4)
    scale = heat(figure, filtered, usual.T, "times its median", "PuOr_r", norm=norm)
    scale.set_ticks([1 / 4, 1 / 2, 1, 2, 4], labels=["1/4", "1/2", "1", "2", "4"], minor=False)
    scale.minorticks_off()
    name(filtered, "audSpec_Rfilt[0..25]: only what changes", "centre, Hz")
    for axes in (plain, filtered):
        places = [0, 5, 10, 15, 20, 25]
        axes.set(yticks=places, yticklabels=[f"{CENTRES[k]:.0f}" for k in places])
    return figure


def spectral(audio: Float32, values: Float64) -> Figure:
    figure, panels = song(audio, "Spectral: the colour of sound", 10, 0.95)

    def of(descriptor: str) -> Float64:
        found: Float64 = values[:, COLUMNS[f"pcm_fftMag_{descriptor}"]]
        return found

    colours = (BLUE, VERMILION, GREEN, PURPLE)
    for axes, family, title, unit in (
        (panels[0], ("fband250-650", "fband1000-4000"), "Power in two ranges", "power"),
        (
            panels[1],
            tuple(f"spectralRollOff{share}.0" for share in (25, 50, 75, 90)),
            "Where a quarter, half, three quarters, nine tenths of the power lie",
            "Hz",
        ),
    ):
        for descriptor, colour in zip(family, colours, strict=False):
            label = descriptor.removeprefix("spectral")
            line(axes, of(descriptor), colour, label=label, frames=False)
        axes.set(yscale="log")
        name(axes, title, unit)
        legend(axes)
    panels[0].set(ylim=(1e-4, 1e3))
    panels[1].set(ylim=(80, 20_000), yticks=[100, 1000, 10_000], yticklabels=["100", "1 k", "10 k"])
    single = (
        ("spectralFlux", "change since the frame before", "amplitude", 1),
        ("spectralCentroid", "brightness", "Hz", 1),
        ("spectralEntropy", "tone (low) or noise (high)", "bit", 1),
        ("spectralVariance", "width", "kHz²", 1e-6),
        ("spectralSlope", "tilt toward the bass", "power / Hz", 1),
        ("psySharpness", "sharpness", "acum", 1),
        ("spectralHarmonicity", "partials over gaps", "power", 1),
    )
    for axes, (descriptor, title, unit, scale) in zip(panels[2:9], single, strict=True):
        line(axes, scale * of(descriptor))
        name(axes, f"{descriptor}: {title}", unit)
    panels[2].set(yscale="log")
    panels[5].set(ylim=(0, 6))
    panels[8].set(yscale="log")
    line(panels[9], of("spectralKurtosis"), VERMILION, label="spectralKurtosis", frames=False)
    line(panels[9], of("spectralSkewness"), BLUE, label="spectralSkewness", frames=False)
    panels[9].set(yscale="log", ylim=(1, 1e5))
    name(panels[9], "Skewness and kurtosis: a tail upward, one heap", "")
    legend(panels[9])
    return figure


def cepstral(audio: Float32, values: Float64) -> Figure:
    figure, (coefficients,) = song(audio, "Cepstral: the outline of the spectrum", 1, 3.2)
    first = COLUMNS["pcm_fftMag_mfcc[1]"]
    heat(figure, coefficients, values[:, first : first + 14].T, "", "PuOr_r", (-60, 60))
    places = [0, 3, 6, 9, 13]
    coefficients.set(yticks=places, yticklabels=[str(k + 1) for k in places])
    name(coefficients, "pcm_fftMag_mfcc[1..14]", "coarse ... fine")
    return figure


def rows(raw: Float32, smooth: Float64) -> Figure:
    """From frames to rows: the level over three seconds of the joyful section."""
    k, begin, end = COLUMNS["pcm_RMSenergy"], 20.0, 23.0
    found = summarise(raw, row_count(len(raw)))
    figure = Figure(figsize=(8, 6), dpi=100, layout="constrained")
    level, slope, rest = figure.subplots(3, 1, sharex=True)
    figure.suptitle("From frames to rows: the level, three seconds of the joyful section")
    inside = (times(raw) >= begin) & (times(raw) <= end)
    at = times(raw)[inside]
    level.plot(at, raw[inside, k], ".", color=VERMILION, markersize=4, label="every 10 ms")
    level.plot(at, smooth[inside, k], color=BLUE, linewidth=1.5, label="smoothed (_sma)")
    name(level, "pcm_RMSenergy", "full scale = 1")
    slope.plot(at, derivative(smooth)[inside, k], color=BLUE, linewidth=1.5)
    slope.axhline(0, color="0.6", linewidth=0.8)
    name(slope, "Derivative (_sma_de): rising above 0, falling below", "a frame")
    rest.plot(at, smooth[inside, k], color="0.7", linewidth=1)
    kept = np.arange(int(begin / HOP), int((end - WINDOW) / HOP) + 1)
    mean, spread = (found[kept, FEATURE_NAMES.index(f"pcm_RMSenergy_sma_{s}")] for s in STATISTICS)
    rest.errorbar(
        *(kept * HOP + WINDOW / 2, mean, spread, WINDOW / 2),
        fmt="o",
        color=BLUE,
        capsize=3,
        linewidth=1.2,
    )
    name(rest, "Rows: mean of one second (dot, bar across) and deviation (bar up and down)", "")
    legend(level)
    rest.set(xlabel="seconds", xlim=(begin, end))
    return figure


STATISTICS = ("amean", "stddev")


def song(
    audio: Float32, title: str, panels: int, inches: float = 1.25
) -> tuple[Figure, list[Axes]]:
    """Make a figure with the waveform, its sections named, on top of that many empty panels."""
    figure = Figure(figsize=(8, 1.6 + panels * inches), dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=13, fontweight="bold")
    ratios = (0.8, *(inches for _ in range(panels)))
    wave, *rest = figure.subplots(1 + panels, 1, sharex=True, height_ratios=ratios)
    pieces = audio[: len(audio) // 1000 * 1000].reshape(-1, 1000)
    at = np.arange(len(pieces)) * 1000 / SAMPLE_RATE
    wave.fill_between(at, pieces.min(axis=1), pieces.max(axis=1), color="0.5", linewidth=0)
    wave.set(ylim=(-1, 1), yticks=[], ylabel="sound", xlim=(0, END), xticks=range(0, END, 6))
    wave.spines[["top", "right", "left"]].set_visible(False)
    borders = [*SECTIONS.values(), END]
    for k, section in enumerate(SECTIONS):
        middle = (borders[k] + borders[k + 1]) / 2
        wave.text(middle, 1.05, section, ha="center", va="bottom", fontsize=11)
    for axes in (wave, *rest):
        for border in borders[1:-1]:
            axes.axvline(border, color="0.3", linewidth=1, linestyle=":")
    (rest[-1] if rest else wave).set_xlabel("seconds")
    return figure, rest


def line(
    axes: Axes, values: Float64, colour: str = BLUE, label: str = "", frames: bool = True
) -> None:
    """Draw a descriptor: the mean of every half-second, the range of its frames in grey."""
    step = round(HOP * FRAMES_PER_SECOND)
    halves = np.ma.masked_invalid(values[: len(values) // step * step].reshape(-1, step))
    at = (np.arange(len(halves)) + 0.5) * HOP
    if frames:
        low, high = halves.min(axis=1), halves.max(axis=1)
        axes.fill_between(at, low, high, color="0.86", step="mid", linewidth=0)
    axes.plot(at, halves.mean(axis=1), color=colour, linewidth=1.5, label=label or None)


def heat(
    figure: Figure,
    axes: Axes,
    values: Float64,
    unit: str,
    colours: str,
    limits: tuple[float, float] | None = None,
    norm: LogNorm | None = None,
) -> Colorbar:
    """Draw (lines, frames) as colours over time, the first line at the bottom."""
    low, high = limits or (None, None)
    step = FRAMES_PER_SECOND // 10  # a pixel
    count = values.shape[1] // step
    shown = values[:, : count * step].reshape(len(values), count, step).mean(axis=2)
    end = count * step / FRAMES_PER_SECOND
    image = axes.imshow(
        shown,
        aspect="auto",
        origin="lower",
        cmap=colours,
        norm=norm,
        vmin=low,
        vmax=high,
        interpolation="nearest",
        extent=(0, end, -0.5, len(values) - 0.5),
    )
    return figure.colorbar(image, ax=axes, label=unit, pad=0.01)


def times(values: Float64 | Float32) -> Float64:
    found: Float64 = np.arange(len(values)) / FRAMES_PER_SECOND
    return found


def name(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, pad=3)
    axes.set_ylabel(unit, fontsize=9)
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def legend(axes: Axes) -> None:
    axes.legend(loc="upper right", ncols=4, frameon=False, fontsize=8, borderpad=0)


if __name__ == "__main__":
    main()
