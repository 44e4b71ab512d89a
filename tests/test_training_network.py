import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs moodcurve[train]")

from moodcurve.errors import InputError  # noqa: E402
from moodcurve.network import Dense, Network, forward, parameter_count, to_arrays  # noqa: E402
from moodcurve.training.network import BLSTM, initial_network, recurrent_layer  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def network_with_tanh(rng):
    """Two BLSTM layers, one LSTM layer (a direction taken away), and every activation."""
    wide = initial_network(7, 3, 10, rng, sigma=0.5).layers
    one_way = type(wide[2])(*(array[:1] for array in vars(wide[2]).values()))
    tops = [
        Dense(rng.normal(0, 0.5, (n, p)).astype(np.float32), np.full(n, 0.1, np.float32), name)
        for n, p, name in [(4, 5, "tanh"), (3, 4, "logistic"), (2, 3, "identity")]
    ]
    return Network((*wide[:2], one_way, *tops))


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
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool)
    shapes = [
        (3, 4, 2),
        (directions, 8, 2),
        (directions, 8),
        (directions, 8, 2),
        (directions, 3, 2),
    ]
    arrays = [torch.tensor(rng.normal(0, 0.7, shape), requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(
        lambda x, *weights: recurrent_layer(
            x, mask if masked else None, *weights, clip_deltas=False
        ),
        arrays,
    )


def one_cell(clip_deltas, errors):
    """The gradient of one forward cell over two steps, in float64, and what it worked with."""
    weights = torch.tensor([0.5, -0.3, 0.8, 0.2], dtype=torch.float64).view(1, 4, 1)
    bias = torch.tensor([0.1, 0.2, -0.1, 0.3], dtype=torch.float64).view(1, 4)
    recurrent = torch.tensor([0.7, 0.4, -0.6, 0.9], dtype=torch.float64).view(1, 4, 1)
    peepholes = torch.tensor([0.5, -0.4, 0.6], dtype=torch.float64).view(1, 3, 1)
    x = torch.tensor([1.5, -0.7], dtype=torch.float64).view(1, 2, 1)
    tensors = [tensor.requires_grad_() for tensor in (x, weights, bias, recurrent, peepholes)]
    out = recurrent_layer(x, None, *tensors[1:], clip_deltas=clip_deltas)
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


@pytest.mark.parametrize(("layers", "units"), [(1, 7), (1, 0), (0, 4)])
def test_impossible_sizes(layers, units):
    with pytest.raises(InputError, match="even number of units"):
        initial_network(3, layers, units, np.random.default_rng(0))
