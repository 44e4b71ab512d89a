"""What several test files share: a small model, short songs, a tiny corpus; all made here."""

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, settings

from moodcurve.audio import SAMPLE_RATE
from moodcurve.cli import main
from moodcurve.features import FEATURE_NAMES, WINDOW
from moodcurve.model import DIMENSIONS, Fusion, Model
from moodcurve.network import Dense, Network, Recurrent

SCALES = (10, 20, 30, 60)

# The same examples everywhere, on a slow machine too; `--hypothesis-profile default` tries others.
settings.register_profile(
    "same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")

# A shell's background jobs ignore Ctrl-C, and so would the programs that the tests start and stop.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def random_network(rng: np.random.Generator, units: int = 3) -> Network:
    """One BLSTM layer of `units` a direction and a linear output, all of it random."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.2, shape).astype(np.float32)

    features = len(FEATURE_NAMES)
    blstm = Recurrent(
        draw(2, 4 * units, features),
        draw(2, 4 * units),
        draw(2, 4 * units, units),
        draw(2, 3, units),
    )
    return Network((blstm, Dense(draw(1, 2 * units), draw(1), "identity")))


@pytest.fixture
def model() -> Model:
    """An untrained model of two groups of networks: it says something, but nothing true."""
    rng = np.random.default_rng(0)
    features = len(FEATURE_NAMES)
    fusions = {
        dimension: Fusion(
            groups=tuple(tuple(random_network(rng) for _ in SCALES) for _ in range(2)),
            elm_weights=rng.uniform(-1, 1, (3 * len(SCALES), 7)).astype(np.float32),
            elm_bias=rng.uniform(-1, 1, 7).astype(np.float32),
            elm_beta=rng.normal(0, 0.3, 7).astype(np.float32),
        )
        for dimension in DIMENSIONS
    }
    about = {
        "name": "random",
        "licence": "MIT",
        "training": {
            "corpora": ["none"],
            "songs": 0,
            "labelled_rows": 0,
            "constant": [0.1, -0.2],
            "validation_rmse": {},
        },
        "figures": {},
    }
    mean = rng.normal(size=features).astype(np.float32)
    deviation = rng.uniform(1, 50, features).astype(np.float32)
    return Model(SCALES, WINDOW, (), (), mean, deviation, 5.0, fusions, None, about)


def tone(seconds: float, pitch: float = 220.0, loudness: float = 0.3) -> np.ndarray:
    """A harmonic tone, (n,) float32 at 44.1 kHz."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    partials = sum(np.sin(2 * np.pi * pitch * h * times) / h for h in range(1, 6))
    return (loudness * partials / 2).astype(np.float32)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Ten seconds of a tone, as a wav file."""
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(10), SAMPLE_RATE)
    return path


@pytest.fixture(scope="module")
def kept_process() -> Iterator[None]:
    yield
    from moodcurve.library.trace import end_isolated

    end_isolated()


@pytest.fixture
def one_process(kept_process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let scans in this process share their isolated process, which takes a second to start."""
    monkeypatch.setattr("moodcurve.library.scan.trace.end_isolated", lambda: None)


@pytest.fixture
def run(capsys):
    """Run a command in this process: (exit code, standard output, standard error)."""

    def call(*arguments):
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        return (code, *capsys.readouterr())

    return call
