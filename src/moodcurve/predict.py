"""The ladder: rows -> curve, audio -> curve, file -> curve; each step adds one to the one before.

curve = File2Curve()("song.mp3")
curve.to_csv("song.csv")
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodcurve import __version__, features
from moodcurve.audio import SAMPLE_RATE, read_blocks, resample
from moodcurve.curve import Curve
from moodcurve.errors import InputError
from moodcurve.features import COLUMNS, FEATURE_NAMES
from moodcurve.fusion import elm_output, supervectors
from moodcurve.model import DEFAULT, Fusion, Model, load
from moodcurve.network import Array, Network, forward
from moodcurve.rows import rows_of
from moodcurve.sequences import cut, stitch

_LOUDNESS = FEATURE_NAMES.index("pcm_RMSenergy_sma_amean")


class Rows2Curve:
    """Feature rows -> curve. `model` is the name of an installed model, a path, or a `Model`."""

    def __init__(self, model: str | Path | Model = DEFAULT) -> None:
        self.model = model if isinstance(model, Model) else load(model)

    def __call__(self, rows: np.ndarray, about: dict[str, Any] | None = None) -> Curve:
        """Predict a curve.

        Rows whose whole window is digital silence have no emotion to speak of: their value is
        neutral, 0.

        Args:
            rows: (n, 260) features every half-second, columns as `features.FEATURE_NAMES`, or
                (n, 283), as `features.COLUMNS`.
            about: what else to note in the curve, such as the song's name.

        Raises:
            InputError: for rows of another shape, or with NaN or infinity.
        """
        rows = np.asarray(rows)
        widths = (len(FEATURE_NAMES), len(COLUMNS))
        if rows.ndim != 2 or rows.shape[1] not in widths or not len(rows):
            raise InputError(f"rows: shape {rows.shape}; give (half-seconds, {len(FEATURE_NAMES)})")
        if not np.isfinite(rows).all():
            raise InputError("rows: NaN or infinity among the features; extract them again")
        standard = self.model.standardise(rows[:, : len(FEATURE_NAMES)])
        silent = rows[:, _LOUDNESS] == 0
        values = {
            dimension: np.where(
                silent, 0.0, np.clip(fuse(fusion, self.model.scales, standard), -1, 1)
            )
            for dimension, fusion in self.model.fusions.items()
        }
        return Curve(
            values["valence"],
            values["arousal"],
            about={**(about or {}), **self._origin(), "silent_rows": int(silent.sum())},
        )

    def _origin(self) -> dict[str, Any]:
        about = self.model.about
        return {
            "scale": {
                "valence": "-1 unpleasant .. 1 pleasant, 0 neutral",
                "arousal": "-1 calm .. 1 excited, 0 neutral",
            },
            "model": {"name": about["name"], "trained_on": about["training"]["corpora"]},
            "licence": about["licence"],
            "features": {"extractor": features.VERSION, "window_s": self.model.window},
            "moodcurve": __version__,
        }


class Audio2Curve:
    """Audio -> curve. `model` as for `Rows2Curve`."""

    def __init__(self, model: str | Path | Model = DEFAULT) -> None:
        self.rows2curve = Rows2Curve(model)

    def __call__(self, audio: np.ndarray, sample_rate: int) -> Curve:
        """Predict the curve of samples (n,) or (n, channels) in [-1, 1]; errors of `resample`."""
        return self.of_blocks([resample(audio, sample_rate)], {})

    def of_blocks(self, blocks: Iterable[np.ndarray], about: dict[str, Any]) -> Curve:
        """Predict the curve of mono float32 audio at 44.1 kHz that comes in blocks."""
        return self.rows2curve(rows_of(blocks, self.rows2curve.model.window), about)


class File2Curve:
    """Sound file -> curve, read in blocks: an hour needs little more memory than a minute."""

    def __init__(self, model: str | Path | Model = DEFAULT) -> None:
        self.audio2curve = Audio2Curve(model)

    def __call__(
        self, path: str | Path, on_seconds: Callable[[float], object] = lambda seconds: None
    ) -> Curve:
        """Predict the curve of a wav, flac, mp3, ogg, opus (or m4a) file. Raises InputError.

        `on_seconds` is called after each block with the seconds of audio in it, for progress.
        """
        path = Path(path)

        def blocks() -> Iterator[np.ndarray]:
            for block in read_blocks(path):
                yield block
                on_seconds(len(block) / SAMPLE_RATE)

        return self.audio2curve.of_blocks(blocks(), {"song": path.stem, "file": path.name})


def fuse(fusion: Fusion, scales: tuple[int, ...], rows: Array) -> NDArray[np.float64]:
    """One dimension's prediction from standardised rows (n, 260): (n,), not yet clipped.

    The networks' outputs of each group become supervectors, the supervectors go through the ELM,
    and the groups' fused predictions are averaged (paper, sections 2.3 and 3.5).
    """
    fused = [
        elm_output(
            supervectors(scale_outputs(group, scales, rows)),
            fusion.elm_weights,
            fusion.elm_bias,
            fusion.elm_beta,
        )
        for group in fusion.groups
    ]
    mean: NDArray[np.float64] = np.mean(fused, axis=0, dtype=np.float64)
    return mean


def scale_outputs(
    networks: tuple[Network, ...], scales: tuple[int, ...], rows: Array
) -> NDArray[np.float64]:
    """Outputs (S, n) of one network a scale on a song cut into that scale's sequences."""
    outputs = [
        stitch(forward(network, cut(rows, scale)), len(rows))[:, 0]
        for network, scale in zip(networks, scales, strict=True)
    ]
    return np.array(outputs, np.float64)
