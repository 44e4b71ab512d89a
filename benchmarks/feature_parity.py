"""How far the 260 features agree with those of the reference program, and what both cost.

    python benchmarks/feature_parity.py [--clips FOLDER] [--json FILE]

The reference is the `opensmile` package (extra `reference`), used as a black box: its ComParE_2016
descriptors and their derivatives of the mono mix, summarised over 1.0 s every 0.5 s. Its licence is
for research; nothing of it goes into a model. One thread.

Beside each column's agreement stands the reference's with itself, when its input begins 1 ms later:
nobody can agree with it better than that. The voicing columns are compared where the reference
hears a pitch (mean F0 above 0). Then: how far curves of the shipped model differ that are predicted
from the reference's rows and from ours; and the cost, beside that of the two transforms that every
descriptor rests on, with decoding, and in two processes.
"""

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy is imported

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from moodcurve import Rows2Curve, features  # noqa: E402
from moodcurve.audio import SAMPLE_RATE, find_songs, read  # noqa: E402
from moodcurve.features import frames  # noqa: E402
from moodcurve.metrics import rmse  # noqa: E402
from moodcurve.model import DIMENSIONS  # noqa: E402
from moodcurve.rows import gain_of, levelled_rows_of  # noqa: E402

CLIPS = Path(__file__).parents[2] / "shared" / "corpora" / "clips" / "audio"
VOICING = ("F0final", "voicingFinalUnclipped", "jitter", "shimmer", "logHNR")  # 24 columns
LIMITS = (0.95, 0.99, 0.9995)

NOTE = """
What still differs, by family (docs/features.md):
- voicing: which candidate of nearly equal ones is the pitch, and where a period begins, are
  decisions; one that falls otherwise lasts until the next pause. Jitter and shimmer build on both.
- its derivatives are divided by a sum that runs on through the file, as the reference's: the first
  second weighs most, and with it every difference there.
- spectral: samples over full scale, which the reference wraps around; entropy in the first
  milliseconds of a fade-in, where it is taken of one or two units of the 16 bits.
- auditory: a constant factor of the RASTA bands, 0.984 to 1.001.
- energy, cepstral: nothing that shows.
"""

Array = NDArray[Any]
Seconds = dict[str, float]  # of processor time, by what was done; and of audio


class Column(NamedTuple):
    """Agreement in one column; slope and offset of ours over theirs, in units of their spread.

    `itself` is the reference's r with itself, its input delayed by 1 ms.
    """

    name: str
    r: float
    itself: float
    slope: float
    offset: float


def reference() -> Callable[[Array, Seconds], Array]:
    """Make the function that gives the reference's rows of a song, columns as `FEATURE_NAMES`."""
    import opensmile

    compare_2016, levels = opensmile.FeatureSet.ComParE_2016, opensmile.FeatureLevel
    passes = {
        "descriptors": opensmile.Smile(compare_2016, levels.LowLevelDescriptors),
        "derivatives": opensmile.Smile(compare_2016, levels.LowLevelDescriptors_Deltas),
    }
    names = [name.removesuffix("_amean") for name in features.FEATURE_NAMES[1::2]]
    names = [name.removeprefix("pcm_fftMag_") if "mfcc" in name else name for name in names]

    def rows(samples: Array, seconds: Seconds) -> Array:
        values: dict[str, Any] = {}
        for done, smile in passes.items():
            start = time.process_time()
            values |= dict(smile.process_signal(samples, SAMPLE_RATE).items())
            seconds[done] += time.process_time() - start
        count = min(map(len, values.values()))  # the derivatives have two more
        table = np.column_stack([values[name][:count] for name in names]).astype(np.float64)
        windows = np.lib.stride_tricks.sliding_window_view(table, 100, axis=0)[::50]
        both = np.stack([windows.std(axis=2), windows.mean(axis=2)], axis=2)
        return both.reshape(len(windows), 2 * len(names))

    return rows


def our_rows(samples: Array, seconds: Seconds) -> Array:
    start = time.process_time()
    values = features.descriptors([samples])
    rows = features.summarise(values, features.row_count(len(values)))
    seconds["ours"] += time.process_time() - start
    return rows.astype(np.float64)


def two_transforms(samples: Array, seconds: Seconds) -> None:
    """The floor: windowed transforms of 1024 and 4096 points every 10 ms, and nothing else."""
    short, long = frames.short_spectra(), frames.long_spectra()
    start = time.process_time()
    for first in range(0, len(samples) - 250 * frames.STEP - frames.LONG, 250 * frames.STEP):
        step = samples[first : first + 250 * frames.STEP + frames.LONG]
        short(step, 250)
        long(step, 250)
    seconds["transforms"] += time.process_time() - start


def timed_read(song: Path, seconds: Seconds) -> Array:
    start = time.process_time()
    samples = read(song)
    seconds["decoding"] += time.process_time() - start
    return samples


def extract(song: Path) -> int:
    """What a process does in `scaling`; gives the number of frames."""
    return len(features.descriptors([read(song)]))


def scaling(songs: list[Path]) -> float:
    """How many times as fast two processes are as one, by the clock, on all songs twice."""
    seconds = []
    for processes in (1, 2):
        with ProcessPoolExecutor(processes) as pool:
            list(pool.map(extract, songs[:1] * processes))  # started and warm
            start = time.perf_counter()
            list(pool.map(extract, [*songs, *songs]))
            seconds.append(time.perf_counter() - start)
    return seconds[0] / seconds[1]


def compare(ours: Array, theirs: Array, delayed: Array) -> list[Column]:
    """Regress our columns on theirs, over the rows of all songs; the worst first."""
    columns = []
    pitched = theirs[:, features.FEATURE_NAMES.index("F0final_sma_amean")] > 0
    for name, *values in zip(features.FEATURE_NAMES, ours.T, theirs.T, delayed.T, strict=True):
        y, x, z = (v[pitched] if name.startswith(VOICING) else v for v in values)
        slope = np.mean((x - x.mean()) * (y - y.mean())) / x.std() ** 2
        r, itself = np.corrcoef(x, y)[0, 1], np.corrcoef(x, z)[0, 1]
        offset = (y - x).mean() / x.std()
        columns.append(Column(name, *map(float, (r, itself, slope, offset))))
    return sorted(columns, key=lambda column: column.r)


def interchange(
    songs: list[Path], their_rows: Callable[[Array, Seconds], Array]
) -> dict[str, float]:
    """How far two curves of a song differ, by our rows and by theirs: the largest RMSE of each.

    The song is at the level that models hear it at. Harmony and the listener, which the reference
    does not have, are ours in both.
    """
    rows2curve = Rows2Curve()
    largest = dict.fromkeys(DIMENSIONS, 0.0)
    for song in songs:
        samples = read(song)
        gain = gain_of([samples])
        ours = levelled_rows_of([samples], gain)
        theirs = their_rows(np.float32(gain) * samples, defaultdict(float))
        count = min(len(ours), len(theirs))
        mixed = np.hstack([theirs[:count], ours[:count, len(features.FEATURE_NAMES) :]])
        curves = [rows2curve(each) for each in (ours[:count], mixed)]
        found = {d: rmse(*(getattr(curve, d) for curve in curves)) for d in DIMENSIONS}
        print(f"  {song.name:30}" + "".join(f"{d} {e:.4f}   " for d, e in found.items()))
        largest = {d: max(largest[d], found[d]) for d in DIMENSIONS}
    return largest


def summary(columns: list[Column]) -> dict[str, Any]:
    """Median r, and how many columns reach each limit."""
    r = np.array([column.r for column in columns])
    reached = {str(limit): int((r >= limit).sum()) for limit in LIMITS}
    return {"columns": len(r), "median_r": float(np.median(r)), "at_least": reached}


def show(columns: list[Column], groups: dict[str, Any], cost: dict[str, float]) -> None:
    print(f"{'column':40}{'r':>9}{'itself':>9}{'slope':>9}{'offset':>9}")
    for name, r, itself, slope, offset in columns:
        print(f"{name:40}{r:9.5f}{itself:9.5f}{slope:9.4f}{offset:9.4f}")
    for name, group in groups.items():
        reached = ", ".join(f"{n} >= {limit}" for limit, n in group["at_least"].items())
        print(f"\n{name}: {group['columns']} columns, median r {group['median_r']:.5f}; {reached}")
    print(NOTE)
    print("processor seconds per minute of audio, this run:")
    print(f"  ours, descriptors, derivatives and rows    {cost['ours']:6.2f}")
    print(f"  the two transforms alone                   {cost['transforms']:6.2f}")
    print(f"  reference, the descriptors' pass           {cost['descriptors']:6.2f}")
    print(f"  reference, the derivatives' pass           {cost['derivatives']:6.2f}")
    print("The package needs both passes; one is the fair figure, as one could give both results.")
    print(
        f"One pass takes {cost['descriptors'] / cost['ours']:.1f} times as long as ours, ours "
        f"{cost['ours'] / cost['transforms']:.1f} times as long as the two transforms."
    )
    with_decoding = cost["ours"] + cost["decoding"]
    print(f"With decoding, ours takes {with_decoding:.2f} s: one pass takes ", end="")
    print(f"{cost['descriptors'] / with_decoding:.1f} times as long.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder of recordings")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    songs, _ = find_songs([options.clips])
    if not songs:
        print(f"skipped: no recordings in {options.clips}; give a folder of them with --clips")
        return
    try:
        their_rows = reference()
    except ImportError:
        print("skipped: the reference is not installed; run: pip install 'moodcurve[reference]'")
        return
    kinds = ("audio", "decoding", "ours", "transforms", "descriptors", "derivatives")
    seconds: Seconds = dict.fromkeys(kinds, 0.0)
    ours, theirs, delayed = [], [], []
    for song in songs:
        samples = timed_read(song, seconds)
        seconds["audio"] += len(samples) / SAMPLE_RATE
        two_transforms(samples, seconds)
        later = their_rows(samples[round(0.001 * SAMPLE_RATE) :], dict.fromkeys(kinds, 0.0))
        all_rows = our_rows(samples, seconds), their_rows(samples, seconds), later
        count = min(map(len, all_rows))  # one side may have a last row more
        for kept, rows in zip((ours, theirs, delayed), all_rows, strict=True):
            kept.append(rows[:count])
    columns = compare(*map(np.concatenate, (ours, theirs, delayed)))
    inside = [column for column in columns if column.name.startswith(VOICING)]
    groups = {
        "outside the voicing group": summary([c for c in columns if c not in inside]),
        "voicing group": summary(inside),
        "voicing group, derivatives left out": summary([c for c in inside if "_de_" not in c.name]),
    }
    cost = {done: spent / seconds["audio"] * 60 for done, spent in seconds.items()}
    print(f"{len(songs)} recordings, {seconds['audio']:.0f} s, {sum(map(len, ours))} rows\n")
    show(columns, groups, cost)
    print("\ncurves of the shipped model from the reference's rows and from ours, RMSE:")
    furthest = interchange(songs, their_rows)
    print(f"\ntwo processes are {scaling(songs):.2f} times as fast as one (by the clock)")
    if options.json:
        figures = {
            "columns": [c._asdict() for c in columns],
            "groups": groups,
            "seconds": cost,
            "interchange": furthest,
        }
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
