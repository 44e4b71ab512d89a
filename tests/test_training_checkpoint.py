from dataclasses import replace

import numpy as np
import pytest

from moodcurve.network import to_arrays
from moodcurve.training.batches import Sequences
from moodcurve.training.loop import Settings, train
from moodcurve.training.network import initial_network

FEW = Settings(learning_rate=1e-3, batch=4, epochs=6, patience=6, noise=0.3)


def sequences(rng, count=10):
    inputs = rng.normal(size=(count, 7, 3)).astype(np.float32)
    targets = inputs[:, :, :1].cumsum(axis=1)
    return Sequences(inputs, targets, np.ones((count, 7), bool))


class Killed(Exception):
    pass


def killed_after(epochs):
    def on_epoch(epoch):
        if epoch["epoch"] == epochs:
            raise Killed

    return on_epoch


def run(settings, checkpoint=None, kills=(), validation=True):
    """Train, dying after the given epochs and starting again each time."""
    data = sequences(np.random.default_rng(1))
    held = sequences(np.random.default_rng(2), 4) if validation else None

    def attempt(epochs=None):
        rng = np.random.default_rng(3)
        start = initial_network(3, 1, 4, rng)
        return train(start, data, held, settings, rng, killed_after(epochs), checkpoint)

    for epochs in kills:
        with pytest.raises(Killed):
            attempt(epochs)
    return attempt()


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("kills", [(1,), (2, 5), (6,)])
@pytest.mark.parametrize("validation", [True, False])
def test_a_killed_training_ends_as_an_uninterrupted_one(optimiser, kills, validation, tmp_path):
    settings = replace(FEW, optimiser=optimiser)
    network, log = run(settings, validation=validation)
    again, log_again = run(settings, tmp_path / "t.npz", kills, validation)
    for key, array in to_arrays(network).items():
        np.testing.assert_array_equal(to_arrays(again)[key], array)
    for entry, other in zip(log, log_again, strict=True):
        assert {**entry, "seconds": 0} == {**other, "seconds": 0}


@pytest.mark.parametrize("size", [0, 100, 3000])
def test_with_a_damaged_checkpoint_training_begins_anew(size, tmp_path):
    path = tmp_path / "t.npz"
    expected, _ = run(FEW, path, (2,))
    path.write_bytes(path.read_bytes()[:size])
    network, log = run(FEW, path)
    assert len(log) == 6
    for key, array in to_arrays(expected).items():
        np.testing.assert_array_equal(to_arrays(network)[key], array)


def test_no_epoch_is_repeated(tmp_path):
    _, log = run(FEW, tmp_path / "t.npz", kills=(4,))
    assert [entry["epoch"] for entry in log] == [1, 2, 3, 4, 5, 6]


def test_the_best_weights_survive_the_break(tmp_path):
    diverging = replace(FEW, learning_rate=0.1, epochs=5)  # only early epochs are any good
    network, log = run(diverging, tmp_path / "t.npz", kills=(4,))
    best = max(entry["epoch"] for entry in log if entry["new_best"])
    assert best < 4
    expected, _ = run(replace(diverging, epochs=best))
    for key, array in to_arrays(expected).items():
        np.testing.assert_array_equal(to_arrays(network)[key], array)


def test_early_stopping_counts_on_over_the_break(tmp_path):
    stopping = replace(FEW, learning_rate=0.1, epochs=50, patience=3)
    _, log = run(stopping)
    _, again = run(stopping, tmp_path / "t.npz", kills=(2,))
    assert len(again) == len(log) < 50
