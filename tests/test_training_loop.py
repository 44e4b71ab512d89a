import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs moodcurve[train]")

from moodcurve.currennt import read_data, read_network  # noqa: E402
from moodcurve.errors import InputError  # noqa: E402
from moodcurve.metrics import ccc  # noqa: E402
from moodcurve.network import forward, to_arrays  # noqa: E402
from moodcurve.training.batches import Batch, Sequences  # noqa: E402
from moodcurve.training.loop import (  # noqa: E402
    Settings,
    _course_errors,
    _discordances,
    evaluate,
    train,
)
from moodcurve.training.network import BLSTM, initial_network  # noqa: E402

ANSWERS = Path(__file__).resolve().parents[2] / "shared" / "currennt"
CASES = ANSWERS / "cases.json"
TRAIN = json.loads(CASES.read_text())["train"] if CASES.exists() else []

QUICK = Settings(learning_rate=0.01, batch=4, epochs=3, noise=0.0)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def weights(network):
    return np.concatenate([a.ravel() for a in to_arrays(network).values() if a.dtype.kind == "f"])


def same(one, other):
    return np.array_equal(weights(one), weights(other))


def sequences(rng, count=10, steps=8, features=3):
    """Each target is the mean of the first input of the step before and of the step after."""
    x = rng.normal(0, 1, (count, steps, features)).astype(np.float32)
    around = np.pad(x[..., :1], ((0, 0), (1, 1), (0, 0)))
    y = (around[:, :-2] + around[:, 2:]) / 2
    return Sequences(x, y, np.ones((count, steps), bool))


def small(seed=0):
    return initial_network(3, 1, 6, np.random.default_rng(seed), sigma=0.3)


def run(settings, training, validation=None, seed=5):
    return train(small(), training, validation, settings, np.random.default_rng(seed))


def padded_by_length(data):
    """CURRENNT's order: shortest first."""
    order = sorted(range(len(data.inputs)), key=lambda n: len(data.inputs[n]))
    lengths = np.array([len(data.inputs[n]) for n in order])
    mask = np.arange(lengths.max()) < lengths[:, None]
    inputs = np.zeros((*mask.shape, data.inputs[0].shape[1]), np.float32)
    targets = np.full((*mask.shape, data.targets[0].shape[1]), np.nan, np.float32)
    inputs[mask] = np.concatenate([data.inputs[n] for n in order])
    targets[mask] = np.concatenate([data.targets[n] for n in order])
    return Sequences(inputs, targets, mask)


@pytest.mark.skipif(not TRAIN, reason=f"no known answers in {ANSWERS}")
@pytest.mark.parametrize("case", TRAIN, ids=lambda case: case["out"])
def test_known_answers(case):
    settings = Settings(
        learning_rate=case["lr"],
        momentum=case["momentum"],
        batch=case["parallel"],
        stochastic=case["stochastic"],
        epochs=case["epochs"],
        patience=case["no_best"],
        shuffle=False,
        noise=0.0,
    )
    network, log = train(
        read_network(ANSWERS / case["net"]),
        padded_by_length(read_data(ANSWERS / case["data"])),
        padded_by_length(read_data(ANSWERS / case["val"])),
        settings,
        np.random.default_rng(0),
    )
    expected = read_network(ANSWERS / case["out"])
    np.testing.assert_allclose(weights(network), weights(expected), rtol=0, atol=case["tol"])
    errors = [(epoch["training_error"], epoch["validation_error"]) for epoch in log]
    np.testing.assert_allclose(errors, case["errors"], rtol=0, atol=case["error_tol"])


def test_learns_to_remember():
    rng = np.random.default_rng(1)
    training, validation = sequences(rng, 60), sequences(rng, 20)
    settings = replace(
        QUICK, optimiser="adam", learning_rate=0.02, error="mean", batch=20, epochs=60
    )
    network, log = run(settings, training, validation)
    assert log[-1]["validation_error"] < 0.1 * log[0]["validation_error"]
    half = 0.5 * np.square(forward(network, validation.inputs) - validation.targets).sum()
    best = min(epoch["validation_error"] for epoch in log)
    assert half / len(validation) == pytest.approx(best, rel=1e-4)


def test_early_stopping_restores_the_best_weights():
    rng = np.random.default_rng(2)
    training, validation = sequences(rng, 6), sequences(rng, 6)
    # steps much too large: the error soon rises
    settings = replace(QUICK, learning_rate=0.03, epochs=200, patience=4)
    network, log = run(settings, training, validation)
    errors = [epoch["validation_error"] for epoch in log]
    best = int(np.argmin(errors))
    assert 0 < best == len(log) - 1 - 4
    assert log[best]["new_best"] and not any(epoch["new_best"] for epoch in log[best + 1 :])
    assert evaluate(BLSTM(network), validation) == pytest.approx(errors[best], rel=1e-6)
    assert errors[-1] > errors[best]
    only_so_far, _ = run(replace(settings, epochs=best + 1), training, validation)
    assert same(network, only_so_far)


def test_without_validation_the_last_weights_return():
    training = sequences(np.random.default_rng(3))
    # steps much too large, so that the last weights are not the best
    settings = replace(QUICK, learning_rate=0.05, epochs=6, patience=1, stochastic=False)
    network, log = run(settings, training)
    assert [epoch["epoch"] for epoch in log] == [1, 2, 3, 4, 5, 6]
    assert {epoch["validation_error"] for epoch in log} == {None}
    # with one update an epoch, the training error of an epoch belongs to the weights before it
    _, longer = run(replace(settings, epochs=7), training)
    assert evaluate(BLSTM(network), training) == pytest.approx(
        longer[-1]["training_error"], rel=1e-5
    )
    assert longer[-1]["training_error"] > min(epoch["training_error"] for epoch in longer)


def test_weights_that_never_improve_are_those_given():
    training = sequences(np.random.default_rng(3))
    validation = replace(training, targets=np.full_like(training.targets, np.inf))
    network, log = run(replace(QUICK, patience=2, epochs=9), training, validation)
    assert len(log) == 2
    assert same(network, small())


def test_noise_does_not_touch_validation_and_is_fresh():
    rng = np.random.default_rng(4)
    training, validation = sequences(rng), sequences(rng)
    still = replace(QUICK, learning_rate=0.0, noise=0.5, shuffle=False)
    _, log = run(still, training, validation)
    assert len({round(epoch["training_error"], 3) for epoch in log}) == 3
    clean = evaluate(BLSTM(small()), validation, batch=4)
    assert [epoch["validation_error"] for epoch in log] == [clean] * 3


def test_same_seed_same_weights():
    rng = np.random.default_rng(5)
    training, validation = sequences(rng), sequences(rng)
    settings = replace(QUICK, noise=0.3)
    first, log = run(settings, training, validation, seed=1)
    again, log_again = run(settings, training, validation, seed=1)
    other, _ = run(settings, training, validation, seed=2)
    assert same(first, again)
    assert [e["training_error"] for e in log] == [e["training_error"] for e in log_again]
    assert not same(first, other)
    assert same(small(), small())  # and the network given is as it was


def test_shuffling_depends_on_the_seed_and_can_be_off():
    training = sequences(np.random.default_rng(6))
    one, other = (run(QUICK, training, seed=seed)[0] for seed in (1, 2))
    assert not same(one, other)
    settings = replace(QUICK, shuffle=False)
    one, other = (run(settings, training, seed=seed)[0] for seed in (1, 2))
    assert same(one, other)


@pytest.mark.parametrize("error", ["sum", "mean", "ccc"])
def test_padding_and_frames_without_label_have_no_influence(error):
    rng = np.random.default_rng(7)
    training = sequences(rng)
    mask = np.arange(8) < rng.integers(3, 8, 10)[:, None]
    targets = training.targets.copy()
    targets[:, 2] = np.nan
    settings = replace(QUICK, error=error)
    expected, log = run(settings, Sequences(training.inputs, targets, mask))
    inputs, other_targets = training.inputs.copy(), targets.copy()
    inputs[~mask], other_targets[~mask] = 99, -99
    again, log_again = run(settings, Sequences(inputs, other_targets, mask))
    assert same(expected, again)
    assert [e["training_error"] for e in log] == [e["training_error"] for e in log_again]
    labelled, _ = run(settings, Sequences(training.inputs, training.targets, mask))
    assert not same(expected, labelled)


def test_an_unlabelled_frame_gives_no_gradient():
    training = sequences(np.random.default_rng(8))
    nothing = replace(training, targets=np.full_like(training.targets, np.nan))
    network, log = run(replace(QUICK, error="mean"), nothing)
    assert same(network, small())
    assert [epoch["training_error"] for epoch in log] == [0, 0, 0]


@pytest.mark.parametrize("stochastic", [True, False])
def test_mean_is_the_sum_over_the_labels_of_an_update(stochastic):
    training = sequences(np.random.default_rng(9), count=8)
    training.targets[:, :4] = np.nan
    labels = 4 * (4 if stochastic else 8)
    settings = replace(QUICK, shuffle=False, stochastic=stochastic, clip_deltas=False)
    summed, _ = run(replace(settings, learning_rate=0.01), training)
    mean, _ = run(replace(settings, learning_rate=0.01 * labels, error="mean"), training)
    np.testing.assert_allclose(weights(summed), weights(mean), atol=1e-6)
    assert not same(summed, small())


def test_discordance_against_the_metric():
    """The outputs' sum of 1 - CCC over the labelled frames; a weight of 2 is a sequence twice."""
    rng = np.random.default_rng(3)
    outputs, targets = rng.normal(size=(2, 3, 5, 2)).astype(np.float32)
    targets[1, 3:] = np.nan
    mask = np.ones((3, 5), bool)
    mask[2, 2:] = False
    there = mask & ~np.isnan(targets[..., 0])
    twice = np.concatenate([there, there[:1]])
    y, x = (np.concatenate([a, a[:1]])[twice] for a in (targets, outputs))
    expected = sum(1 - ccc(y[:, k].astype(float), x[:, k].astype(float)) for k in (0, 1))
    targets[~mask] = np.nan
    targets, outputs = (torch.from_numpy(a.transpose(1, 0, 2)[None]) for a in (targets, outputs))
    weights = torch.tensor([2.0, 1.0, 1.0]).view(1, 1, 3, 1)
    batch = Batch(torch.empty(0), targets, weights, None)
    assert _discordances(outputs, batch).item() == pytest.approx(expected, abs=1e-5)


def test_the_error_of_the_course_by_hand():
    """Of each sequence, what is left of the errors less their mean; a constant error has none."""
    nan = math.nan
    targets = torch.tensor([[[[0.0], [1.0]], [[2.0], [1.0]], [[nan], [1.0]]]])  # (1, 3, 2, 1)
    outputs = torch.tensor([[[[1.0], [5.0]], [[1.0], [5.0]], [[9.0], [5.0]]]])
    weights = torch.tensor([[[[2.0], [1.0]]]])
    batch = Batch(outputs, targets, weights, None)
    # errors 1 and -1 about a mean of 0 in the first sequence, which counts twice
    assert _course_errors(outputs, batch).tolist() == pytest.approx([0.5 * 2 * (1 + 1)])


def test_concordance_can_be_learned():
    data = sequences(np.random.default_rng(0), count=40)
    settings = replace(QUICK, error="ccc", optimiser="adam", learning_rate=0.02, epochs=30)
    network, _ = run(settings, data)
    said = forward(network, data.inputs)
    assert ccc(data.targets.ravel().astype(float), said.ravel().astype(float)) > 0.8


def test_batches_of_a_full_update_are_only_a_matter_of_memory():
    training = sequences(np.random.default_rng(10))
    settings = replace(QUICK, stochastic=False, shuffle=False)
    one, other = (run(replace(settings, batch=batch), training)[0] for batch in (3, 10))
    np.testing.assert_allclose(weights(one), weights(other), atol=1e-6)


def test_weight_decay_shrinks_weights_without_gradient():
    training = sequences(np.random.default_rng(11))
    nothing = replace(training, targets=np.full_like(training.targets, np.nan))
    settings = replace(QUICK, optimiser="adam", weight_decay=0.5, batch=10, epochs=1)
    network, _ = run(settings, nothing)
    np.testing.assert_allclose(weights(network), weights(small()) * (1 - 0.01 * 0.5), rtol=1e-5)


def test_clipping_can_be_off():
    training = sequences(np.random.default_rng(12))
    training.targets[:] *= 50
    settings = replace(QUICK, learning_rate=1e-4)
    assert not same(
        run(settings, training)[0], run(replace(settings, clip_deltas=False), training)[0]
    )


def test_every_epoch_is_reported():
    seen = []
    training = sequences(np.random.default_rng(13))
    _, log = train(small(), training, None, QUICK, np.random.default_rng(0), seen.append)
    assert seen == log
    assert all(epoch["seconds"] > 0 for epoch in log)


def test_mistakes():
    nothing = sequences(np.random.default_rng(14), count=0)
    with pytest.raises(InputError, match="no training sequences"):
        run(QUICK, nothing)
    with pytest.raises(InputError, match="unknown optimiser 'lbfgs'; use one of sgd, adam"):
        Settings(optimiser="lbfgs")
    with pytest.raises(InputError, match="unknown error 'max'"):
        Settings(error="max")
    with pytest.raises(InputError, match="batch is 0"):
        Settings(batch=0)
