"""Many networks at once against each alone."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs moodcurve[train]")

from moodcurve.errors import InputError  # noqa: E402
from moodcurve.network import to_arrays  # noqa: E402
from moodcurve.training import memory  # noqa: E402
from moodcurve.training.batches import Sequences  # noqa: E402
from moodcurve.training.loop import Settings, Task, train, train_many  # noqa: E402
from moodcurve.training.network import initial_lstm, initial_network, initial_rnn  # noqa: E402

SETTINGS = Settings(learning_rate=0.02, batch=4, epochs=12, patience=3, noise=0.3)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def sequences(seed, count, steps=8, weighed=False):
    """Sequences of several lengths, the targets partly missing."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, steps, 3)).astype(np.float32)
    targets = inputs[:, :, :1].cumsum(axis=1)
    targets[rng.random((count, steps)) < 0.2] = np.nan
    mask = np.arange(steps) < rng.integers(2, steps + 1, count)[:, None]
    weights = rng.uniform(0.5, 2, count).astype(np.float32) if weighed else None
    return Sequences(inputs, targets, mask, weights)


def blstm(seed):
    return initial_network(3, 2, 6, np.random.default_rng(seed), sigma=0.3)


def task(seed, start=blstm, **changes):
    """Another start, order and noise, and more or fewer sequences of another length."""
    own = Task(
        start(seed),
        sequences(seed, 6 + 3 * seed, 6 + seed, weighed=seed == 1),
        sequences(10 + seed, 5, 8),
        np.random.default_rng(seed),
    )
    return replace(own, **changes)


def assert_same(one, other):
    """Networks and logs that differ by rounding only."""
    (network, log), (other_network, other_log) = one, other
    for key, array in to_arrays(network).items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(to_arrays(other_network)[key], array, atol=2e-5)
    assert [e["new_best"] for e in log] == [e["new_best"] for e in other_log]
    for key in ("training_error", "validation_error"):
        errors, other_errors = ([e[key] for e in entries] for entries in (log, other_log))
        if errors[0] is not None:
            np.testing.assert_allclose(errors, other_errors, rtol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"stochastic": False},
        {"optimiser": "adam", "error": "mean"},
        {"error": "ccc", "optimiser": "adam"},
        {"shuffle": False, "noise": 0.0, "clip_deltas": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("bound", [memory.BOUND, 1.0], ids=["all at once", "one by one"])
def test_together_as_alone(changes, bound, monkeypatch):
    monkeypatch.setattr(memory, "BOUND", bound)
    settings = replace(SETTINGS, **changes)
    together = train_many([task(seed) for seed in range(4)], settings)
    for seed, found in enumerate(together):
        assert_same(found, train_many([task(seed)], settings)[0])


def test_each_stops_when_its_own_patience_ends():
    settings = replace(SETTINGS, epochs=60)
    together = train_many([task(seed) for seed in range(4)], settings)
    ends = [len(log) for _, log in together]
    assert len(set(ends)) > 1 and max(ends) < 60
    for seed, found in enumerate(together):
        assert_same(found, train_many([task(seed)], settings)[0])


@pytest.mark.parametrize(
    "start",
    [
        lambda seed: initial_lstm(3, 2, 5, np.random.default_rng(seed), 0.3),
        lambda seed: initial_rnn(3, 5, np.random.default_rng(seed), 0.3),
    ],
    ids=["LSTM", "RNN"],
)
def test_the_baselines_together_as_alone(start):
    together = train_many([task(seed, start) for seed in range(3)], SETTINGS)
    for seed, found in enumerate(together):
        assert_same(found, train_many([task(seed, start)], SETTINGS)[0])


def test_some_with_validation_and_some_without():
    tasks = [task(0), replace(task(1), validation=None), task(2)]
    together = train_many(tasks, SETTINGS)
    alone = train_many([replace(task(1), validation=None)], SETTINGS)[0]
    assert_same(together[1], alone)
    assert_same(together[2], train_many([task(2)], SETTINGS)[0])


def test_the_same_seed_gives_the_same_bits():
    for one, other in zip(*(train_many([task(0), task(1)], SETTINGS) for _ in "12"), strict=True):
        for key, array in to_arrays(one[0]).items():
            assert np.array_equal(array, to_arrays(other[0])[key])


def test_one_that_leaves_the_range_of_numbers_is_stopped_and_the_others_go_on():
    lost = task(1)
    lost.training.targets[:] = 1e30
    together = train_many([task(0), lost, task(2)], SETTINGS)
    network, log = together[1]
    assert len(log) == 1
    assert log[0]["stopped"] == (
        "the error left the range of numbers in epoch 1; its weights are those it began with"
    )
    np.testing.assert_array_equal(network.layers[0].weights, lost.network.layers[0].weights)
    for seed in (0, 2):
        assert_same(together[seed], train_many([task(seed)], SETTINGS)[0])
        assert not any("stopped" in entry for entry in together[seed][1])


@pytest.mark.parametrize("validation", [True, False])
def test_one_that_explodes_keeps_its_best_weights(validation, tmp_path):
    """Steps as long as this lead far away within a few epochs."""
    settings = replace(SETTINGS, learning_rate=0.2, epochs=30, patience=30)

    def attempt(settings):
        given = task(0) if validation else replace(task(0), validation=None)
        return train_many([replace(given, checkpoint=tmp_path / "t.npz")], settings)[0]

    network, log = attempt(settings)
    assert 1 < len(log) < 30
    first, last = log[0]["training_error"], log[-1]["training_error"]
    assert not last < 1e4 * first
    best = max(entry["epoch"] for entry in log if entry["new_best"])
    assert best < len(log)
    assert log[-1]["stopped"].endswith(f"its weights are those of epoch {best}")
    again, same_log = attempt(settings)  # from the checkpoint: it is over
    assert [e["epoch"] for e in same_log] == [e["epoch"] for e in log]
    (tmp_path / "t.npz").unlink()
    expected, _ = attempt(replace(settings, epochs=best))
    for key, array in to_arrays(expected).items():
        np.testing.assert_array_equal(to_arrays(network)[key], array)
        np.testing.assert_array_equal(to_arrays(again)[key], array)


def test_a_killed_training_of_many_goes_on(tmp_path):
    class Killed(Exception):
        pass

    def kill(epoch):
        if epoch["epoch"] == 5:
            raise Killed

    def tasks(on_epoch=None):
        return [
            replace(task(seed), checkpoint=tmp_path / f"{seed}.npz", on_epoch=on_epoch)
            for seed in range(3)
        ]

    settings = replace(SETTINGS, patience=12)
    with pytest.raises(Killed):
        train_many(tasks(kill), settings)
    again = train_many(tasks(), settings)
    for seed, found in enumerate(again):
        assert [entry["epoch"] for entry in found[1]] == list(range(1, 13))
        assert_same(found, train_many([task(seed)], settings)[0])


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_one_that_was_under_way_goes_on_beside_one_that_begins(optimiser, tmp_path):
    settings = replace(SETTINGS, optimiser=optimiser, patience=12)
    under_way = replace(task(0), checkpoint=tmp_path / "0.npz")
    train_many([under_way], replace(settings, epochs=3))
    found = train_many([replace(task(0), checkpoint=tmp_path / "0.npz"), task(1)], settings)
    assert [entry["epoch"] for entry in found[0][1]] == list(range(1, 13))
    for seed, one in enumerate(found):
        assert_same(one, train_many([task(seed)], settings)[0])


def test_train_is_the_same_for_one():
    one = task(2)
    network, log = train(one.network, one.training, one.validation, SETTINGS, one.rng)
    assert_same((network, log), train_many([task(2)], SETTINGS)[0])


def test_networks_of_several_shapes():
    other = task(1, lambda seed: initial_network(3, 2, 8, np.random.default_rng(seed)))
    with pytest.raises(InputError, match="several shapes cannot be trained at once"):
        train_many([task(0), other], SETTINGS)


def test_too_little_memory_is_said_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: 10_000)
    with pytest.raises(InputError, match=r"training 2 networks at once takes .* train fewer"):
        train_many([task(0), task(1)], SETTINGS)


def test_the_memory_of_thirty_of_the_papers_networks():
    """Weights dominate: four copies of 1.9 million; gradients and passes are of a few at a time."""
    network = initial_network(260, 5, 250, np.random.default_rng(0))
    thirty, one = (memory.training_bytes([network] * m, 60, 50, "sgd") for m in (30, 1))
    assert 30 * 4 * 4 * 1_894_001 < thirty < 1.2e9
    assert one < 0.3e9


@pytest.mark.parametrize("stochastic", [True, False])
def test_gradients_are_there_of_those_computed_at_once_alone(stochastic, monkeypatch):
    """As the memory stated has it."""
    monkeypatch.setattr(memory, "BOUND", 1.0)
    updated, step = [], torch.optim.SGD.step

    def counted(self):
        weights = [weight for group in self.param_groups for weight in group["params"]]
        updated.append(sum(weight.grad is not None for weight in weights))
        step(self)

    monkeypatch.setattr(torch.optim.SGD, "step", counted)
    settings = replace(SETTINGS, stochastic=stochastic, epochs=1)
    train_many([task(0), task(1), task(2)], settings)
    arrays = to_arrays(blstm(0)).values()
    assert set(updated) == {sum(array.dtype.kind == "f" for array in arrays)}
    assert len(updated) == (2 + 3 + 3 if stochastic else 3)
