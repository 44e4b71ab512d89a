"""The compiled layer against torch's expressions in float64."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs moodcurve[train]")

from moodcurve.compiled import open_library  # noqa: E402
from moodcurve.training import cells  # noqa: E402
from moodcurve.training.network import lstm_layer  # noqa: E402

pytestmark = pytest.mark.skipif(cells._LIBRARY is None, reason="cells.c is not built")

# networks, directions, steps, sequences, inputs, units
SHAPES = [
    (1, 1, 1, 1, 1, 1),
    (1, 2, 7, 5, 9, 3),
    (2, 1, 4, 13, 33, 16),
    (3, 2, 6, 50, 70, 125),
    (2, 2, 11, 26, 20, 130),
]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def generations():
    fitting = cells._LIBRARY.generation() if cells._LIBRARY else 1
    return ["_cells", *(f"_cells_v{number}" for number in (3, 4) if number <= fitting)]


def drawn(shape, masked=False, seed=0):
    """Inputs, lengths, each network's weights, and the gradient at the outputs."""
    networks, directions, steps, batch, inputs, units = shape
    rng = np.random.default_rng(seed)

    def normal(*size):
        return torch.tensor(rng.normal(size=size), dtype=torch.float32)

    weights = [
        [
            0.5 * normal(directions, 4 * units, inputs) / inputs**0.5,
            normal(directions, 4 * units),
            0.5 * normal(directions, 4 * units, units) / units**0.5,
            normal(directions, 3, units),
        ]
        for _ in range(networks)
    ]
    lengths = None
    if masked:
        lengths = torch.tensor(rng.integers(0, steps + 1, (networks, batch)), dtype=torch.int32)
        lengths[0, -1] = 0  # the whole sequence is padding
    x = normal(networks, steps, batch, inputs)
    return x, lengths, weights, normal(networks, steps, batch, directions * units)


def computed(x, lengths, weights, to_out, clip, dtype):
    """Outputs and all gradients."""
    x = x.to(dtype, copy=True).requires_grad_()
    weights = [[w.to(dtype, copy=True).requires_grad_() for w in own] for own in weights]
    out = lstm_layer(x, lengths, weights, clip_deltas=clip)
    torch.autograd.backward((out * to_out.to(dtype)).sum())
    return [out.detach(), x.grad, *(w.grad for own in weights for w in own)]


@pytest.mark.parametrize("name", generations())
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("clip", [False, True])
def test_compiled_against_expressions(name, shape, masked, clip, monkeypatch):
    library = open_library(cells.PATH.with_name(name), cells.FUNCTIONS)
    monkeypatch.setattr(cells, "_LIBRARY", library)
    x, lengths, weights, to_out = drawn(shape, masked)
    to_out *= 30 if clip else 1  # so that clipping binds
    compiled = computed(x, lengths, weights, to_out, clip, torch.float32)
    expected = computed(x, lengths, weights, to_out, clip, torch.float64)
    for ours, theirs in zip(compiled, expected, strict=True):
        atol = 1e-5 * max(1.0, float(theirs.abs().max()))
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=atol)


def test_without_the_library_the_expressions_compute_the_same(monkeypatch):
    arguments = (*drawn((2, 2, 5, 4, 6, 3), masked=True), True, torch.float32)
    compiled = computed(*arguments)
    monkeypatch.setattr(cells, "_LIBRARY", None)
    for ours, theirs in zip(compiled, computed(*arguments), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_each_network_gets_what_it_gets_alone_bit_by_bit():
    x, lengths, weights, to_out = drawn((3, 2, 6, 7, 5, 4), masked=True)
    together = computed(x, lengths, weights, to_out, True, torch.float32)
    for m in range(3):
        one = slice(m, m + 1)
        alone = computed(x[one], lengths[one], weights[one], to_out[one], True, torch.float32)
        for ours, theirs in zip(alone[:2], together[:2], strict=True):
            assert torch.equal(ours[0], theirs[m])
        for ours, theirs in zip(alone[2:], together[2 + 4 * m : 6 + 4 * m], strict=True):
            assert torch.equal(ours, theirs)


def test_what_lies_in_the_padding_does_not_matter():
    x, lengths, weights, to_out = drawn((2, 2, 6, 7, 5, 4), masked=True)
    padding = torch.arange(6)[:, None] >= lengths[:, None]
    other, other_to_out = x.clone(), to_out.clone()
    other[padding], other_to_out[padding] = 99, -99
    one = computed(x, lengths, weights, to_out, True, torch.float32)
    two = computed(other, lengths, weights, other_to_out, True, torch.float32)
    for ours, theirs in zip(one, two, strict=True):
        assert torch.equal(ours, theirs)
    assert not one[0][padding].any() and not one[1][padding].any()


@pytest.mark.parametrize("name", generations())
def test_activations_over_their_whole_range(name, monkeypatch):
    """One cell whose gates are driven to everything from far below to far above."""
    library = open_library(cells.PATH.with_name(name), cells.FUNCTIONS)
    monkeypatch.setattr(cells, "_LIBRARY", library)
    values = [0.0, 1e-30, 1e-6, 1e-3, 0.3, 1, 5, 9, 10, 30, 86, 88, 200, 1e4, 1e30]
    driven = torch.tensor([sign * v for v in values for sign in (1, -1)])
    x = driven.view(1, 1, -1, 1)
    for gate in range(4):  # the gate is driven, the others are at 1
        weights = torch.zeros(1, 4, 1)
        weights[0, gate] = 1
        bias = torch.ones(1, 4)
        bias[0, gate] = 0
        own = [[weights, bias, torch.zeros(1, 4, 1), torch.zeros(1, 3, 1)]]
        ours = lstm_layer(x, None, own, clip_deltas=True)
        theirs = lstm_layer(x.double(), None, [[w.double() for w in own[0]]], clip_deltas=True)
        torch.testing.assert_close(ours.double(), theirs, rtol=5e-7, atol=1e-37)


def test_what_is_not_a_number_stays_in_its_network():
    x, lengths, weights, to_out = drawn((2, 2, 5, 4, 6, 3))
    x[0, 2, 1, 0] = np.nan
    out, to_x, *to_weights = computed(x, lengths, weights, to_out, True, torch.float32)
    assert out[0].isnan().any() and not out[1].isnan().any()
    assert to_x[0].isnan().any() and not to_x[1].isnan().any()
    assert all(g.isnan().any() for g in to_weights[:3])
    assert not any(g.isnan().any() for g in to_weights[4:])
