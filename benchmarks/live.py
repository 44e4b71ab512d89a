"""What following the music costs, and how far the live curve is from the offline one.

    python benchmarks/live.py [SONG] [--model default]

Without SONG, the example song. One thread.
"""

import argparse
import os
import time
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy is imported

import numpy as np  # noqa: E402

from moodcurve import Audio2Curve, InputError, StreamCurve  # noqa: E402
from moodcurve.audio import SAMPLE_RATE, read  # noqa: E402
from moodcurve.model import Model, load  # noqa: E402

EXAMPLE = Path(__file__).parents[1] / "examples" / "four_moods.ogg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("song", nargs="?", type=Path, default=EXAMPLE)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    try:
        model, audio = load(options.model), read(options.song)
    except InputError as error:
        parser.exit(2, f"{error}; or give another with --model\n")
    print(f"{options.song.name}, model {model.about['name']}")
    cost(model, np.resize(audio, 240 * SAMPLE_RATE))
    distance(model, audio)


def cost(model: Model, audio: np.ndarray) -> None:
    """Print seconds of one core a second of sound, and the longest wait after a block."""
    print("\nfour minutes of it, in blocks of 0.1 s, on one core")
    print(f"{'look-ahead':>10}{'real-time factor':>20}{'longest wait':>16}")
    for look_ahead in (0.0, 5.0):
        stream, waits = StreamCurve(model, look_ahead), []
        begin = time.process_time()
        for start in range(0, len(audio), SAMPLE_RATE // 10):
            before = time.perf_counter()
            stream.push(audio[start : start + SAMPLE_RATE // 10])
            waits.append(time.perf_counter() - before)
        factor = (time.process_time() - begin) / (len(audio) / SAMPLE_RATE)
        print(f"{look_ahead:8.0f} s{factor:20.3f}{max(waits):14.3f} s")


def distance(model: Model, audio: np.ndarray) -> None:
    """Print how far the live curves of a song are from its offline curve."""
    offline = Audio2Curve(model)(audio, SAMPLE_RATE)
    print("\nthe song, live against offline: RMSE and Pearson's r over its half-seconds")
    print(f"{'look-ahead':>10}{'valence RMSE':>16}{'r':>8}{'arousal RMSE':>16}{'r':>8}")
    for look_ahead in (0.0, 2.0, 5.0, 10.0):
        moments = list(StreamCurve(model, look_ahead).over([audio]))
        cells = f"{look_ahead:8.0f} s"
        for name in ("valence", "arousal"):
            live, whole = np.array([getattr(m, name) for m in moments]), getattr(offline, name)
            cells += f"{np.sqrt(np.mean((live - whole) ** 2)):16.3f}"
            cells += f"{np.corrcoef(live, whole)[0, 1]:8.3f}"
        print(cells)


if __name__ == "__main__":
    main()
