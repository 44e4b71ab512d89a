"""The ladder: rows -> curve, audio -> curve, file -> curve; each step adds one to the one before.

curve = File2Curve()("song.mp3")
curve.to_csv("song.csv")
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodcurve import __version__, features
from moodcurve.audio import SAMPLE_RATE, read_blocks, resample, sample_rate
from moodcurve.context import listener_alone
from moodcurve.curve import Band, Curve
from moodcurve.errors import InputError
from moodcurve.familiarity import STRANGE, nearest
from moodcurve.features import COLUMNS, FAMILIES, FEATURE_NAMES
from moodcurve.fusion import elm_output, settled, supervectors
from moodcurve.model import DEFAULT, DIMENSIONS, Fusion, Model, load
from moodcurve.network import Array, Network, forward_all
from moodcurve.rows import PAUSE, Sound, all_rows_of, rows_of
from moodcurve.sequences import cut, stitch
from moodcurve.spread import LEVEL, below_zero, edges

_AT_ONCE = 1800  # half-seconds that networks read at once
_LOUDNESS = FEATURE_NAMES.index("pcm_RMSenergy_sma_amean")


class Rows2Curve:
    """Feature rows -> curve. `model` is the name of an installed model, a path, or a `Model`."""

    def __init__(self, model: str | Path | Model = DEFAULT) -> None:
        self.model = model if isinstance(model, Model) else load(model)

    def __call__(self, rows: np.ndarray, about: dict[str, Any] | None = None) -> Curve:
        """Predict a curve, with its band and the song's familiarity if the model knows them.

        Rows whose whole window is digital silence have no emotion to speak of: their value is
        neutral, 0, and so are the edges of their band. Nor do they take part in anything else: what
        is predicted of the other rows is as if they were not there, and after a silence of
        `rows.PAUSE` half-seconds or more it is as if the song began.

        Args:
            rows: (n, 483) features every half-second, columns as `features.COLUMNS`; the first 260
                do for a model that knows the official features only. All official features or all
                of harmony may be NaN, not known, for a model that hears the listener.
            about: what else to note in the curve, such as the song's name.

        Raises:
            InputError: for rows of another shape, or with NaN or infinity.
        """
        rows = np.asarray(rows)
        widths = (len(FEATURE_NAMES), len(COLUMNS))
        if rows.ndim != 2 or rows.shape[1] not in widths or not len(rows):
            raise InputError(f"rows: shape {rows.shape}; give (half-seconds, {len(COLUMNS)})")
        self._check(rows)
        silent = rows[:, _LOUDNESS] == 0
        sounding = [part for part in stretches(silent) if len(part)] or [np.arange(len(rows))]
        heard = [(part, self.model.inputs(rows[part])) for part in sounding]
        inputs = np.concatenate([own for _, own in heard])
        outputs = _joined([network_outputs(self.model, own) for _, own in heard])
        values = _joined([self._fused(own) for own in _parted(outputs, sounding)])
        band, found = self._band(inputs, outputs, values)
        clipped = {}
        for name, curve in {**values, **band}.items():
            clipped[name] = np.zeros(len(rows))
            clipped[name][np.concatenate(sounding)] = np.clip(curve, -1, 1)
            clipped[name][silent] = 0.0
        return Curve(
            clipped["valence"],
            clipped["arousal"],
            about={**(about or {}), **self._origin(), **found, "silent_rows": int(silent.sum())},
            band=Band(**{edge: clipped[edge] for edge in band}) if band else None,
        )

    def _check(self, rows: np.ndarray) -> None:
        """Raise InputError for NaN or infinity, but in a family that is not known of the song."""
        known = np.isfinite(rows)
        for family, place in FAMILIES.items():
            optional = family != "listener" and self.model.listener
            if optional and np.isnan(rows[:, place]).all():
                known[:, place] = True
        if not known.all():
            raise InputError("rows: NaN or infinity among the features; extract them again")

    def _fused(self, outputs: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        return {d: fuse(fusion, outputs[d]) for d, fusion in self.model.fusions.items()}

    def _band(
        self,
        inputs: Array,
        outputs: Mapping[str, NDArray[np.float64]],
        values: Mapping[str, NDArray[np.float64]],
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]:
        """The edges of the band by name, none where nobody measured; and what to note of it."""
        if self.model.familiarity is None:
            return {}, {"band": None}
        distances = self.model.familiarity.place(inputs)
        percentile = self.model.familiarity.percentile(nearest(distances))
        found: dict[str, Any] = {
            "familiarity": {"percentile": round(percentile, 1), "familiar": percentile <= STRANGE}
        }
        spreads = {d: f.spread for d, f in self.model.fusions.items() if f.spread}
        if not spreads:
            return {}, {**found, "band": None}
        deviations = {d: spread.deviation(outputs[d], distances) for d, spread in spreads.items()}
        band: dict[str, NDArray[np.float64]] = {}
        for own, other in (DIMENSIONS, DIMENSIONS[::-1]):
            below = below_zero(values[other], deviations[other])
            low, high = edges(values[own], deviations[own], below, spreads[own].factors)
            band |= {f"{own}_low": low, f"{own}_high": high}
        return band, {**found, "band": {"level": LEVEL}}

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
        samples = [resample(audio, sample_rate)]
        return self.of_sound(lambda: samples, {})

    def of_sound(self, sound: Sound, about: dict[str, Any]) -> Curve:
        """Predict the curve of a song whose blocks, mono at 44.1 kHz, are given as often as asked.

        They are read twice, the first time for the song's loudness; once for a model that knows the
        official features only.
        """
        model = self.rows2curve.model
        if model.official_only:
            return self.rows2curve(rows_of(sound(), model.window), about)
        return self.rows2curve(all_rows_of(sound, model.window), about)


class File2Curve:
    """Sound file -> curve, read in blocks: an hour needs little more memory than a minute."""

    def __init__(self, model: str | Path | Model = DEFAULT) -> None:
        self.audio2curve = Audio2Curve(model)

    def __call__(
        self, path: str | Path, on_seconds: Callable[[float], object] = lambda seconds: None
    ) -> Curve:
        """Predict the curve of a wav, flac, mp3, ogg, opus (or m4a) file. Raises InputError.

        `on_seconds` is called after each block with the seconds of audio in it, for progress; with
        0 while the file is read for its loudness only, see `Audio2Curve.of_sound`.
        """
        path = Path(path)
        about: dict[str, Any] = {"song": path.stem, "file": path.name}
        first_traced = 0 if self.audio2curve.rows2curve.model.official_only else 1
        reading = count()

        def blocks() -> Iterator[np.ndarray]:
            traced = next(reading) >= first_traced
            for block in read_blocks(path):
                yield block
                on_seconds(traced * len(block) / SAMPLE_RATE)
            about["sample_rate"] = sample_rate(path)  # asked of a file that is known to be sound

        return self.audio2curve.of_sound(blocks, about)


def stretches(silent: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """The half-seconds of each stretch of a song that are not silent.

    `silent` is (n,). A silence of `PAUSE` half-seconds or more parts two stretches; a shorter one
    is left out of the stretch that it is in.
    """
    sounding = np.flatnonzero(~silent)
    return np.split(sounding, np.flatnonzero(np.diff(sounding) > PAUSE) + 1)


def _joined(
    parts: Sequence[Mapping[str, NDArray[np.float64]]],
) -> dict[str, NDArray[np.float64]]:
    """Arrays (..., n) by name of several stretches, one after the other."""
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}


def _parted(
    whole: Mapping[str, NDArray[np.float64]], parts: Sequence[NDArray[np.intp]]
) -> list[dict[str, NDArray[np.float64]]]:
    """Undo `_joined`; of `parts` the lengths count."""
    ends = np.cumsum([len(part) for part in parts])[:-1]
    split = {name: np.split(values, ends, axis=-1) for name, values in whole.items()}
    return [{name: split[name][i] for name in split} for i in range(len(parts))]


def network_outputs(model: Model, inputs: Array) -> dict[str, NDArray[np.float64]]:
    """What the networks of each dimension say of a song's inputs (n, F): (G, S, n) each."""
    said: dict[tuple[int, bool], NDArray[np.float64]] = {}  # of networks that are both's only once
    found = {}
    for dimension, fusion in model.fusions.items():
        key = id(fusion.groups), fusion.by_listener
        if key not in said:
            heard = listener_alone(inputs, model.listener) if fusion.by_listener else inputs
            said[key] = groups_outputs(fusion.groups, model.scales, heard)
        found[dimension] = said[key][..., fusion.output]
    return found


def fuse(fusion: Fusion, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """One dimension's prediction from its networks' outputs (G, S, n): (n,), not yet clipped.

    The outputs of each group become supervectors, the supervectors go through the ELM, and the
    groups' fused predictions are averaged (paper, sections 2.3 and 3.5); then `settled`.
    """
    elm = fusion.elm_weights, fusion.elm_bias, fusion.elm_beta
    fused = np.stack([elm_output(supervectors(group), *elm) for group in outputs])
    curves = fused.mean(axis=0, dtype=np.float64), outputs.mean(axis=(0, 1), dtype=np.float64)
    return settled(*curves, fusion.elm_share, fusion.smoothing).astype(np.float64)


def groups_outputs(
    groups: Sequence[Sequence[Network]], scales: Sequence[int], inputs: Array
) -> NDArray[np.float64]:
    """Outputs (G, S, n, N) of groups of one network a scale on a song's inputs (n, F).

    The song is cut into sequences of each scale's length; all groups' networks of a scale run at
    once, on some sequences after others, so that memory hardly grows with the song.
    """
    found = []
    for scale, networks in zip(scales, zip(*groups, strict=True), strict=True):
        pieces = cut(inputs, scale)
        few = max(1, _AT_ONCE // pieces.shape[1])
        parts = [pieces[first : first + few] for first in range(0, len(pieces), few)]
        outputs = np.concatenate([forward_all(networks, part) for part in parts], axis=1)
        found.append([stitch(said, len(inputs)) for said in outputs])
    return np.array(found, np.float64).swapaxes(0, 1)


def scale_outputs(
    networks: Sequence[Network], scales: Sequence[int], inputs: Array
) -> NDArray[np.float64]:
    """First outputs (S, n) of one network a scale on a song's inputs (n, F)."""
    found: NDArray[np.float64] = groups_outputs((networks,), scales, inputs)[0, ..., 0]
    return found
