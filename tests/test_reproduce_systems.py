"""Selection, fusion and tuning, from files of jobs that are made up here: nothing is trained."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs moodcurve[train]")

from moodcurve.corpora.folder import Song
from moodcurve.corpora.rows import LabelledRows
from moodcurve.elm import ELMRegressor
from moodcurve.network import Network, to_arrays
from moodcurve.predict import scale_outputs
from moodcurve.reproduce import plan, systems
from moodcurve.reproduce.jobs import NetworkJob, RegressionJob, Task, do, path_of
from moodcurve.reproduce.recipes import RECIPES
from moodcurve.reproduce.split import TRAINING, Material
from moodcurve.reproduce.systems import Results
from moodcurve.training.network import initial_network

SCALES = (10, 20, 30, 60)
NAN = np.nan
RECIPE = replace(
    RECIPES["smoke"],
    trials=3,
    nested_trials=2,
    lstm=((1, 4), (2, 4)),
    rnn=(3, 5),
    smoothing=(1, 3, 7),
)


def song(number, length):
    rng = np.random.default_rng(number)
    labels = np.clip(rng.normal(0, 0.1, (length, 2)).cumsum(axis=0), -1, 1)
    if number % 4 == 1:
        labels[2:4] = NAN
    return LabelledRows(
        Song(str(number), None, np.zeros(0), np.zeros((1, 2))),
        rng.normal(size=(length, 5)).astype(np.float32),
        labels.astype(np.float32),
    )


@pytest.fixture
def results(tmp_path):
    development = tuple(song(k, 6 + k % 5) for k in range(13))
    sets = tuple(np.array([p, p + 6]) for p in range(5))
    ones = np.ones(5, np.float32)
    material = Material(development, (song(20, 65), song(21, 9)), sets, {}, ones, ones)
    (tmp_path / "networks").mkdir()
    return Results(material, RECIPE, tmp_path)


def write(results, jobs, scatter=0.3):
    """Let each job say the labels with noise of its own; return it as {(job, set): curves}."""
    said = {}
    for number, job in enumerate(jobs):
        rng = np.random.default_rng([7, number])
        offset, noise = scatter * rng.random(2)
        sets = {"test": results.material.test}
        for name in ("validation", "without"):
            partition = getattr(job, name.replace("validation", "partition"), None)
            if partition is not None:
                numbers = results.material.validation[partition]
                sets[name] = [results.material.development[n] for n in numbers]
        for name, songs in sets.items():
            labels = [np.nan_to_num(song.labels[:, job.dimension]) for song in songs]
            said[job, name] = [
                (x + offset + noise * rng.normal(size=len(x))).astype(np.float32) for x in labels
            ]
        np.savez(
            path_of(job, results.run),
            **{name: np.concatenate(said[job, name]) for name in sets},
        )
    return said


def squares(curves, songs, dimension):
    """The squared errors of all labelled half-seconds, one by one."""
    return [
        (float(value) - float(label)) ** 2
        for curve, one in zip(curves, songs, strict=True)
        for value, label in zip(curve, one.labels[:, dimension], strict=True)
        if label == label
    ]


def error(results, said, job):
    songs = [results.material.development[n] for n in results.material.validation[job.partition]]
    return np.mean(squares(said[job, "validation"], songs, job.dimension)) ** 0.5


def slope(curve, t):
    """By least squares over the two half-seconds on either side, the ends held."""
    around = [curve[min(max(t + k, 0), len(curve) - 1)] for k in range(-2, 3)]
    return np.polyfit(range(-2, 3), around, 1)[0]


def average(curve, t, half=2):
    return np.mean(curve[max(0, t - half) : t + half + 1])


def stacked(curves):
    """[o1, d1, s1, o2, ...] of each half-second of a song."""
    curves = [curve.astype(float) for curve in curves]
    return np.array(
        [
            [f for c in curves for f in (c[t], slope(c, t), average(c, t))]
            for t in range(len(curves[0]))
        ]
    )


def expected_fusion(results, said, networks, dimension):
    """The two groups, the best trials and the ELM, by trying everything."""
    errors = {key: error(results, said, job) for key, job in networks.items()}
    partitions = sorted({p for _, p, _ in networks})
    trials = sorted({k for _, _, k in networks})
    best = {
        (s, p): min(trials, key=lambda k, s=s, p=p: errors[s, p, k])
        for s, p in product(SCALES, partitions)
    }
    first = [min((k for k in networks if k[0] == s), key=errors.get) for s in SCALES]
    second = min(
        (
            [(s, p, best[s, p]) for s, p in zip(SCALES, chosen, strict=True)]
            for chosen in permutations(partitions, 4)
        ),
        key=lambda group: sum(errors[key] for key in group),
    )
    x, y = [], []
    for p in partitions:
        curves = [said[networks[s, p, best[s, p]], "validation"] for s in SCALES]
        for place, number in enumerate(results.material.validation[p]):
            labels = results.material.development[number].labels[:, dimension]
            rows = stacked([one[place] for one in curves])
            x += [row for row, label in zip(rows, labels, strict=True) if label == label]
            y += [label for label in labels if label == label]
    elm = ELMRegressor(RECIPE.preset.elm_nodes, RECIPE.preset.elm_ridge, random_state=0)
    return [[networks[key] for key in group] for group in (first, second)], best, elm.fit(x, y)


def close(one, two):
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("dimension", [0, 1])
def test_selection_and_fusion(results, dimension):
    networks = plan.ensemble(RECIPE, dimension)
    said = write(results, networks.values())
    groups, best, elm = expected_fusion(results, said, networks, dimension)
    fused = systems.select(results, networks)
    assert [list(group) for group in fused.groups] == groups
    assert {key: job.trial for key, job in fused.best.items()} == best
    np.testing.assert_allclose(fused.elm.beta_, elm.beta_, atol=1e-6)

    unique = list({job.name: job for group in groups for job in group}.values())
    assert fused.unique == unique
    assert 4 <= len(unique) < 8  # some are shared, so that a network must not be counted twice
    found = systems.ensemble_curves(results, fused, "test")
    assert list(found) == ["BLSTM 10", "BLSTM 20", "BLSTM 30", "BLSTM 60", "AVG", "ELM"]
    for scale, job in zip(SCALES, groups[0], strict=True):
        close(found[f"BLSTM {scale}"], [np.clip(curve, -1, 1) for curve in said[job, "test"]])
    for place in range(2):
        mean = sum(said[job, "test"][place].astype(float) for job in unique) / len(unique)
        np.testing.assert_allclose(found["AVG"][place], np.clip(mean, -1, 1), atol=1e-6)
        both = [elm.predict(stacked([said[j, "test"][place] for j in group])) for group in groups]
        expected = np.clip((both[0] + both[1]) / 2, -1, 1)
        np.testing.assert_allclose(found["ELM"][place], expected, atol=1e-6)


def test_predictions_stay_in_the_range_of_the_labels(results):
    networks = plan.ensemble(RECIPE, 0)
    write(results, networks.values(), scatter=5)
    fused = systems.select(results, networks)
    unclipped = np.concatenate(results.said(fused.groups[0][0], "test"))
    assert np.abs(unclipped).max() > 1
    for curves in systems.ensemble_curves(results, fused, "test").values():
        assert np.abs(np.concatenate(curves)).max() <= 1
    for curves in systems.own_curves(results, fused, 3).values():
        assert np.abs(np.concatenate(curves)).max() <= 1


def test_the_papers_validation_figures(results):
    """Of one set: the best trials stopped on it, their mean, and the ELM that learnt from it."""
    networks = plan.ensemble(RECIPE, 1)
    said = write(results, networks.values())
    _, best, elm = expected_fusion(results, said, networks, 1)
    fused = systems.select(results, networks)
    for p in range(5):
        found = systems.own_curves(results, fused, p)
        curves = {s: said[networks[s, p, best[s, p]], "validation"] for s in SCALES}
        for place in range(2):
            each = [curves[s][place] for s in SCALES]
            for s, curve in zip(SCALES, each, strict=True):
                np.testing.assert_allclose(found[f"BLSTM {s}"][place], np.clip(curve, -1, 1))
            mean = np.mean(np.array(each, float), axis=0)
            np.testing.assert_allclose(found["AVG"][place], np.clip(mean, -1, 1), atol=1e-6)
            expected = np.clip(elm.predict(stacked(each)), -1, 1)
            np.testing.assert_allclose(found["ELM"][place], expected, atol=1e-6)


# Nested: nothing of the set that is left out


def relabelled(results, partition):
    """The same results, but for the labels of a set."""
    development = list(results.material.development)
    for number in results.material.validation[partition]:
        development[number] = replace(development[number], labels=-development[number].labels)
    return replace(results, material=replace(results.material, development=tuple(development)))


@pytest.mark.parametrize("partition", [0, 3])
def test_nested_predictions_do_not_know_the_set_they_are_about(results, partition):
    """All of it from files of the nested networks alone; wrong labels change nothing."""
    networks = plan.nested(RECIPE, 0, partition)
    assert {p for _, p, _ in networks} == set(range(5)) - {partition}
    said = write(results, networks.values())
    groups, _, elm = expected_fusion(results, said, networks, 0)
    fused = systems.select(results, networks)
    assert [list(group) for group in fused.groups] == groups
    found = systems.ensemble_curves(results, fused, "without")
    for place in range(2):
        both = [
            elm.predict(stacked([said[job, "without"][place] for job in group])) for group in groups
        ]
        expected = np.clip(np.mean(both, axis=0), -1, 1)
        np.testing.assert_allclose(found["ELM"][place], expected, atol=1e-6)

    other = relabelled(results, partition)
    again = systems.ensemble_curves(other, systems.select(other, networks), "without")
    for name, curves in found.items():
        for one, two in zip(curves, again[name], strict=True):
            np.testing.assert_array_equal(one, two)
    seen = relabelled(results, (partition + 1) % 5)  # of a set that they may know
    changed = systems.ensemble_curves(seen, systems.select(seen, networks), "without")
    assert not np.array_equal(changed["ELM"][0], found["ELM"][0])


@pytest.mark.parametrize("left_out", [2, 4])
def test_a_nested_network_does_not_know_the_set_it_is_about(results, left_out):
    """Other labels and other rows of that set give the same weights."""
    job = NetworkJob("blstm", 1, 2, 10, 0, 1, 0, without=2)
    development = list(results.material.development)
    for number in results.material.validation[left_out]:
        one = development[number]
        development[number] = replace(one, rows=one.rows + 1, labels=-one.labels)
    other = replace(results.material, development=tuple(development))
    weights = []
    for material in (results.material, other):
        arrays = do(Task((job,), None), material, RECIPE, None, "cpu", 0)[0].arrays
        weights.append({key: array for key, array in arrays.items() if key.startswith("network/")})
    same = [np.array_equal(weights[0][key], weights[1][key]) for key in weights[0]]
    assert all(same) == (left_out == 2)


# Baselines


def smoothed(curve, width):
    curve = curve.astype(float)
    return np.array([average(curve, t, width // 2) for t in range(len(curve))])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("family", "widths"), [("lstm", (1,)), ("rnn", (1, 3, 7))])
def test_baselines_are_tuned_on_validation_songs(results, family, widths, seed):
    """Size and width by the mean over sets of the best trial's error, then the best network."""
    sizes = {"lstm": [(1, 4), (2, 4)], "rnn": [(1, 3), (1, 5)]}[family]
    jobs = [
        NetworkJob(family, *size, 60, 1, p, k)
        for size, p, k in product(sizes, range(5), range(RECIPE.trials))
    ]
    order = np.random.default_rng(seed).permutation(len(jobs))
    said = write(results, [jobs[number] for number in order])
    songs = [
        [results.material.development[n] for n in members]
        for members in results.material.validation
    ]

    def wrong(job, width):
        curves = [smoothed(curve, width) for curve in said[job, "validation"]]
        return np.mean(squares(curves, songs[job.partition], 1)) ** 0.5

    points = {}
    for size, width in product(sizes, widths):
        members = [job for job in jobs if (job.layers, job.units) == size]
        lowest = [min(wrong(j, width) for j in members if j.partition == p) for p in range(5)]
        chosen = min(members, key=lambda job, width=width: wrong(job, width))
        points[np.mean(lowest)] = (chosen, width)
    job, width = points[min(points)]

    write_others = {"lstm": "rnn", "rnn": "lstm"}[family]
    others = [
        other
        for networks in plan.baseline(RECIPE, write_others, 1).values()
        for other in networks.values()
    ]
    regressions = [RegressionJob("mlr", 1), RegressionJob("svr", 1)]
    rest = write(results, [*others, *regressions], scatter=3)
    found = systems.baseline_curves(results, 1)
    name = {"lstm": "LSTM", "rnn": "RNN + smoothing"}[family]
    expected = [np.clip(smoothed(curve, width), -1, 1) for curve in said[job, "test"]]
    close(found[name], expected)
    for name, regression in zip(("MLR", "SVR"), regressions, strict=True):
        close(found[name], [np.clip(curve, -1, 1) for curve in rest[regression, "test"]])
    assert list(found) == ["constant", "MLR", "SVR", "RNN + smoothing", "LSTM"]


def test_the_constant_is_the_mean_of_the_labels_of_development(results):
    for dimension in (0, 1):
        known = [
            label
            for one in results.material.development
            for label in one.labels[:, dimension].tolist()
            if label == label
        ]
        found = systems.constant_curves(results, dimension)
        assert [len(curve) for curve in found] == [65, 9]
        np.testing.assert_allclose(np.concatenate(found), sum(known) / len(known), rtol=1e-5)


# Another length


def test_a_network_at_another_length(results):
    job = NetworkJob("blstm", 2, 4, 20, 0, 1, 0, pretraining=TRAINING)
    *hidden, output = initial_network(5, 2, 4, np.random.default_rng(0), 1.0).layers
    network = Network((*hidden, replace(output, weights=4 * output.weights, bias=0 * output.bias)))
    arrays = {f"network/{key}": array for key, array in to_arrays(network).items()}
    np.savez(path_of(job, results.run), test=np.zeros(74), **arrays)
    at = {length: systems.at_length(results, job, length) for length in SCALES}
    for length in SCALES:
        for curve, one in zip(at[length], results.material.test, strict=True):
            (expected,) = scale_outputs((network,), (length,), one.rows)
            np.testing.assert_allclose(curve, np.clip(expected, -1, 1), atol=1e-6)
    assert np.abs(at[10][0] - at[20][0]).max() > 1e-3
    assert np.abs(at[10][0]).max() == 1  # clipped
    np.testing.assert_array_equal(at[10][1], at[60][1])  # 9 half-seconds: one piece either way
