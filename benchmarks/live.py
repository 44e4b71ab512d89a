"""What following the music costs, and how far the live curve is from the offline one.

    python benchmarks/live.py [SONG] [--model default]

Without SONG, the example song. One thread; the sound comes in blocks of 0.1 s.
"""

import argparse
import os
import time
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy is imported

import numpy as np  # noqa: E402

from moodcurve import Audio2Curve, InputError, Moment, StreamCurve  # noqa: E402
from moodcurve.audio import SAMPLE_RATE, read  # noqa: E402
from moodcurve.model import Model, load  # noqa: E402

EXAMPLE = Path(__file__).parents[1] / "examples" / "four_moods.ogg"
BLOCK = SAMPLE_RATE // 10
LOOK_AHEADS = (0.0, 2.0, 5.0, 10.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("song", nargs="?", type=Path, default=EXAMPLE)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    try:
        model, audio = load(options.model), read(options.song)
    except InputError as error:
        parser.exit(2, f"{error}; or give another with --model\n")
    offline = Audio2Curve(model)(audio, SAMPLE_RATE)
    print(f"{options.song.name}: {len(audio) / SAMPLE_RATE:.0f} s, model {model.about['name']}")
    print(
        "real-time factor: seconds of one core a second of sound; wait: the longest after a block"
    )
    print("distance from the offline curve: RMSE and Pearson's r over the song's half-seconds\n")
    print(f"{'look-ahead':>10}{'factor':>10}{'wait':>10}{'valence':>18}{'arousal':>18}")
    for look_ahead in LOOK_AHEADS:
        moments, seconds, wait = followed(model, audio, look_ahead)
        cells = [f"{look_ahead:8.0f} s", f"{seconds / len(audio) * SAMPLE_RATE:10.3f}"]
        cells.append(f"{wait:8.3f} s")
        for name in ("valence", "arousal"):
            live, whole = np.array([getattr(m, name) for m in moments]), getattr(offline, name)
            rmse, r = np.sqrt(np.mean((live - whole) ** 2)), np.corrcoef(live, whole)[0, 1]
            cells.append(f"{rmse:10.3f}{r:8.3f}")
        print("".join(cells))


def followed(
    model: Model, audio: np.ndarray, look_ahead: float
) -> tuple[list[Moment], float, float]:
    """All moments of the audio, the processor's seconds for them, and the longest wait."""
    stream, moments, waits = StreamCurve(model, look_ahead), [], []
    begin = time.process_time()
    for start in range(0, len(audio), BLOCK):
        before = time.perf_counter()
        moments += stream.push(audio[start : start + BLOCK])
        waits.append(time.perf_counter() - before)
    moments += stream.finish()
    return moments, time.process_time() - begin, max(waits)


if __name__ == "__main__":
    main()
