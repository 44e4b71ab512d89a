"""The bundle: a trained model on disk, and in memory.

A bundle is a folder with `manifest.json` (what the model is: scales, features, training, figures,
licence) and `weights.npz` (plain arrays, never a pickle). The manifest holds the sha256 of the
weights and of itself; a bundle that does not match is refused with the reason.
"""

import hashlib
import io
import json
import tempfile
import textwrap
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from moodcurve import __version__, features
from moodcurve.context import in_context
from moodcurve.errors import InputError, Unfinished
from moodcurve.familiarity import Familiarity
from moodcurve.features import listener
from moodcurve.files import check_folder, unwritable
from moodcurve.network import Array, Network, from_arrays, to_arrays
from moodcurve.spread import Spread

FORMAT = 4
DEFAULT = "default"
DIMENSIONS = ("valence", "arousal")
_MANIFEST, _WEIGHTS = "manifest.json", "weights.npz"
_SETTLED = ("elm_share", "smoothing")  # of both fusions alike
_JOINT, _FAMILIARITY = "both", "familiarity/"  # prefixes of arrays


@dataclass(frozen=True, eq=False)
class Fusion:
    """What predicts one dimension: groups of networks, one network a scale, and their ELM.

    The supervectors of each group's networks go through the ELM, and the groups' fused
    predictions are averaged (paper, section 3.5; the paper has two groups, here any number), then
    `fusion.settled`.
    Networks may be both dimensions': then the two fusions have the same `groups`, and `output` says
    which of the networks' outputs is this dimension's. With `by_listener`, the dimension is
    predicted from the learned listener's inputs alone, see `context.listener_alone`.
    """

    groups: tuple[tuple[Network, ...], ...]  # (G groups, S scales), scales as in `Model.scales`
    elm_weights: Array  # (3 S, N)
    elm_bias: Array  # (N,)
    elm_beta: Array  # (N,)
    output: int = 0
    elm_share: float = 1.0
    smoothing: int = 1  # half-seconds
    by_listener: bool = False
    spread: Spread | None = None  # of the errors; None where nobody measured them


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model.

    Attributes:
        scales: lengths of the networks' sequences in half-seconds.
        window: seconds of audio that a feature row summarises.
        contexts, listener: half-seconds over which harmony and the learned listener are heard, see
            `context.in_context`; none for a model that knows the 260 official features only.
        mean, deviation: (F,) of each input over the training rows; the deviation is infinite for
            one that the networks do not see: it is 0 for them.
        limit: standardised inputs are clipped to +-limit; None leaves them.
        fusions: valence's and arousal's.
        familiarity: of songs; None where the training songs are not known.
        about: all else that the manifest says: name, licence, training (with the training labels'
            mean, the constant predictor), figures.
    """

    scales: tuple[int, ...]
    window: float
    contexts: tuple[int, ...]
    listener: tuple[int, ...]
    mean: Array
    deviation: Array
    limit: float | None
    fusions: Mapping[str, Fusion]
    familiarity: Familiarity | None
    about: Mapping[str, Any]

    def inputs(self, rows: np.ndarray) -> Array:
        """What the networks see of rows (n, 483): float32 (n, F), standardised.

        Rows (n, 260) do for a model of the official features only. Raises InputError where they do
        not.
        """
        seen = in_context(rows, self.contexts, self.listener)
        return standardise(seen, self.mean, self.deviation, self.limit)

    @property
    def official_only(self) -> bool:
        """Whether the 260 official features, of the sound as it is, are all that it knows."""
        return not self.contexts and not self.listener

    @property
    def joint(self) -> bool:
        """Whether the networks are both dimensions' at once."""
        valence, arousal = (self.fusions[dimension] for dimension in DIMENSIONS)
        return valence.groups is arousal.groups


def standardise(rows: np.ndarray, mean: Array, deviation: Array, limit: float | None) -> Array:
    """(rows - mean) / deviation as float32, clipped to +-limit unless that is None.

    NaN, a family that is not known of the song, becomes 0: the mean.
    """
    z = ((rows - mean) / deviation).astype(np.float32)
    z = np.nan_to_num(z, copy=False, posinf=np.inf, neginf=-np.inf)
    return z if limit is None else np.clip(z, -limit, limit)


def installed() -> list[str]:
    """Names of the models that come with moodcurve."""
    folder = resources.files("moodcurve") / "models"
    items = folder.iterdir() if folder.is_dir() else ()
    return sorted(item.name for item in items if (item / _MANIFEST).is_file())


def find(model: str | Path) -> Path:
    """The bundle's folder for the name of an installed model or a path. Raises InputError."""
    if str(model) in installed():
        return Path(str(resources.files("moodcurve") / "models" / str(model)))
    if not Path(model).exists():
        raise InputError(
            f"{model}: no such model; give the folder of one, or one of: {', '.join(installed())}"
        )
    return Path(model)


def describe(name: str) -> str:
    """A paragraph on an installed model: trained on what, measured how, under which licence."""
    manifest = read_manifest(find(name))
    training, lines = manifest["training"], [name]
    lines += textwrap.wrap(
        f"{', '.join(training['corpora'])}: {training['songs']} songs, "
        f"{training['labelled_rows']} labelled half-seconds",
        width=79,
        initial_indent="  trained on  ",
        subsequent_indent=" " * 14,
    )
    for title, row in manifest["figures"].items():
        lines.append(f"  {title}")
        for dimension in DIMENSIONS:
            figures = ", ".join(f"{key} {value:.3f}" for key, value in row[dimension].items())
            lines.append(f"    {dimension}  {figures}")
    lines.append(f"  licence     {manifest['licence']}")
    return "\n".join(lines)


def save(model: Model, folder: Path) -> None:
    """Write the bundle to `folder`: beside it first, then renamed, replacing a bundle there.

    Raises InputError where something else has that name or it cannot be written, the InputError
    Unfinished where the disk is full.
    """
    check_writable(folder)
    arrays: dict[str, np.ndarray] = {"mean": model.mean, "deviation": model.deviation}
    for dimension, fusion in model.fusions.items():
        whose = _JOINT if model.joint else dimension
        for g, group in enumerate(fusion.groups):
            for scale, network in zip(model.scales, group, strict=True):
                for key, array in to_arrays(network).items():
                    arrays[f"{whose}/{g}/{scale}/{key}"] = array
        for key in ("elm_weights", "elm_bias", "elm_beta"):
            arrays[f"{dimension}/{key}"] = getattr(fusion, key)
        if fusion.spread:
            arrays[f"{dimension}/spread_weights"] = fusion.spread.weights
            arrays[f"{dimension}/spread_squares"] = fusion.spread.squares
            arrays[f"{dimension}/spread_factors"] = fusion.spread.factors
    if model.familiarity:
        arrays |= {f"{_FAMILIARITY}{key}": a for key, a in vars(model.familiarity).items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    manifest = {
        "format": FORMAT,
        "moodcurve": __version__,
        "features": {"extractor": features.VERSION, "window_s": model.window},
        "scales": list(model.scales),
        "contexts": list(model.contexts),
        "listener": list(model.listener),
        "listener_version": listener.about()["version"] if model.listener else None,
        "joint": model.joint,
        "by_listener": [d for d in DIMENSIONS if model.fusions[d].by_listener],
        **{key: getattr(model.fusions[DIMENSIONS[0]], key) for key in _SETTLED},
        "groups": len(model.fusions[DIMENSIONS[0]].groups),
        "limit": model.limit,
        **model.about,
        "weights_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
    }
    manifest["manifest_sha256"] = _fingerprint(manifest)
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    try:
        with tempfile.TemporaryDirectory(prefix=".moodcurve-", dir=folder.parent) as scratch:
            new, old = Path(scratch) / "new", Path(scratch) / "old"
            new.mkdir()
            (new / _WEIGHTS).write_bytes(buffer.getvalue())
            (new / _MANIFEST).write_text(text + "\n", encoding="utf-8")
            if folder.exists():
                folder.rename(old)
            try:
                new.rename(folder)
            except OSError:
                if old.exists():
                    old.rename(folder)
                raise
    except OSError as error:
        raise unwritable(folder, error) from None


def save_or_rescue(model: Model, folder: Path) -> None:
    """`save` a model that took long to train; where that fails, among the temporary files.

    Raises Unfinished then, which says where the model is.
    """
    try:
        save(model, folder)
    except InputError as error:
        try:
            rescued = Path(tempfile.mkdtemp(prefix="moodcurve-")) / folder.name
            try:
                save(model, rescued)
            except InputError:
                rescued.parent.rmdir()
                raise
        except (OSError, InputError):
            lost = "nor is there room among the temporary files: the model is lost, train it again"
            raise Unfinished(f"{error}; {lost}") from None
        raise Unfinished(f"{error}; the model is safe in {rescued}: move it from there") from None


def check_writable(folder: Path) -> None:
    """Raise InputError if a bundle cannot be written to `folder`, or holds the place of others.

    A folder is replaced only where nothing but a bundle's files is in it.
    """
    empty_or_bundle = folder.is_dir() and (
        {item.name for item in folder.iterdir()} <= {_MANIFEST, _WEIGHTS}
    )
    if not folder.name or (folder.exists() and not empty_or_bundle):
        raise InputError(f"{folder}: exists and is not a model; choose another name")
    check_folder(folder.parent)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle, checked. Raises InputError where it is not of use here."""
    path = folder / _MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(manifest, dict):
            raise ValueError
    except OSError:
        raise InputError(f"{folder}: not a model: no {_MANIFEST} in it") from None
    except ValueError:
        raise InputError(f"{path}: corrupt (not JSON); copy or train the model again") from None
    if manifest.get("format") != FORMAT:
        raise InputError(
            f"{folder}: a model of format {manifest.get('format')}, made with moodcurve "
            f"{manifest.get('moodcurve')}; moodcurve {__version__} reads format {FORMAT}: "
            "train it again or install that version"
        )
    if manifest.get("manifest_sha256") != _fingerprint(manifest):
        raise InputError(f"{path}: corrupt or edited (sha256 differs); copy or train it again")
    extractor = manifest["features"]["extractor"]
    if extractor != features.VERSION:
        raise InputError(
            f"{folder}: made with other features ({extractor}) than these "
            f"({features.VERSION}); train it again"
        )
    if manifest["listener"]:
        listener.weights()  # a damaged file is named now, not in the middle of a song
        version = listener.about()["version"]
        if manifest["listener_version"] != version:
            raise InputError(
                f"{folder}: made with another listener ({manifest['listener_version']}) than this "
                f"one ({version}); train it again"
            )
    return manifest


def load(model: str | Path = DEFAULT) -> Model:
    """Read an installed model by its name or a bundle by its path.

    Raises InputError where it is missing, corrupt, from another version or for other features.
    """
    folder = find(model)
    manifest = read_manifest(folder)
    path = folder / _WEIGHTS
    try:
        content = path.read_bytes()
    except OSError:
        raise InputError(f"{path}: missing; copy or train the model again") from None
    if hashlib.sha256(content).hexdigest() != manifest["weights_sha256"]:
        raise InputError(f"{path}: corrupt (sha256 differs); copy or train the model again")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (ValueError, zipfile.BadZipFile):
        raise InputError(f"{path}: not an archive of arrays; train the model again") from None
    scales = tuple(manifest["scales"])
    whose = dict.fromkeys(DIMENSIONS, _JOINT) if manifest["joint"] else {d: d for d in DIMENSIONS}
    groups = {w: _groups(arrays, w, manifest["groups"], scales) for w in set(whose.values())}
    known = _part(arrays, _FAMILIARITY)
    return Model(
        scales=scales,
        window=manifest["features"]["window_s"],
        contexts=tuple(manifest["contexts"]),
        listener=tuple(manifest["listener"]),
        mean=arrays["mean"],
        deviation=arrays["deviation"],
        limit=manifest["limit"],
        fusions={
            dimension: _fusion(
                _part(arrays, f"{dimension}/"),
                groups[whose[dimension]],
                number if manifest["joint"] else 0,
                by_listener=dimension in manifest["by_listener"],
                **{key: manifest[key] for key in _SETTLED},
            )
            for number, dimension in enumerate(DIMENSIONS)
        },
        familiarity=Familiarity(**known) if known else None,
        about={key: manifest[key] for key in ("name", "licence", "training", "figures")},
    )


def _groups(
    arrays: Mapping[str, np.ndarray], whose: str, count: int, scales: tuple[int, ...]
) -> tuple[tuple[Network, ...], ...]:
    return tuple(
        tuple(from_arrays(_part(arrays, f"{whose}/{g}/{scale}/")) for scale in scales)
        for g in range(count)
    )


def _fusion(
    own: Mapping[str, np.ndarray],
    groups: tuple[tuple[Network, ...], ...],
    output: int,
    **further: Any,
) -> Fusion:
    spread = None
    if "spread_weights" in own:
        spread = Spread(own["spread_weights"], own["spread_squares"], own["spread_factors"])
    elm = own["elm_weights"], own["elm_bias"], own["elm_beta"]
    return Fusion(groups, *elm, output, spread=spread, **further)


def _part(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _fingerprint(manifest: Mapping[str, Any]) -> str:
    """sha256 of the manifest but for the fingerprint itself."""
    rest = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
