"""Train a whole model: networks at every scale and partition, and the ELM that fuses them.

For each dimension (or both at once), each scale and each partition one network is trained on the
songs outside the partition's validation set, and stopped early on that set (paper, section 3.2).
The networks of one partition are a group. The ELM learns from what each group says about its own
validation songs, which it was not trained on (section 3.4). From the same songs comes how far off
predictions are: there by an ELM that learned from the other partitions' songs only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from moodcurve.cluster import Distribute, one_a_core
from moodcurve.context import in_context, input_names, listener_alone
from moodcurve.corpora.folder import Corpus, Song
from moodcurve.corpora.rows import LabelledRows, labelled_rows
from moodcurve.elm import ELMRegressor
from moodcurve.errors import InputError
from moodcurve.features import COLUMNS, FEATURE_NAMES, WINDOW
from moodcurve.fusion import settled, supervectors
from moodcurve.metrics import rmse
from moodcurve.model import DIMENSIONS, Fusion, Model
from moodcurve.network import Array, Network, parameter_count
from moodcurve.predict import groups_outputs
from moodcurve.sequences import cut, pad
from moodcurve.spread import Spread
from moodcurve.training.batches import Sequences
from moodcurve.training.calibration import AXES, fit_factors, fit_familiarity, fit_spread
from moodcurve.training.devices import GPU_AT_ONCE, device_of
from moodcurve.training.loop import Task, one_thread, train_many
from moodcurve.training.network import initial_network
from moodcurve.training.partitions import Indices, validation_sets
from moodcurve.training.presets import SCALES, Preset

AT_ONCE = 3  # networks that a processor trains together: more gain little and leave workers idle
UNKNOWN_LICENCE = "not stated; the terms of the training data may apply"


class _Key(NamedTuple):
    """One network: scale in half-seconds, number of the partition.

    The dimension is 0 or 1; None for a network of both.
    """

    dimension: int | None
    scale: int
    partition: int

    def __str__(self) -> str:
        whose = "both dimensions" if self.dimension is None else DIMENSIONS[self.dimension]
        return f"network of {whose}, scale {self.scale}, partition {self.partition + 1}"


@dataclass(frozen=True)
class Job:
    """Networks of one shape to train at once."""

    networks: tuple[_Key, ...]

    def __str__(self) -> str:
        return "the " + "; ".join(map(str, self.networks))


class _Trained(NamedTuple):
    """A network, and why its training was given up, if it was."""

    network: Network
    stopped: str | None


def train_model(
    corpora: Sequence[Corpus],
    preset: Preset,
    name: str,
    distribute: Distribute | None = None,
    device: str = "cpu",
) -> Model:
    """Train on the songs of several corpora; see `train_on_songs`.

    Raises InputError for a corpus given twice: its songs would be trained and validated on.
    """
    folders = [corpus.folder.resolve() for corpus in corpora]
    for folder in folders:
        if folders.count(folder) > 1:
            raise InputError(f"{folder}: given twice; name each corpus once")
    official_only = not preset.contexts and not preset.listener
    songs = labelled_rows(
        [song for corpus in corpora for song in corpus.songs], official_only=official_only
    )
    names = [corpus.name for corpus in corpora]
    return train_on_songs(songs, preset, name, names, distribute=distribute, device=device)


def train_on_songs(
    songs: Sequence[LabelledRows],
    preset: Preset,
    name: str,
    corpora: Sequence[str],
    licence: str = UNKNOWN_LICENCE,
    seed: int = 0,
    distribute: Distribute | None = None,
    device: str = "cpu",
) -> Model:
    """Train a model, a few networks a worker at a time; without `distribute`, a worker a core.

    The same seed gives the same model whatever the number of workers. `corpora` are named in the
    manifest, and so are networks whose training was given up, see `loop.train`. `device` is the
    workers', see `device_of`. Raises InputError where the songs are too few for the preset's
    partitions, or a worker has no such device.
    """
    model = without_networks(songs, preset)
    standard = [replace(s, rows=model.inputs(s.rows)) for s in songs]
    rng = np.random.default_rng(seed)
    sets = partitions([s.song for s in songs], preset, rng)
    trained = _train_all(standard, sets, preset, seed, distribute or one_a_core, device)
    groups = _groups(trained, len(sets))
    by_listener = [replace(s, rows=listener_alone(s.rows, model.listener)) for s in standard]
    familiarity, distances = fit_familiarity([s.rows for s in by_listener], sets)
    fused = {}
    for d, dimension in enumerate(DIMENSIONS):
        own, output = (groups[None], d) if preset.joint else (groups[d], 0)
        alone = dimension in preset.by_listener and bool(model.listener)
        held = _held_out(d, output, own, by_listener if alone else standard, sets)
        found = _fuse(own, output, held, distances, preset, seed)
        fused[dimension] = found._replace(fusion=replace(found.fusion, by_listener=alone))
    labels = np.concatenate([s.labels for s in songs])
    about = {
        "name": name,
        "licence": licence,
        "training": {
            "corpora": list(corpora),
            "songs": len(songs),
            "labelled_rows": int((~np.isnan(labels[:, 0])).sum()),
            "constant": [round(float(v), 6) for v in np.nanmean(labels, axis=0)],
            "validation_rmse": {dimension: f.figures for dimension, f in fused.items()},
            "given_up": [f"{key}: {one.stopped}" for key, one in trained.items() if one.stopped],
        },
        "figures": {},
    }
    return replace(model, fusions=_with_bands(fused), familiarity=familiarity, about=about)


def bundle_bytes(preset: Preset, songs: int) -> int:
    """What the bundle of a model that learns from so many songs takes on disk, at most."""
    inputs = len(input_names(preset.contexts, preset.listener))
    outputs = len(DIMENSIONS) if preset.joint else 1
    rng = np.random.default_rng(0)
    network = initial_network(inputs, preset.layers, preset.units, rng, outputs=outputs)
    networks = len(SCALES) * preset.partitions * (1 if preset.joint else len(DIMENSIONS))
    familiarity = AXES * (inputs + songs) + songs
    return 4 * (networks * parameter_count(network) + familiarity) + 2**20  # and all else


def without_networks(songs: Sequence[LabelledRows], preset: Preset) -> Model:
    """A model that can make inputs of rows.

    It hears harmony and the listener where all songs have rows of all families.
    """
    heard: tuple[tuple[int, ...], tuple[int, ...]] = (), ()
    if all(s.rows.shape[1] == len(COLUMNS) for s in songs):
        heard = preset.contexts, preset.listener
    mean, deviation = moments([replace(s, rows=in_context(s.rows, *heard)) for s in songs])
    deviation[[FEATURE_NAMES.index(name) for name in preset.left_out]] = np.inf
    return Model(SCALES, WINDOW, *heard, mean, deviation, preset.limit, {}, None, {})


def _groups(
    trained: Mapping[_Key, _Trained], partitions: int
) -> dict[int | None, tuple[tuple[Network, ...], ...]]:
    """The groups, a partition each, of each dimension's networks; of both dimensions' at None."""
    return {
        d: tuple(
            tuple(trained[_Key(d, scale, p)].network for scale in SCALES) for p in range(partitions)
        )
        for d in dict.fromkeys(key.dimension for key in trained)
    }


def partitions(songs: Sequence[Song], preset: Preset, rng: np.random.Generator) -> list[Indices]:
    """The preset's validation sets; where enough songs are of fewer series, a series each."""
    series = {song.group or (song.name,) for song in songs}
    count, share = preset.partitions, preset.share
    if count * share > 1 - 1e-9 and 2 <= len(series) < count <= len(songs):
        count, share = len(series), 1 / len(series)
    return validation_sets(songs, count, share, rng)


def learned(model: Model) -> str:
    """What training has come to, as text: the validation error of each part of the model."""
    training = model.about["training"]
    errors = training["validation_rmse"]
    heard = "the 260 official features only"
    if not model.official_only:
        heard = "harmony and the learned listener heard"
    lines = [
        f"{training['songs']} songs, {training['labelled_rows']} labelled half-seconds, {heard}",
        "RMSE on songs held out for validation:",
        f"{'':14}{'valence':>9}{'arousal':>9}",
    ]
    for system in errors[DIMENSIONS[0]]:
        cells = "".join(f"{errors[dimension][system]:9.3f}" for dimension in DIMENSIONS)
        lines.append(f"  {system:12}{cells}")
    lines += [f"given up: {one}" for one in training.get("given_up", ())]
    lines.append(
        "(the networks were stopped on these songs, the fusion learned from the\n"
        "other sets' of them: measure on others with `moodcurve evaluate`)"
    )
    return "\n".join(lines)


def moments(songs: Sequence[LabelledRows]) -> tuple[Array, Array]:
    """Mean and standard deviation of each feature over the labelled rows; a constant one has 1."""
    rows = np.concatenate([s.rows[~np.isnan(s.labels[:, 0])] for s in songs], dtype=np.float64)
    known = ~np.isnan(rows)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, rows, 0).sum(axis=0) / count
    deviation = np.sqrt(np.square(np.where(known, rows - mean, 0)).sum(axis=0) / count)
    deviation[deviation < 1e-12] = 1.0
    return mean.astype(np.float32), deviation.astype(np.float32)


def _train_all(
    songs: Sequence[LabelledRows],
    sets: Sequence[Indices],
    preset: Preset,
    seed: int,
    distribute: Distribute,
    device: str,
) -> dict[_Key, _Trained]:
    """Train a network of each dimension, or of both, each scale and each partition."""
    size = AT_ONCE if device == "cpu" else GPU_AT_ONCE
    alike = list(product((None,) if preset.joint else (0, 1), range(len(sets))))
    jobs = [
        Job(tuple(_Key(d, scale, p) for d, p in alike[first : first + size]))
        for scale in SCALES[::-1]
        for first in range(0, len(alike), size)
    ]
    keys = [key for job in jobs for key in job.networks]
    found: dict[_Key, _Trained] = {}
    with tqdm(None, "training", len(keys), unit=" networks", disable=None, leave=False) as bar:
        for job, trained in distribute(_train_few, jobs, songs, sets, preset, seed, device):
            found.update(zip(job.networks, trained, strict=True))
            bar.update(len(trained))
    return {key: found[key] for key in keys}  # in an order that does not hang on who is done first


def _train_few(
    job: Job,
    songs: Sequence[LabelledRows],
    sets: Sequence[Indices],
    preset: Preset,
    seed: int,
    device: str,
) -> list[_Trained]:
    one_thread()
    tasks = [_task(key, songs, sets[key.partition], preset, seed) for key in job.networks]
    found = train_many(tasks, preset.settings, device_of(device))
    return [_Trained(network, log[-1].get("stopped")) for network, log in found]


def _task(
    key: _Key, songs: Sequence[LabelledRows], members: Indices, preset: Preset, seed: int
) -> Task:
    which = len(DIMENSIONS) if key.dimension is None else key.dimension
    rng = np.random.default_rng([seed, which, key.scale, key.partition])
    held = set(members.tolist())
    others = [song for number, song in enumerate(songs) if number not in held]
    training = also_listener_only(others, preset)
    validation = [songs[number] for number in sorted(held)]
    outputs = len(DIMENSIONS) if key.dimension is None else 1
    start = initial_network(
        songs[0].rows.shape[1], preset.layers, preset.units, rng, preset.sigma, outputs
    )
    return Task(
        start,
        sequences(training, key.dimension, key.scale, preset.balance),
        sequences(validation, key.dimension, key.scale, preset.balance),
        rng,
    )


def also_listener_only(songs: Sequence[LabelledRows], preset: Preset) -> Sequence[LabelledRows]:
    """The songs, and each that has other inputs once more with the listener's only.

    A song counts as much as before, `preset.listener_only` of it without the other inputs.
    """
    share = preset.listener_only
    inputs = len(input_names(preset.contexts, preset.listener))
    if not share or songs[0].rows.shape[1] != inputs:
        return songs
    found = []
    for song in songs:
        if song.song.rows is not None:
            found.append(song)
            continue
        found.append(_weighed(song, 1 - share))
        alone = listener_alone(song.rows, preset.listener)
        found.append(_weighed(replace(song, rows=alone), share))
    return found


def _weighed(song: LabelledRows, factor: float) -> LabelledRows:
    return replace(song, song=replace(song.song, weight=factor * song.song.weight))


def sequences(
    songs: Sequence[LabelledRows], dimension: int | None, scale: int, balance: float = 0.0
) -> Sequences:
    """Cut songs into sequences of `scale` half-seconds; those without any label are left out.

    A song shorter than that is one sequence, padded and masked. Targets are of one dimension, or
    of both for None. For `balance` see `Preset`.
    """
    rows, labels, weights = [], [], []
    wanted = slice(None) if dimension is None else slice(dimension, dimension + 1)
    for song, weight in zip(songs, song_weights(songs, balance), strict=True):
        pieces = cut(song.rows, scale)
        targets = cut(song.labels[:, wanted], scale)
        labelled = ~np.isnan(targets).all(axis=(1, 2))
        rows += list(pieces[labelled])
        labels += list(targets[labelled])
        weights += [weight] * int(labelled.sum())
    inputs, mask = pad(rows, scale)
    targets = pad(labels, scale)[0]
    alike = not balance and len({song.song.weight for song in songs}) == 1
    return Sequences(inputs, targets, mask, None if alike else np.array(weights, np.float32))


def song_weights(songs: Sequence[LabelledRows], balance: float) -> NDArray[np.float64]:
    """What each row of each song counts, (S,), on average 1.

    In proportion to n^-balance for n labelled rows, and to the song's own weight.
    """
    counts = np.array([max(1, (~np.isnan(s.labels[:, 0])).sum()) for s in songs], np.float64)
    weights = counts**-balance * [s.song.weight for s in songs]
    mean: NDArray[np.float64] = weights * counts.sum() / (weights * counts).sum()
    return mean


class _HeldOut(NamedTuple):
    """What a group says of one of its own validation songs, n half-seconds."""

    song: int
    partition: int
    outputs: NDArray[np.float64]  # (S, n)
    vectors: NDArray[np.floating[Any]]  # (n, 3 S), supervectors
    labels: NDArray[np.float64]  # (n,), NaN where there is none
    weight: float

    @property
    def there(self) -> NDArray[np.bool_]:
        """Where there is a label, m of the n half-seconds."""
        there: NDArray[np.bool_] = ~np.isnan(self.labels)
        return there


def _held_out(
    dimension: int,
    output: int,
    groups: Sequence[Sequence[Network]],
    songs: Sequence[LabelledRows],
    sets: Sequence[Indices],
) -> list[_HeldOut]:
    """What each group says of one dimension of its own validation songs, song by song."""
    found = []
    for p, (group, members) in enumerate(zip(groups, sets, strict=True)):
        for number in members:
            song = songs[number]
            said = groups_outputs((group,), SCALES, song.rows)[..., output]
            labels = song.labels[:, dimension].astype(np.float64)
            vectors = supervectors(said[0])
            found.append(_HeldOut(int(number), p, said[0], vectors, labels, song.song.weight))
    return found


class _Fused(NamedTuple):
    """One dimension's fusion, and what was found out of it on songs held out, song by song."""

    fusion: Fusion
    spread: Spread
    values: Sequence[NDArray[np.floating]]  # (m,) each
    labels: Sequence[NDArray[np.float64]]
    deviations: Sequence[NDArray[np.float64]]
    figures: dict[str, float]


def _fuse(
    groups: tuple[tuple[Network, ...], ...],
    output: int,
    held: Sequence[_HeldOut],
    distances: NDArray[np.float64],
    preset: Preset,
    seed: int,
) -> _Fused:
    """Train the ELM on what the groups say of songs held out, and measure how far off that is.

    The figures are validation RMSE: of each scale, of the fusion, of the constant. The fusion's,
    its spread and its values are of ELMs that learned from the other partitions' songs.
    """

    def fit(members: Sequence[_HeldOut]) -> ELMRegressor:
        sizes = [int(h.there.sum()) for h in members]
        weights = [h.weight * size**-preset.balance for h, size in zip(members, sizes, strict=True)]
        counts = np.repeat(weights, sizes)
        elm = ELMRegressor(preset.elm_nodes, preset.elm_ridge, random_state=seed)
        labels = np.concatenate([h.labels[h.there] for h in members])
        vectors = np.concatenate([h.vectors[h.there] for h in members])
        return elm.fit(vectors, labels, counts / counts.mean())

    others = [fit([h for h in held if h.partition != p] or held) for p in range(len(groups))]

    def fused(h: _HeldOut) -> NDArray[np.floating]:
        elm, average = others[h.partition].predict(h.vectors), h.outputs.mean(axis=0)
        return settled(elm, average, preset.elm_share, preset.smoothing)[h.there]

    values, labels = [fused(h) for h in held], [h.labels[h.there] for h in held]
    outputs = {h.song: h.outputs[np.newaxis, :, h.there] for h in held}
    errors = {h.song: v - y for h, v, y in zip(held, values, labels, strict=True)}
    spread = fit_spread(errors, outputs, distances)
    elm = fit(held)
    y, o = np.concatenate(labels), np.concatenate([said[0].T for said in outputs.values()])
    figures = {f"scale {scale}": rmse(y, o[:, s]) for s, scale in enumerate(SCALES)}
    figures["fused"] = rmse(y, np.concatenate(values))
    figures["constant"] = rmse(y, np.full_like(y, y.mean()))
    return _Fused(
        Fusion(
            groups,
            elm.weights_.astype(np.float32),
            elm.bias_.astype(np.float32),
            elm.beta_.astype(np.float32),
            output,
            preset.elm_share,
            preset.smoothing,
        ),
        spread,
        values,
        labels,
        [spread.deviation(said, distances[song]) for song, said in outputs.items()],
        {key: round(float(value), 4) for key, value in figures.items()},
    )


def _with_bands(fused: Mapping[str, _Fused]) -> dict[str, Fusion]:
    """Both dimensions' fusions, each with the spread that goes with the other's."""

    def both(of: str) -> list[NDArray[np.float64]]:  # (m, 2) each
        pairs = zip(*(getattr(fused[dimension], of) for dimension in DIMENSIONS), strict=True)
        return [np.column_stack(pair) for pair in pairs]

    spreads = [fused[dimension].spread for dimension in DIMENSIONS]
    fitted = fit_factors(spreads, both("values"), both("labels"), both("deviations"))
    return {
        dimension: replace(fused[dimension].fusion, spread=spread)
        for dimension, spread in zip(DIMENSIONS, fitted, strict=True)
    }
