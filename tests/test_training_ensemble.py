from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs moodcurve[train]")

from dask_cluster import LOOPBACK, own_address, scheduler, worker
from moodcurve import InputError, Rows2Curve
from moodcurve.cluster import workers
from moodcurve.corpora.folder import Corpus, Song
from moodcurve.corpora.rows import LabelledRows
from moodcurve.elm import ELMRegressor
from moodcurve.evaluate import compare, constant
from moodcurve.features import COLUMNS, FEATURE_NAMES
from moodcurve.fusion import elm_output, recent_mean, supervectors
from moodcurve.metrics import rmse
from moodcurve.model import DIMENSIONS, load, save
from moodcurve.network import forward, to_arrays
from moodcurve.predict import scale_outputs
from moodcurve.sequences import cut, stitch
from moodcurve.training import ensemble, presets
from moodcurve.training.ensemble import (
    bundle_bytes,
    learned,
    sequences,
    song_weights,
    train_model,
    train_on_songs,
)
from moodcurve.training.partitions import validation_sets
from moodcurve.training.presets import PRESETS

SCALES = (10, 20, 30, 60)


def make_song(number, length, seed=0, labelled="dynamic"):
    """Noisy features that follow valence in one half of the columns, arousal in the other."""
    rng = np.random.default_rng([seed, number])
    moods = rng.normal(0, 0.7, (length, 2))
    rows = 5 + 2 * np.repeat(moods, 130, axis=1) + rng.normal(0, 2, (length, 260))
    rows[:, 7] = 4.0  # a feature that never changes
    rows = rows.astype(np.float32)
    labels = np.tanh(moods)
    if labelled == "static":
        labels[:] = labels.mean(axis=0)
    elif labelled == "middle":
        labels[: length // 4] = labels[-length // 4 :] = np.nan
    song = Song(f"{number:02}", Path(f"{number:02}.wav"), np.zeros(0), np.zeros((1, 2)))
    return LabelledRows(song, rows, labels.astype(np.float32))


def corpus(count=10, seed=0):
    """Songs of different length, one of them shorter than every scale."""
    return [make_song(number, 7 + 9 * number, seed) for number in range(count)]


DEFAULT = PRESETS["default"]
TINY = replace(
    DEFAULT,
    smoothing=3,
    layers=1,
    units=4,
    partitions=2,
    share=0.5,
    limit=4.0,
    joint=False,
    elm_nodes=12,
    elm_ridge=0.1,
    settings=replace(DEFAULT.settings, epochs=2, batch=10, noise=0.1),
)
LEARNING = replace(  # labels here are new at each half-second
    TINY,
    elm_share=1.0,
    smoothing=1,
    settings=replace(TINY.settings, epochs=6, learning_rate=0.03),
)


@pytest.fixture
def here(monkeypatch):
    """Train in this process: it need not import torch again."""

    def run(function, jobs, *shared):
        return ((job, function(job, *shared)) for job in jobs)

    monkeypatch.setattr(ensemble, "one_a_core", run)


def weights(model):
    return {
        (dimension, g, s, key): array
        for dimension, fusion in model.fusions.items()
        for g, group in enumerate(fusion.groups)
        for s, network in enumerate(group)
        for key, array in to_arrays(network).items()
    }


def same(one, other):
    one, other = weights(one), weights(other)
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_it_learns(here, tmp_path):
    """Errors less than two thirds of the constant predictor's on songs it has not seen."""
    model = train_on_songs(corpus(), LEARNING, "learner", ["made up"])
    save(model, tmp_path / "bundle")
    unseen = corpus(6, seed=1)
    curves = [Rows2Curve(tmp_path / "bundle")(song.rows) for song in unseen]
    estimates = {
        "model": [np.column_stack([curve.valence, curve.arousal]) for curve in curves],
        "constant": constant(unseen, model.about["training"]["constant"]),
    }
    found = compare(unseen, estimates)["systems"]
    for dimension in DIMENSIONS:
        error = found["model"][dimension]["pooled"]["rmse"]
        assert error < 0.67 * found["constant"][dimension]["pooled"]["rmse"]
        assert found["model"][dimension]["pooled"]["ccc"] > 0.6


def test_what_the_model_says_of_itself(here, tmp_path):
    songs = corpus()
    songs[4] = make_song(4, 40, labelled="middle")
    model = train_on_songs(songs, TINY, "tiny", ["one", "two"], licence="CC0")
    rows = np.concatenate([song.rows[~np.isnan(song.labels[:, 0])] for song in songs]).astype(float)
    labels = np.concatenate([song.labels for song in songs]).astype(float)
    assert model.scales == SCALES
    assert model.limit == 4.0
    np.testing.assert_allclose(model.mean, rows.mean(axis=0), rtol=1e-5)
    expected = rows.std(axis=0)
    expected[7] = 1
    left_out = [FEATURE_NAMES.index(name) for name in TINY.left_out]
    assert left_out
    expected[left_out] = np.inf
    assert (model.inputs(rows)[:, left_out] == 0).all()
    np.testing.assert_allclose(model.deviation, expected, rtol=1e-5)
    assert (model.about["name"], model.about["licence"]) == ("tiny", "CC0")
    training = model.about["training"]
    assert training["corpora"] == ["one", "two"]
    assert training["songs"] == 10
    assert training["labelled_rows"] == len(labels) - 20
    np.testing.assert_allclose(training["constant"], np.nanmean(labels, axis=0), atol=1e-6)
    save(model, tmp_path / "bundle")
    assert load(tmp_path / "bundle").about == model.about


@pytest.mark.parametrize("joint", [False, True])
def test_the_room_that_a_bundle_takes(here, tmp_path, joint):
    """At most what was said before, and not much less: networks of weights that none can pack."""
    preset = replace(TINY, units=32, joint=joint, contexts=(), listener=())  # as its songs are
    save(train_on_songs(corpus(), preset, "tiny", []), tmp_path / "bundle")
    taken = sum(path.stat().st_size for path in (tmp_path / "bundle").iterdir())
    assert taken < bundle_bytes(preset, 10) < 1.6 * taken + 2**20


def test_the_shape_of_the_model(here):
    model = train_on_songs(corpus(), TINY, "tiny", [])
    for fusion in model.fusions.values():
        assert len(fusion.groups) == 2
        assert all(len(group) == len(SCALES) for group in fusion.groups)
        for group in fusion.groups:
            blstm, dense = group[0].layers
            assert (blstm.inputs, blstm.outputs, dense.outputs) == (260, 4, 1)
        assert fusion.elm_weights.shape == (12, 12)
    found = list(weights(model).items())
    for number, ((*place, key), array) in enumerate(found):
        if key == "0.weights":  # no two networks are the same
            assert not any(
                other[:-1] != tuple(place) and other[-1] == key and np.array_equal(array, values)
                for other, values in found[:number]
            )


@pytest.mark.parametrize("where", ["here, last job first", "two workers", "a cluster"])
def test_the_seed_decides_not_the_processes(here, monkeypatch, tmp_path, where):
    preset = replace(TINY, units=2, settings=replace(TINY.settings, epochs=1))
    one = train_on_songs(corpus(4), preset, "tiny", [], seed=3)
    other = train_on_songs(corpus(4), preset, "tiny", [], seed=4)
    assert not same(one, other)
    forward_run = ensemble.one_a_core
    with ExitStack() as stack:
        if where == "two workers":
            distribute = stack.enter_context(workers(2))
        elif where == "a cluster":
            address, _ = stack.enter_context(scheduler(tmp_path, own_address() or LOOPBACK))
            for _ in range(2):
                stack.enter_context(worker(address, tmp_path))
            distribute = stack.enter_context(workers(scheduler=address))
        else:

            def distribute(function, jobs, *shared):
                return forward_run(function, jobs[::-1], *shared)

        again = train_on_songs(corpus(4), preset, "tiny", [], seed=3, distribute=distribute)
    assert same(one, again)
    for dimension in DIMENSIONS:
        a, b = one.fusions[dimension], again.fusions[dimension]
        np.testing.assert_array_equal(a.elm_weights, b.elm_weights)
        np.testing.assert_array_equal(a.elm_beta, b.elm_beta)
    assert one.about == again.about


def test_static_and_dynamic_labels_together(here):
    kinds = ["dynamic", "static", "middle"] * 4
    songs = [make_song(k, 20 + 5 * k, labelled=kind) for k, kind in enumerate(kinds)]
    model = train_on_songs(songs, TINY, "tiny", [])
    assert all(np.isfinite(array).all() for array in weights(model).values() if array.dtype != "U8")
    curve = Rows2Curve(model)(songs[0].rows)
    assert np.isfinite([curve.valence, curve.arousal]).all()


def test_networks_and_fusion_see_the_songs_they_should(here, monkeypatch):
    """The networks: all but their partition's. The ELM: each group's own validation songs."""
    songs, starts, seen, fitted, weights_of = corpus(), [], [], [], []
    real_train, real_fit = ensemble.train_many, ELMRegressor.fit

    def watch_train(tasks, *rest):
        starts.extend(task.network.layers[0].weights.tobytes() for task in tasks)
        seen.extend((task.training, task.validation) for task in tasks)
        return real_train(tasks, *rest)

    def watch_fit(self, x, y, weights):
        fitted.append((x, y))
        weights_of.append(weights)
        return real_fit(self, x, y, weights)

    monkeypatch.setattr(ensemble, "train_many", watch_train)
    monkeypatch.setattr(ELMRegressor, "fit", watch_fit)
    model = train_on_songs(songs, TINY, "tiny", [], seed=5)

    sets = validation_sets([s.song for s in songs], 2, 0.5, np.random.default_rng(5))
    standard = [model.inputs(song.rows) for song in songs]

    def rows_in(data):
        return {row.tobytes() for row in data.inputs[data.mask]}

    for number, (training, validation) in enumerate(seen):
        held = sets[number % 2]
        inside = {row.tobytes() for k in held for row in standard[k]}
        outside = {row.tobytes() for k in range(10) if k not in held for row in standard[k]}
        assert rows_in(validation) == inside
        assert rows_in(training) == outside
    assert len(seen) == len(set(starts)) == 2 * len(SCALES) * 2

    for d, dimension in enumerate(DIMENSIONS):
        x, y = fitted[3 * d + 2]  # after two of one partition each, which say how far off they are
        expected_x, expected_y = [], []
        for group, held in zip(model.fusions[dimension].groups, sets, strict=True):
            for k in held:
                curves = [
                    stitch(forward(network, cut(standard[k], scale)), len(standard[k]))[:, 0]
                    for network, scale in zip(group, SCALES, strict=True)
                ]
                expected_x.append(supervectors(np.array(curves, float)))
                expected_y.append(songs[k].labels[:, d])
        np.testing.assert_allclose(x, np.concatenate(expected_x), atol=1e-6)
        np.testing.assert_array_equal(y, np.concatenate(expected_y))
        errors = model.about["training"]["validation_rmse"][dimension]
        assert errors["constant"] == round(float(np.std(y)), 4)
        assert errors["scale 30"] == round(rmse(y, x[:, 6]), 4)
        said = [  # what each partition's songs are said to be by an ELM of the other's
            ELMRegressor(TINY.elm_nodes, TINY.elm_ridge, random_state=5)
            .fit(*fitted[3 * d + p], weights_of[3 * d + p])
            .predict(fitted[3 * d + 1 - p][0])
            for p in range(2)
        ]
        average = x[:, ::3].mean(axis=1)  # the networks' outputs are every third of a supervector
        halves = 0.5 * np.concatenate(said) + 0.5 * average
        lengths = [len(songs[k].labels) for held in sets for k in held]
        smoothed = [recent_mean(part, 3) for part in np.split(halves, np.cumsum(lengths)[:-1])]
        assert errors["fused"] == round(rmse(y, np.concatenate(smoothed)), 4)


def test_a_network_that_is_given_up_is_named(here, monkeypatch):
    real_train = ensemble.train_many

    def lose_one(tasks, *rest):
        """The last of each group: of four networks of a scale, the third and the fourth."""
        if tasks[0].training.inputs.shape[1] == 20 and tasks[0].training.targets.shape[2] == 1:
            tasks[-1].training.targets[:] = 1e30
        return real_train(tasks, *rest)

    assert learned(train_on_songs(corpus(), TINY, "tiny", [], seed=5)).count("given up") == 0
    monkeypatch.setattr(ensemble, "train_many", lose_one)
    model = train_on_songs(corpus(), TINY, "tiny", [], seed=5)
    why = "the error left the range of numbers in epoch 1; its weights are those it began with"
    assert model.about["training"]["given_up"] == [
        f"network of arousal, scale 20, partition {p}: {why}" for p in (1, 2)
    ]
    assert f"given up: network of arousal, scale 20, partition 2: {why}" in learned(model)


def test_unlabelled_rows_are_not_fitted(here, monkeypatch):
    fitted = []
    real_fit = ELMRegressor.fit
    monkeypatch.setattr(
        ELMRegressor, "fit", lambda self, x, y, w: fitted.append(y) or real_fit(self, x, y, w)
    )
    songs = [make_song(k, 40, labelled="middle") for k in range(4)]
    train_on_songs(songs, TINY, "tiny", [])
    assert [len(y) for y in fitted] == [40, 40, 80] * 2  # each partition, and both


def test_sequences():
    """Songs of 7 and 25 rows at scale 10; the last piece of the second has no label."""
    songs = [make_song(0, 7), make_song(1, 25)]
    songs[1].labels[12:] = np.nan
    found = sequences(songs, 1, 10)
    assert found.inputs.shape == (3, 10, 260)
    np.testing.assert_array_equal(found.mask.sum(axis=1), [7, 10, 10])
    np.testing.assert_array_equal(found.inputs[0, :7], songs[0].rows)
    np.testing.assert_array_equal(found.inputs[1:].reshape(20, 260), songs[1].rows[:20])
    np.testing.assert_array_equal(found.targets[0, :7, 0], songs[0].labels[:, 1])
    np.testing.assert_array_equal(found.targets[1:].ravel(), songs[1].labels[:20, 1])
    assert not found.inputs[0, 7:].any()


def test_scale_outputs_follow_the_scales(model):
    """One network at all scales: the shorter its pieces, the less it knows of what is around."""
    network = model.fusions["valence"].groups[0][0]
    rows = np.random.default_rng(0).normal(size=(20, 260)).astype(np.float32)
    found = scale_outputs((network,) * 4, SCALES, rows)
    assert found.shape == (4, 20)
    np.testing.assert_allclose(found[1], found[3])
    assert np.abs(found[0] - found[1]).max() > 1e-4


def test_what_was_learned(here):
    model = train_on_songs(corpus(), TINY, "tiny", [])
    text = learned(model)
    lines = text.splitlines()
    errors = model.about["training"]["validation_rmse"]
    assert lines[0] == "10 songs, 475 labelled half-seconds, the 260 official features only"
    assert max(map(len, lines)) <= 80
    (fused,) = (line for line in lines if line.split()[0] == "fused")
    assert fused.split()[1:] == [f"{errors[dimension]['fused']:.3f}" for dimension in DIMENSIONS]
    assert {line.split()[0] for line in lines} >= {"scale", "fused", "constant"}


def test_networks_of_both_dimensions(here, tmp_path):
    """One network for both, each fusion with an output of its own; kept once on disk."""
    songs = corpus()
    model = train_on_songs(songs, replace(TINY, joint=True), "joint", [])
    assert model.joint
    valence, arousal = (model.fusions[dimension] for dimension in DIMENSIONS)
    assert (valence.output, arousal.output) == (0, 1)
    assert valence.groups[0][0].outputs == 2
    save(model, tmp_path / "bundle")
    again = load(tmp_path / "bundle")
    assert again.joint
    rows = songs[5].rows
    for curve in (Rows2Curve(model)(rows), Rows2Curve(again)(rows)):
        inputs = model.inputs(rows)
        for dimension, fusion in model.fusions.items():
            said = [
                np.array(
                    [
                        stitch(forward(network, cut(inputs, scale)), len(rows))[:, fusion.output]
                        for network, scale in zip(group, SCALES, strict=True)
                    ],
                    float,
                )
                for group in fusion.groups
            ]
            fused = [
                elm_output(supervectors(s), fusion.elm_weights, fusion.elm_bias, fusion.elm_beta)
                for s in said
            ]
            halves = 0.5 * np.mean(fused, axis=0) + 0.5 * np.mean(said, axis=(0, 1))
            recent = [halves[max(0, t - 2) : t + 1].mean() for t in range(len(halves))]
            expected = np.clip(recent, -1, 1)
            np.testing.assert_allclose(getattr(curve, dimension), expected, atol=1e-5)


def heard(songs, seed=3):
    """The songs with rows of all families."""
    rng = np.random.default_rng(seed)
    return [
        replace(song, rows=np.hstack([song.rows, rng.random((len(song.rows), 223), np.float32)]))
        for song in songs
    ]


def test_songs_known_to_the_listener_only_take_part(here):
    """Their other families count as the mean; a song's weight scales what it counts."""
    songs = heard(corpus())
    preset = replace(TINY, contexts=(4,), listener=(4,), listener_only=0.25)
    rows = np.full((10, len(COLUMNS)), np.nan, np.float32)
    rows[:, -200:] = 0.5
    own = replace(songs[0].song, name="known", rows=rows, audio=None, weight=0.3)
    known = LabelledRows(own, rows, np.full((10, 2), 0.4, np.float32))
    model = train_on_songs([*songs, known], preset, "hears", [])
    assert np.isfinite(model.mean).all()
    inputs = model.inputs(rows)
    assert not inputs[:, :-200].any()
    assert inputs[:, -200:].any()
    assert np.abs(model.familiarity.axes[:-200]).max() < 1e-12  # only the listener counts
    curve = Rows2Curve(model)(songs[0].rows)
    assert np.isfinite(curve.valence).all()
    weights = song_weights([songs[0], known], 0.0)
    assert weights[1] / weights[0] == pytest.approx(0.3)


def test_harmony_is_heard_where_all_songs_have_it(here):
    """Songs with rows of 483 columns; one without, and nobody's harmony is looked at."""
    rng = np.random.default_rng(3)
    songs = [
        replace(song, rows=np.hstack([song.rows, rng.random((len(song.rows), 223), np.float32)]))
        for song in corpus()
    ]
    preset = replace(TINY, contexts=(4, 30))
    model = train_on_songs(songs, preset, "hears", [])
    assert model.contexts == (4, 30)
    assert model.mean.shape == (490,)
    with pytest.raises(InputError, match="hears harmony and the learned listener"):
        Rows2Curve(model)(songs[3].rows[:, :260])
    songs[0] = songs[0].official()
    model = train_on_songs(songs, preset, "does not", [])
    assert model.contexts == ()
    assert len(Rows2Curve(model)(songs[3].rows).valence) == len(songs[3].rows)


def test_song_weights():
    """A song of 4 times as many labelled rows counts twice as much at 0.5; rows count 1 on average.

    Of 10 and 40 rows: w, w / 2 with 10 w + 40 w / 2 = 50.
    """
    songs = [make_song(0, 10), make_song(1, 40)]
    np.testing.assert_allclose(song_weights(songs, 0.0), [1, 1])
    np.testing.assert_allclose(song_weights(songs, 0.5), [5 / 3, 5 / 6])
    np.testing.assert_allclose(song_weights(songs, 1.0), [2.5, 0.625])
    found = sequences(songs, None, 10, balance=0.5)
    assert found.targets.shape == (5, 10, 2)
    np.testing.assert_allclose(found.weights, [5 / 3, *[5 / 6] * 4], rtol=1e-6)


def test_fewer_series_than_partitions(here):
    """Three series make three partitions, not five; one cannot be split."""
    songs = [
        replace(song, song=replace(song.song, group="abc"[i % 3]))
        for i, song in enumerate(corpus(9))
    ]
    five = replace(TINY, partitions=5, share=0.2)
    model = train_on_songs(songs, five, "series", [])
    assert len(model.fusions["valence"].groups) == 3
    one = [replace(song, song=replace(song.song, group="a")) for song in songs]
    with pytest.raises(InputError, match="1 songs or groups are too few"):
        train_on_songs(one, five, "series", [])


def test_too_few_songs(here):
    with pytest.raises(InputError, match="1 songs or groups are too few for 2 validation sets"):
        train_on_songs([make_song(0, 30)], TINY, "tiny", [])


def test_presets():
    for name in PRESETS:
        assert presets.preset(name) is PRESETS[name]
    with pytest.raises(InputError, match=r"--preset nosuch: no such preset; use one of: default,"):
        presets.preset("nosuch")


def test_the_papers_preset():
    """Section 3.2 of the paper, and the issue."""
    paper = presets.preset("paper-2016")
    assert (paper.layers, paper.units, paper.sigma) == (5, 250, 0.1)
    settings = paper.settings
    assert (settings.optimiser, settings.error) == ("sgd", "sum")
    assert (settings.learning_rate, settings.momentum) == (5e-6, 0.9)
    assert (settings.noise, settings.batch, settings.shuffle) == (0.6, 50, True)
    assert (settings.epochs, settings.patience) == (100, 20)
    assert (paper.partitions, round(paper.share * 431)) == (5, 20)


def test_a_corpus_given_twice(tmp_path):
    once = Corpus("a", tmp_path, ())
    with pytest.raises(InputError, match="given twice"):
        train_model([once, Corpus("b", tmp_path / ".." / tmp_path.name, ())], TINY, "model")
