from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs moodcurve[train]")

from moodcurve.network import Dense, Network, Recurrent, forward
from moodcurve.training.loop import Settings, train
from moodcurve.training.network import initial_network
from moodcurve.training.pretraining import autoencoder, to_denoise, with_pretrained

FEATURES, UNITS = 6, 8
SETTINGS = Settings("adam", 0.01, error="mean", batch=8, epochs=25, noise=0.5)


def drawn(layers=2, units=UNITS, seed=0):
    return autoencoder(FEATURES, layers, units, np.random.default_rng(seed), 0.1)


def song(seed, length):
    """All features follow one slow curve: what noise takes away, the others can tell."""
    rng = np.random.default_rng(seed)
    curve = np.sin(np.arange(length) / 5 + rng.uniform(0, 6))
    return np.outer(curve, [1, -1, 0.5, -0.5, 0.8, 1.2]).astype(np.float32)


def restored(network, noise=0.5):
    """The mean squared error of what a network makes of noisy songs that it has not seen."""
    rng = np.random.default_rng(7)
    clean = np.stack([song(100 + k, 30) for k in range(10)])
    noisy = (clean + noise * rng.normal(size=clean.shape)).astype(np.float32)
    return np.mean((forward(network, noisy) - clean) ** 2), np.mean((noisy - clean) ** 2)


def test_the_autoencoder_gives_as_many_numbers_as_it_takes():
    network = drawn()
    *hidden, output = network.layers
    assert [layer.inputs for layer in hidden] == [FEATURES, UNITS]
    assert all(isinstance(layer, Recurrent) and layer.outputs == UNITS for layer in hidden)
    assert isinstance(output, Dense)
    assert output.activation == "identity"
    assert output.weights.shape == (FEATURES, UNITS)
    assert output.bias.shape == (FEATURES,)
    assert forward(network, np.zeros((3, 7, FEATURES), np.float32)).shape == (3, 7, FEATURES)


def test_its_weights_are_drawn_as_wide_as_asked_for():
    network = autoencoder(50, 1, 40, np.random.default_rng(0), 0.3)
    weights = network.layers[-1].weights
    assert weights.std() == pytest.approx(0.3, rel=0.05)
    assert abs(weights.mean()) < 0.03
    assert weights.dtype == np.float32


def test_the_targets_are_the_inputs_and_padding_is_masked():
    songs = [song(0, 7), song(1, 3)]
    found = to_denoise(songs, 5)
    assert found.inputs.shape == found.targets.shape == (3, 5, FEATURES)
    np.testing.assert_array_equal(found.inputs, found.targets)
    np.testing.assert_array_equal(found.inputs[0], songs[0][:5])
    np.testing.assert_array_equal(found.inputs[1], songs[0][2:])  # the last piece, from the end
    np.testing.assert_array_equal(found.inputs[2, :3], songs[1])
    np.testing.assert_array_equal(found.mask, [[True] * 5, [True] * 5, [True] * 3 + [False] * 2])


def test_it_learns_to_undo_noise():
    """Less than half the error before, and than the noise's own, on songs it has not seen."""
    data = to_denoise([song(k, 45) for k in range(12)], 30)
    clean = data.targets.copy()
    trained, log = train(drawn(), data, None, SETTINGS, np.random.default_rng(1))
    before, _ = restored(drawn())
    after, noise = restored(trained)
    assert len(log) == SETTINGS.epochs  # no early stopping
    assert after < 0.5 * before
    assert after < 0.5 * noise
    np.testing.assert_array_equal(data.targets, clean)  # the noise went to the inputs only


def test_padding_teaches_nothing():
    data = to_denoise([song(0, 4), song(1, 6)], 6)
    other = replace(data, inputs=data.inputs.copy(), targets=data.targets.copy())
    other.inputs[~data.mask] = 9.0
    other.targets[~data.mask] = -9.0
    settings = replace(SETTINGS, epochs=2, noise=0)
    one, two = (
        train(drawn(), each, None, settings, np.random.default_rng(1))[0] for each in (data, other)
    )
    x = song(5, 9)[None]
    np.testing.assert_array_equal(forward(one, x), forward(two, x))


@pytest.mark.parametrize("pretrained_layers", [1, 2])
def test_the_lower_layers_are_replaced_and_no_other(pretrained_layers):
    network = initial_network(FEATURES, 4, UNITS, np.random.default_rng(3), 0.1)
    pretrained = drawn(pretrained_layers, seed=4)
    joined = with_pretrained(network, pretrained)
    lower = pretrained.layers[:pretrained_layers]
    expected = (*lower, *network.layers[pretrained_layers:])
    assert len(joined.layers) == len(network.layers) == 5
    assert all(a is b for a, b in zip(joined.layers, expected, strict=True))
    x = song(0, 11)[None]
    below = forward(Network(lower), x)
    np.testing.assert_allclose(
        forward(joined, x), forward(Network(network.layers[pretrained_layers:]), below), rtol=1e-6
    )
    assert forward(joined, x).shape == (1, 11, 1)
