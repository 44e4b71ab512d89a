import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs moodcurve[train]")

from moodcurve.errors import InputError  # noqa: E402
from moodcurve.network import (  # noqa: E402
    Dense,
    Elman,
    Network,
    Recurrent,
    forward,
    parameter_count,
    to_arrays,
)
from moodcurve.training.network import (  # noqa: E402
    BLSTM,
    elman_layer,
    initial_lstm,
    initial_network,
    initial_rnn,
    lstm_layer,
)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def elman(rng, inputs, units, directions, sigma=0.5):
    shapes = ((directions, units, inputs), (directions, units), (directions, units, units))
    return Elman(*(rng.normal(0, sigma, shape).astype(np.float32) for shape in shapes))


def network_with_tanh(rng):
    """Every kind of layer: two BLSTM, one LSTM (a direction taken away), Elman, activations."""
    wide = initial_network(7, 3, 10, rng, sigma=0.5).layers
    one_way = type(wide[2])(*(array[:1] for array in vars(wide[2]).values()))
    tops = [
        Dense(rng.normal(0, 0.5, (n, p)).astype(np.float32), np.full(n, 0.1, np.float32), name)
        for n, p, name in [(4, 6, "tanh"), (3, 4, "logistic"), (2, 3, "identity")]
    ]
    return Network((*wide[:2], one_way, elman(rng, 5, 3, directions=2), *tops))


@pytest.mark.parametrize("seed", range(3))
def test_torch_agrees_with_numpy(seed):
    rng = np.random.default_rng(seed)
    network = network_with_tanh(rng)
    x = rng.normal(0, 1, (4, 9, 7)).astype(np.float32)
    mask = np.arange(9) < rng.integers(1, 10, 4)[:, None]
    for valid in (mask, np.ones_like(mask)):
        with torch.no_grad():
            ours = BLSTM(network)(torch.from_numpy(x), torch.from_numpy(valid)).numpy()
        np.testing.assert_allclose(ours[valid], forward(network, x, valid)[valid], atol=1e-5)


def test_round_trip():
    network = network_with_tanh(np.random.default_rng(0))
    again = to_arrays(BLSTM(network).to_network())
    for key, array in to_arrays(network).items():
        assert np.array_equal(again[key], array), key


def test_training_does_not_write_into_the_numpy_network():
    network = initial_network(2, 1, 2, np.random.default_rng(0))
    before = to_arrays(network)["0.weights"].copy()
    model = BLSTM(network)
    copied = model.to_network()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert np.array_equal(to_arrays(network)["0.weights"], before)
    assert np.array_equal(to_arrays(copied)["0.weights"], before)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("masked", [False, True])
def test_gradient_against_finite_differences(directions, masked):
    rng = np.random.default_rng(3)
    lengths = torch.tensor([[4, 2, 1], [3, 0, 4]], dtype=torch.int32)
    shapes = [
        (2, 4, 3, 2),
        *((directions, 8, 2), (directions, 8), (directions, 8, 2), (directions, 3, 2)) * 2,
    ]
    arrays = [torch.tensor(rng.normal(0, 0.7, shape), requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(
        lambda x, *weights: lstm_layer(
            x, lengths if masked else None, (weights[:4], weights[4:]), clip_deltas=False
        ),
        arrays,
    )


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("masked", [False, True])
def test_elman_gradient_against_finite_differences(directions, masked):
    rng = np.random.default_rng(3)
    lengths = torch.tensor([[4, 2, 1], [3, 0, 4]], dtype=torch.int32)
    shapes = [(2, 4, 3, 2), *((directions, 3, 2), (directions, 3), (directions, 3, 3)) * 2]
    arrays = [torch.tensor(rng.normal(0, 0.7, shape), requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(
        lambda x, *weights: elman_layer(x, lengths if masked else None, (weights[:3], weights[3:])),
        arrays,
    )


@pytest.mark.parametrize("directions", [1, 2])
def test_elman_against_torchs_rnn(directions):
    """The gradient too, and of errors so large that a clipped one would differ."""
    rng = np.random.default_rng(4)
    layer = elman(rng, 7, 5, directions)
    theirs = torch.nn.RNN(7, 5, batch_first=True, bidirectional=directions == 2)
    pairs = [("weight_ih_l0", "weights"), ("weight_hh_l0", "recurrent"), ("bias_ih_l0", "bias")]
    with torch.no_grad():
        for way, suffix in enumerate(["", "_reverse"][:directions]):
            getattr(theirs, "bias_hh_l0" + suffix).zero_()
            for name, ours in pairs:
                getattr(theirs, name + suffix).copy_(torch.from_numpy(getattr(layer, ours)[way]))
    model = BLSTM(Network((layer,)), clip_deltas=True)
    x = rng.normal(0, 1, (3, 9, 7)).astype(np.float32)
    xs = [torch.tensor(x, requires_grad=True) for _ in range(2)]
    outs = model(xs[0]), theirs(xs[1])[0]
    errors = torch.tensor(rng.normal(0, 1e3, outs[0].shape).astype(np.float32))
    for out in outs:
        (out * errors).sum().backward()
    torch.testing.assert_close(outs[0], outs[1], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(xs[0].grad, xs[1].grad, atol=1e-2, rtol=1e-4)
    weights = dict(zip(["weights", "bias", "recurrent"], model.parameters(), strict=True))
    for way, suffix in enumerate(["", "_reverse"][:directions]):
        for name, ours in pairs:
            expected = getattr(theirs, name + suffix).grad
            torch.testing.assert_close(weights[ours].grad[way], expected, atol=1e-2, rtol=1e-4)


def one_cell(clip_deltas, errors):
    """The gradient of one forward cell over two steps, in float64, and what it worked with."""
    weights = torch.tensor([0.5, -0.3, 0.8, 0.2], dtype=torch.float64).view(1, 4, 1)
    bias = torch.tensor([0.1, 0.2, -0.1, 0.3], dtype=torch.float64).view(1, 4)
    recurrent = torch.tensor([0.7, 0.4, -0.6, 0.9], dtype=torch.float64).view(1, 4, 1)
    peepholes = torch.tensor([0.5, -0.4, 0.6], dtype=torch.float64).view(1, 3, 1)
    x = torch.tensor([1.5, -0.7], dtype=torch.float64).view(1, 2, 1, 1)
    tensors = [tensor.requires_grad_() for tensor in (x, weights, bias, recurrent, peepholes)]
    out = lstm_layer(x, None, [tensors[1:]], clip_deltas=clip_deltas)
    (out.view(2) * torch.tensor(errors, dtype=torch.float64)).sum().backward()
    return [tensor.grad.numpy().ravel() for tensor in tensors]


def clipped_by_hand(errors):
    """CURRENNT's rule for that cell, in plain numbers: deltas of z, i, f, o at both steps."""
    w, r, b = [0.5, -0.3, 0.8, 0.2], [0.7, 0.4, -0.6, 0.9], [0.1, 0.2, -0.1, 0.3]
    pi, pf, po = 0.5, -0.4, 0.6
    xs = [1.5, -0.7]

    def logistic(a):
        return 1 / (1 + np.exp(-a))

    h, c, states = 0.0, 0.0, []
    for x in xs:
        a = [w[k] * x + r[k] * h + b[k] for k in range(4)]
        z, i, f = np.tanh(a[0]), logistic(a[1] + pi * c), logistic(a[2] + pf * c)
        before, c = c, z * i + c * f
        o = logistic(a[3] + po * c)
        states.append((z, i, f, o, before, c, h))
        h = np.tanh(c) * o
    deltas = [None, None]
    from_above, carried = 0.0, 0.0
    for t in (1, 0):
        z, i, f, o, before, c, _ = states[t]
        dh = errors[t] + from_above
        do = dh * np.tanh(c) * o * (1 - o)
        dc = dh * o * (1 - np.tanh(c) ** 2) + po * do + carried  # po carries the unclipped do
        raw = [dc * i * (1 - z * z), dc * z * i * (1 - i), dc * before * f * (1 - f), do]
        deltas[t] = np.clip(raw, -1, 1)
        from_above = deltas[t] @ r
        carried = dc * f + pi * deltas[t][1] + pf * deltas[t][2]  # dc itself is not clipped
    first, second = deltas
    x_gradient = [first @ w, second @ w]
    bias = first + second
    recurrent = second * states[1][6]
    c1, c2 = states[0][5], states[1][5]
    peepholes = [second[1] * c1, second[2] * c1, first[3] * c1 + second[3] * c2]
    return x_gradient, first * xs[0] + second * xs[1], bias, recurrent, peepholes


def test_clipping_by_hand():
    errors = [30.0, -50.0]
    for ours, by_hand in zip(one_cell(True, errors), clipped_by_hand(errors), strict=True):
        np.testing.assert_allclose(ours, by_hand, rtol=1e-12)


def test_clipping_binds_only_where_deltas_are_large():
    for small, expected in (([0.3, -0.5], True), ([30.0, -50.0], False)):
        same = [np.allclose(a, b) for a, b in zip(one_cell(True, small), one_cell(False, small))]  # noqa: B905
        assert all(same) is expected


def test_initial_network():
    network = initial_network(260, 5, 250, np.random.default_rng(0))
    assert parameter_count(network) == 1_894_001
    values = np.concatenate([a.ravel() for a in to_arrays(network).values() if a.dtype.kind == "f"])
    assert abs(values.std() - 0.1) < 1e-3
    assert abs(values.mean()) < 1e-3
    again = initial_network(260, 5, 250, np.random.default_rng(0))
    assert np.array_equal(network.layers[4].peepholes, again.layers[4].peepholes)


def test_the_draws_come_in_one_order_for_ever():
    """The shipped model was made with them."""
    network = initial_network(5, 2, 6, np.random.default_rng(7), sigma=0.3)
    shapes = {
        "0.weights": (2, 12, 5),
        "0.bias": (2, 12),
        "0.recurrent": (2, 12, 3),
        "0.peepholes": (2, 3, 3),
        "1.weights": (2, 12, 6),
        "1.bias": (2, 12),
        "1.recurrent": (2, 12, 3),
        "1.peepholes": (2, 3, 3),
        "2.weights": (1, 6),
        "2.bias": (1,),
    }
    arrays = to_arrays(network)
    assert str(arrays.pop("2.activation")) == "identity"
    rng = np.random.default_rng(7)
    expected = {key: rng.normal(0, 0.3, shape).astype(np.float32) for key, shape in shapes.items()}
    assert list(arrays) == list(expected)
    for key, array in expected.items():
        assert np.array_equal(arrays[key], array), key


def test_initial_lstm():
    network = initial_lstm(20, 2, 7, np.random.default_rng(0), sigma=0.2)
    assert [type(layer) for layer in network.layers] == [Recurrent, Recurrent, Dense]
    assert network.layers[0].recurrent.shape == (1, 28, 7)
    assert parameter_count(network) == (28 * 28 + 7 * 3) + (28 * 15 + 7 * 3) + 8
    values = np.concatenate([a.ravel() for a in to_arrays(network).values() if a.dtype.kind == "f"])
    first = np.random.default_rng(0).normal(0, 0.2, values.size).astype(np.float32)
    assert np.array_equal(values, first)


def test_initial_rnn():
    network = initial_rnn(20, 7, np.random.default_rng(0), sigma=0.2)
    assert [type(layer) for layer in network.layers] == [Elman, Dense]
    assert network.layers[0].recurrent.shape == (1, 7, 7)
    assert parameter_count(network) == 7 * (20 + 1 + 7) + 8
    values = np.concatenate([a.ravel() for a in to_arrays(network).values() if a.dtype.kind == "f"])
    first = np.random.default_rng(0).normal(0, 0.2, values.size).astype(np.float32)
    assert np.array_equal(values, first)


def test_networks_of_nothing():
    rng = np.random.default_rng(0)
    for draw in (
        lambda: initial_lstm(3, 0, 4, rng),
        lambda: initial_lstm(3, 1, 0, rng),
        lambda: initial_rnn(3, 0, rng),
    ):
        with pytest.raises(InputError, match="at least one of each"):
            draw()


@pytest.mark.parametrize(("layers", "units"), [(1, 7), (1, 0), (0, 4)])
def test_impossible_sizes(layers, units):
    with pytest.raises(InputError, match="even number of units"):
        initial_network(3, layers, units, np.random.default_rng(0))
