"""What a curve costs: time and memory of each stage, and how the cost grows with the song.

    python benchmarks/predict.py [SONG] [--model default]

Without SONG, the example song is repeated to four minutes and written as mp3. One thread. The
listener's floor is the time of its multiplications at the speed of a large matrix product.
"""

import argparse
import os
import resource
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy is imported

import numpy as np  # noqa: E402
import soundfile  # noqa: E402

from moodcurve.audio import SAMPLE_RATE, read, read_blocks  # noqa: E402
from moodcurve.features import Harmony, Listener  # noqa: E402
from moodcurve.model import Model, load  # noqa: E402
from moodcurve.predict import File2Curve, fuse, network_outputs  # noqa: E402
from moodcurve.rows import all_rows_of, gain_of, rows_of  # noqa: E402

LISTENER_PRODUCTS = 0.77e6  # multiplications a frame of the filters that are not dead
LISTENER_FRAMES = 62.5  # a second

EXAMPLE = Path(__file__).parents[1] / "examples" / "four_moods.ogg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("song", nargs="?", type=Path)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    model = load(options.model)
    with tempfile.TemporaryDirectory() as folder:
        song = options.song or repeated(EXAMPLE, 4, Path(folder))
        stages(song, model)
        growth(options.song or EXAMPLE, model, Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nmost memory the whole process ever held: {peak:.0f} MB")


def stages(song: Path, model: Model) -> None:
    """Time and peak of allocations of each stage of one song."""
    blocks = list(read_blocks(song))
    minutes = sum(map(len, blocks)) / SAMPLE_RATE / 60
    rows = all_rows_of(lambda: blocks, model.window)
    inputs = model.inputs(rows)
    outputs = network_outputs(model, inputs)
    print(f"{song.name}: {minutes:.1f} minutes, model {model.about['name']}\n")
    print(f"{'stage':24}{'seconds':>10}{'s / minute':>12}{'peak MB':>10}")
    total = 0.0
    for name, stage in (
        ("decode, twice", lambda: [None for _ in range(2) for _ in read_blocks(song)]),
        ("loudness", lambda: gain_of(blocks)),
        ("features", lambda: rows_of(blocks, model.window)),
        ("harmony", lambda: [*map(Harmony().push, blocks)]),
        ("listener", lambda: [*map(Listener().push, blocks)]),
        ("context", lambda: model.inputs(rows)),
        ("networks, 4 scales", lambda: network_outputs(model, inputs)),
        ("fusion", lambda: [fuse(f, outputs[d]) for d, f in model.fusions.items()]),
    ):
        seconds, peak = timed(stage), allocated(stage)
        total += seconds
        print(f"{name:24}{seconds:10.3f}{seconds / minutes:12.4f}{peak:10.1f}")
    print(f"{'all':24}{total:10.3f}{total / minutes:12.4f}")
    print(f"\n{60 * minutes / total:.0f} times faster than the music plays, on one core")
    floor = LISTENER_PRODUCTS * LISTENER_FRAMES * 60 / products_a_second()
    print(f"the listener's floor: {floor:.3f} s / minute")


def products_a_second() -> float:
    """Multiplications (each with its addition) a second within a large matrix product."""
    size = 1024
    matrix = np.ones((size, size), np.float32)
    return size**3 / timed(lambda: matrix @ matrix)


def growth(song: Path, model: Model, folder: Path) -> None:
    """Seconds a minute of music, from file to curve, for songs of growing length."""
    print(f"\n{'minutes of music':24}{'seconds':>10}{'s / minute':>12}")
    file2curve = File2Curve(model)
    for minutes in (1, 4, 16):
        path = repeated(song, minutes, folder)
        seconds = timed(lambda path=path: file2curve(path))
        print(f"{minutes:<24}{seconds:10.3f}{seconds / minutes:12.4f}")


def timed(stage: Callable[[], Any], runs: int = 3) -> float:
    """Least of a few runs, in seconds: the one least disturbed by others on the machine."""
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        stage()
        found.append(time.perf_counter() - start)
    return min(found)


def allocated(stage: Callable[[], Any]) -> float:
    """Peak of what the stage allocates on top of its input, in MB."""
    tracemalloc.start()
    stage()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6


def repeated(song: Path, minutes: int, folder: Path) -> Path:
    """The song over and over, as an mp3 of that length."""
    audio = read(song)
    path = folder / f"{minutes}min.mp3"
    whole = np.resize(audio, minutes * 60 * SAMPLE_RATE)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, format="MP3") as file:
        for start in range(0, len(whole), SAMPLE_RATE):
            file.write(whole[start : start + SAMPLE_RATE])
    return path


if __name__ == "__main__":
    main()
