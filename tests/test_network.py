import io
import math

import numpy as np
import pytest

from moodcurve.errors import InputError
from moodcurve.network import (
    Dense,
    Elman,
    Network,
    Recurrent,
    forward,
    from_arrays,
    parameter_count,
    to_arrays,
)


def blstm(rng, inputs, units, directions=2):
    shapes = (
        (directions, 4 * units, inputs),
        (directions, 4 * units),
        (directions, 4 * units, units),
        (directions, 3, units),
    )
    return Recurrent(*(rng.normal(0, 0.6, shape).astype(np.float32) for shape in shapes))


def elman(rng, inputs, units, directions=2):
    shapes = ((directions, units, inputs), (directions, units), (directions, units, units))
    return Elman(*(rng.normal(0, 0.6, shape).astype(np.float32) for shape in shapes))


def dense(rng, inputs, outputs, activation="identity"):
    weights = rng.normal(0, 0.6, (outputs, inputs)).astype(np.float32)
    return Dense(weights, rng.normal(0, 0.6, outputs).astype(np.float32), activation)


@pytest.fixture
def network(rng):
    below = blstm(rng, 3, 4), dense(rng, 8, 5, "tanh"), blstm(rng, 5, 2)
    return Network((*below, elman(rng, 4, 3), dense(rng, 6, 2)))


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def only(layer):
    return Network((layer,))


def test_one_cell_by_hand():
    w = {"z": 0.5, "i": -0.3, "f": 0.8, "o": 0.2}
    r = {"z": 0.7, "i": 0.4, "f": -0.6, "o": 0.9}
    b = {"z": 0.1, "i": 0.2, "f": -0.1, "o": 0.3}
    p = {"i": 0.5, "f": -0.4, "o": 0.6}
    h = c = 0.0
    expected = []
    for x in (1.5, -0.7):
        into = {gate: w[gate] * x + r[gate] * h + b[gate] for gate in "zifo"}
        z = math.tanh(into["z"])
        i = 1 / (1 + math.exp(-(into["i"] + p["i"] * c)))
        f = 1 / (1 + math.exp(-(into["f"] + p["f"] * c)))
        c = z * i + c * f
        o = 1 / (1 + math.exp(-(into["o"] + p["o"] * c)))
        h = math.tanh(c) * o
        expected.append(h)
    layer = Recurrent(
        np.float32(list(w.values())).reshape(1, 4, 1),
        np.float32(list(b.values())).reshape(1, 4),
        np.float32(list(r.values())).reshape(1, 4, 1),
        np.float32(list(p.values())).reshape(1, 3, 1),
    )
    out = forward(only(layer), np.float32([[[1.5], [-0.7]]]))
    np.testing.assert_allclose(out.ravel(), expected, rtol=1e-6)


def test_one_elman_unit_by_hand():
    layer = Elman(np.float32([[[0.5]]]), np.float32([[0.1]]), np.float32([[[-0.7]]]))
    first = math.tanh(0.5 * 1.5 + 0.1)
    second = math.tanh(0.5 * -0.7 - 0.7 * first + 0.1)
    out = forward(only(layer), np.float32([[[1.5], [-0.7]]]))
    np.testing.assert_allclose(out.ravel(), [first, second], rtol=1e-6)


def test_elman_units_drive_each_other_as_the_rows_of_recurrent_say():
    """Unit 0 copies the input, unit 1 sees only what unit 0 said one half-second before."""
    recurrent = np.float32([[[0, 0], [2, 0]]])
    layer = Elman(np.float32([[[1], [0]]]), np.float32([[0, 0]]), recurrent)
    out = forward(only(layer), np.float32([[[0.3], [0.0], [0.0]]]))
    one = math.tanh(0.3)
    expected = [[one, 0], [0, math.tanh(2 * one)], [0, 0]]
    np.testing.assert_allclose(out[0], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", [blstm, elman])
def test_backward_is_forward_on_reversed_time(kind, rng):
    layer = kind(rng, 3, 4)
    swapped = type(layer)(*(array[::-1] for array in vars(layer).values()))
    x = rng.normal(0, 1, (2, 7, 3)).astype(np.float32)
    out, back = forward(only(layer), x), forward(only(swapped), x[:, ::-1])[:, ::-1]
    np.testing.assert_allclose(out[..., :4], back[..., 4:], atol=1e-6)
    np.testing.assert_allclose(out[..., 4:], back[..., :4], atol=1e-6)
    assert np.abs(out[..., :4] - out[..., 4:]).max() > 0.1


@pytest.mark.parametrize("filling", [0.0, 1e3, np.nan])
def test_padding_changes_nothing(network, rng, filling):
    lengths = (6, 2, 9)
    x = rng.normal(0, 1, (3, 9, 3)).astype(np.float32)
    mask = np.arange(9) < np.array(lengths)[:, None]
    x[~mask] = filling
    out = forward(network, x, mask)
    for row, length in enumerate(lengths):
        alone = forward(network, x[row : row + 1, :length])[0]
        np.testing.assert_allclose(out[row, :length], alone, atol=1e-6)


def test_mask_of_true_is_no_mask(network, rng):
    x = rng.normal(0, 1, (2, 5, 3)).astype(np.float32)
    assert np.array_equal(forward(network, x, np.ones((2, 5), bool)), forward(network, x))


def test_float32_and_input_untouched(network, rng):
    x = rng.normal(0, 1, (2, 5, 3)).astype(np.float32)
    before = x.copy()
    out = forward(network, x)
    assert out.dtype == np.float32
    assert out.shape == (2, 5, 2)
    assert np.array_equal(x, before)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [("identity", [-1e4, 2.0]), ("tanh", [-1, math.tanh(2)]), ("logistic", [0, 0.8807970779])],
)
def test_activations_and_no_overflow(activation, expected):
    layer = Dense(np.float32([[1.0]]), np.float32([0.0]), activation)
    out = forward(only(layer), np.float32([[[-1e4], [2.0]]]))
    np.testing.assert_allclose(out.ravel(), expected, rtol=1e-6)


def test_saturated_gates_do_not_overflow(rng):
    x = rng.normal(0, 1e6, (1, 4, 3)).astype(np.float32)
    assert np.isfinite(forward(only(blstm(rng, 3, 4)), x)).all()


def test_parameters_of_the_papers_network(rng):
    blstms = [blstm(rng, inputs, 125) for inputs in (260, 250, 250, 250, 250)]
    assert parameter_count(Network((*blstms, dense(rng, 250, 1)))) == 1_894_001


def test_parameters_of_an_elman_network(rng):
    network = Network((elman(rng, 260, 10, directions=1), dense(rng, 10, 1)))
    assert parameter_count(network) == 10 * 260 + 10 + 10 * 10 + 10 + 1


def test_arrays_round_trip_without_pickle(network, rng):
    file = io.BytesIO()
    np.savez(file, **to_arrays(network))
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        again = from_arrays(arrays)
    x = rng.normal(0, 1, (2, 5, 3)).astype(np.float32)
    assert np.array_equal(forward(again, x), forward(network, x))
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in network.layers]


@pytest.mark.parametrize("key", ["0.weights", "0.peepholes", "1.activation", "3.bias", "4.bias"])
def test_a_missing_array_is_named(network, key):
    arrays = to_arrays(network)
    del arrays[key]
    # without its activation, a dense layer reads as a recurrent one that lacks its own
    missing = "1.recurrent" if key == "1.activation" else key
    with pytest.raises(InputError, match=missing):
        from_arrays(arrays)


def test_foreign_or_no_arrays():
    with pytest.raises(InputError, match="not named"):
        from_arrays({"weights": np.zeros(3)})
    with pytest.raises(InputError, match="not named"):
        from_arrays({})


def test_shapes_must_agree(rng):
    layer = blstm(rng, 3, 4)
    with pytest.raises(InputError, match=r"bias.*must be \(2, 16\)"):
        Recurrent(layer.weights, layer.bias[:, 1:], layer.recurrent, layer.peepholes)
    with pytest.raises(InputError, match="dimensions"):
        Dense(np.zeros(3, np.float32), np.zeros(3, np.float32), "identity")
    with pytest.raises(InputError, match="unknown activation 'softmax'"):
        dense(rng, 3, 1, "softmax")
    with pytest.raises(InputError, match="takes 7 inputs, but layer 0 gives 8"):
        Network((layer, dense(rng, 7, 1)))
    with pytest.raises(InputError, match="at least one"):
        Network(())
    with pytest.raises(InputError, match="3 directions"):
        blstm(rng, 3, 4, directions=3)
    with pytest.raises(InputError, match=r"recurrent.*must be \(2, 4, 4\)"):
        Elman(layer.weights, layer.bias, layer.recurrent)
    with pytest.raises(InputError, match="3 directions"):
        elman(rng, 3, 4, directions=3)


def test_rows_of_another_size(network):
    with pytest.raises(InputError, match="rows of 3 features"):
        forward(network, np.zeros((1, 5, 4), np.float32))
