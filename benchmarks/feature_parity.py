"""How far the 260 features agree with those of the reference program, and what both cost.

    OMP_NUM_THREADS=1 python benchmarks/feature_parity.py [--clips FOLDER] [--json FILE]

The reference is the `opensmile` package (extra `reference`), used as a black box: its ComParE_2016
descriptors and their derivatives of the mono mix, summarised here as the official files are. Its
licence is for research; nothing of it goes into a model. Compared row by row, 1.0 s every 0.5 s.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodcurve.audio import SAMPLE_RATE, find_songs, read
from moodcurve.features import FEATURE_NAMES, HOP, WINDOW, descriptors, row_count, summarise
from moodcurve.features.frames import FRAMES_PER_SECOND

CLIPS = Path(__file__).parents[2] / "shared" / "corpora" / "clips" / "audio"
VOICING = ("F0final", "voicingFinalUnclipped", "jitter", "shimmer", "logHNR")  # 24 columns
LIMITS = (0.95, 0.99, 0.9995)

NOTE = """\
Known difference: the reference divides the derivatives of the six voicing descriptors by a sum that
is never reset. Each pair of frames t - i, t + i, i = 1, 2, neither of them 0, of each of the six adds
i^2 to one total for the whole file; so these derivatives shrink toward 0 along the file (measured:
docs/features.md). Here they are the true slopes within voiced stretches: the derivatives' half of
the 24 columns cannot correlate."""

Rows = NDArray[np.float64]


@dataclass
class Column:
    """Agreement in one column; slope and offset of ours over theirs, in units of their spread."""

    name: str
    r: float
    slope: float
    offset: float


@dataclass
class Seconds:
    """Processor time."""

    audio: float = 0.0
    ours: float = 0.0
    reference_descriptors: float = 0.0
    reference_derivatives: float = 0.0


class Reference:
    """The reference's rows of a song, by its Python package."""

    def __init__(self) -> None:
        import opensmile

        levels = opensmile.FeatureLevel
        self._passes = {
            "reference_descriptors": levels.LowLevelDescriptors,
            "reference_derivatives": levels.LowLevelDescriptors_Deltas,
        }
        self._smiles = {
            name: opensmile.Smile(opensmile.FeatureSet.ComParE_2016, level)
            for name, level in self._passes.items()
        }

    def __call__(self, samples: NDArray[np.float32], seconds: Seconds) -> Rows:
        """Means and population standard deviations over windows, columns as `FEATURE_NAMES`."""
        halves = []
        for name, smile in self._smiles.items():
            start = time.process_time()
            frame = smile.process_signal(samples, SAMPLE_RATE)
            setattr(seconds, name, getattr(seconds, name) + time.process_time() - start)
            halves.append(frame)
        values = dict(pair for frame in halves for pair in frame.items())
        names = [name.removesuffix("_amean") for name in FEATURE_NAMES[1::2]]
        frames = min(map(len, halves))
        table = np.column_stack(
            [values[n.removeprefix("pcm_fftMag_") if "mfcc" in n else n][:frames] for n in names]
        ).astype(np.float64)
        step, width = round(HOP * FRAMES_PER_SECOND), round(WINDOW * FRAMES_PER_SECOND)
        windows = np.lib.stride_tricks.sliding_window_view(table, width, axis=0)[::step]
        return np.stack([windows.std(axis=2), windows.mean(axis=2)], axis=2).reshape(
            len(windows), len(FEATURE_NAMES)
        )


def our_rows(samples: NDArray[np.float32], seconds: Seconds) -> Rows:
    start = time.process_time()
    values = descriptors([samples])
    rows = summarise(values, row_count(len(values)))
    seconds.ours += time.process_time() - start
    return rows.astype(np.float64)


def compare(ours: Rows, theirs: Rows) -> list[Column]:
    """Regress our columns on theirs, over all rows of all songs; the worst first."""
    columns = []
    for name, y, x in zip(FEATURE_NAMES, ours.T, theirs.T, strict=True):
        spread = x.std()
        covariance = np.mean((x - x.mean()) * (y - y.mean()))
        r = covariance / (spread * y.std()) if spread * y.std() > 0 else 0.0
        slope = covariance / spread**2 if spread > 0 else 0.0
        offset = (y.mean() - x.mean()) / spread if spread > 0 else 0.0
        columns.append(Column(name, float(r), float(slope), float(offset)))
    return sorted(columns, key=lambda column: column.r)


def summary(columns: list[Column]) -> dict[str, Any]:
    """Median r, and how many columns reach each limit."""
    r = np.array([column.r for column in columns])
    reached = {str(limit): int((r >= limit).sum()) for limit in LIMITS}
    return {"columns": len(r), "median_r": float(np.median(r)), "at_least": reached}


def cost(seconds: Seconds) -> dict[str, float]:
    """Processor seconds per minute of audio, and how many times ours is faster than one pass."""
    minutes = seconds.audio / 60
    per_minute = {k: v / minutes for k, v in asdict(seconds).items() if k != "audio"}
    return {**per_minute, "times_faster": seconds.reference_descriptors / seconds.ours}


def show(columns: list[Column], groups: dict[str, dict[str, Any]], costs: dict[str, float]) -> None:
    print(f"{'column':52}{'r':>9}{'slope':>9}{'offset':>9}")
    for column in columns:
        print(f"{column.name:52}{column.r:9.5f}{column.slope:9.4f}{column.offset:9.4f}")
    for name, group in groups.items():
        reached = ", ".join(f"{n} >= {limit}" for limit, n in group["at_least"].items())
        print(f"\n{name}: {group['columns']} columns, median r {group['median_r']:.5f}; {reached}")
    print(f"\n{NOTE}\n")
    print("seconds per minute of audio, processor time, this run:")
    print(f"  ours, descriptors and rows     {costs['ours']:7.3f}")
    print(f"  reference, one pass            {costs['reference_descriptors']:7.3f}")
    print(f"  reference, derivatives' pass   {costs['reference_derivatives']:7.3f}")
    print(
        f"  ours is {costs['times_faster']:.1f} times faster than one pass. The Python package needs"
        "\n  two for descriptors and derivatives; one is the fair figure, as the program could give"
        "\n  both in one."
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder of recordings")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    songs, _ = find_songs([options.clips])
    if not songs:
        print(f"skipped: no recordings in {options.clips}; give a folder of songs with --clips")
        return
    try:
        reference = Reference()
    except ImportError:
        print("skipped: the reference is not installed; run: pip install 'moodcurve[reference]'")
        return
    seconds = Seconds()
    ours, theirs = [], []
    for song in songs:
        samples = read(song)
        seconds.audio += len(samples) / SAMPLE_RATE
        mine, other = our_rows(samples, seconds), reference(samples, seconds)
        count = min(len(mine), len(other))
        ours.append(mine[:count])
        theirs.append(other[:count])
    columns = compare(np.concatenate(ours), np.concatenate(theirs))
    inside = [column for column in columns if column.name.startswith(VOICING)]
    groups = {
        "outside the voicing group": summary([c for c in columns if c not in inside]),
        "voicing group": summary(inside),
        "voicing group, without derivatives": summary([c for c in inside if "_de_" not in c.name]),
    }
    costs = cost(seconds)
    print(f"{len(songs)} recordings, {seconds.audio:.0f} s, {sum(map(len, ours))} rows\n")
    show(columns, groups, costs)
    if options.json:
        figures = {"columns": list(map(asdict, columns)), "groups": groups, "cost": costs}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
