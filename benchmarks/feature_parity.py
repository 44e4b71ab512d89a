"""How far the 260 features agree with those of the reference program, and what both cost.

    python benchmarks/feature_parity.py [--clips FOLDER] [--json FILE]

The reference is the `opensmile` package (extra `reference`), used as a black box: its ComParE_2016
descriptors and their derivatives of the mono mix, summarised over 1.0 s every 0.5 s. Its licence is
for research; nothing of it goes into a model. One thread.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy is imported

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from moodcurve import features  # noqa: E402
from moodcurve.audio import SAMPLE_RATE, find_songs, read  # noqa: E402

CLIPS = Path(__file__).parents[2] / "shared" / "corpora" / "clips" / "audio"
VOICING = ("F0final", "voicingFinalUnclipped", "jitter", "shimmer", "logHNR")  # 24 columns
LIMITS = (0.95, 0.99, 0.9995)

NOTE = """
Known difference: the reference divides the derivatives of the six voicing descriptors by a sum
that is never reset. Each pair of frames t - i, t + i (i = 1, 2), neither of them 0, of each of the
six adds i^2 to one total for the whole file, so that these derivatives shrink toward 0 along the
file (measured: docs/features.md). Ours are the true slopes within voiced stretches, hence the
derivatives' half of the 24 columns does not correlate.
"""

Array = NDArray[Any]
Seconds = dict[str, float]  # of processor time, by what was done; and of audio


class Column(NamedTuple):
    """Agreement in one column; slope and offset of ours over theirs, in units of their spread."""

    name: str
    r: float
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
        frames = min(map(len, values.values()))  # the derivatives have two more
        table = np.column_stack([values[name][:frames] for name in names]).astype(np.float64)
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


def compare(ours: Array, theirs: Array) -> list[Column]:
    """Regress our columns on theirs, over the rows of all songs; the worst first."""
    columns = []
    for name, y, x in zip(features.FEATURE_NAMES, ours.T, theirs.T, strict=True):
        spread = x.std()
        slope = np.mean((x - x.mean()) * (y - y.mean())) / spread**2
        r = slope * spread / y.std()
        columns.append(Column(name, float(r), float(slope), float((y - x).mean() / spread)))
    return sorted(columns, key=lambda column: column.r)


def summary(columns: list[Column]) -> dict[str, Any]:
    """Median r, and how many columns reach each limit."""
    r = np.array([column.r for column in columns])
    reached = {str(limit): int((r >= limit).sum()) for limit in LIMITS}
    return {"columns": len(r), "median_r": float(np.median(r)), "at_least": reached}


def show(columns: list[Column], groups: dict[str, Any], cost: dict[str, float]) -> None:
    print(f"{'column':44}{'r':>9}{'slope':>9}{'offset':>9}")
    for name, r, slope, offset in columns:
        print(f"{name:44}{r:9.5f}{slope:9.4f}{offset:9.4f}")
    for name, group in groups.items():
        reached = ", ".join(f"{n} >= {limit}" for limit, n in group["at_least"].items())
        print(f"\n{name}: {group['columns']} columns, median r {group['median_r']:.5f}; {reached}")
    print(NOTE)
    print("processor seconds per minute of audio, this run:")
    print(f"  ours, descriptors, derivatives and rows    {cost['ours']:6.2f}")
    print(f"  reference, the descriptors' pass           {cost['descriptors']:6.2f}")
    print(f"  reference, the derivatives' pass           {cost['derivatives']:6.2f}")
    print("The package needs both passes; one is the fair figure, as one could give both results.")
    print(f"One pass takes {cost['descriptors'] / cost['ours']:.1f} times as long as ours.")


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
    seconds: Seconds = dict.fromkeys(("audio", "ours", "descriptors", "derivatives"), 0.0)
    ours, theirs = [], []
    for song in songs:
        samples = read(song)
        seconds["audio"] += len(samples) / SAMPLE_RATE
        both = our_rows(samples, seconds), their_rows(samples, seconds)
        count = min(map(len, both))  # one side may have a last row more
        ours.append(both[0][:count])
        theirs.append(both[1][:count])
    columns = compare(np.concatenate(ours), np.concatenate(theirs))
    inside = [column for column in columns if column.name.startswith(VOICING)]
    groups = {
        "outside the voicing group": summary([c for c in columns if c not in inside]),
        "voicing group": summary(inside),
        "voicing group, derivatives left out": summary([c for c in inside if "_de_" not in c.name]),
    }
    cost = {done: spent / seconds["audio"] * 60 for done, spent in seconds.items()}
    print(f"{len(songs)} recordings, {seconds['audio']:.0f} s, {sum(map(len, ours))} rows\n")
    show(columns, groups, cost)
    if options.json:
        figures = {"columns": [c._asdict() for c in columns], "groups": groups, "seconds": cost}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
