"""Pretraining without labels: the lower layers learn to undo noise (paper, section 3.2.2).

The paper says "in the way similar to the training of an autoencoder" and no more. So here: a
network of the lower layers and a linear output is trained to give the clean features from noisy
ones; then the output is dropped. All layers at once, no early stopping: guesses, both.
"""

from collections.abc import Sequence

import numpy as np

from moodcurve.network import Array, Dense, Network
from moodcurve.sequences import cut, pad
from moodcurve.training.batches import Sequences
from moodcurve.training.network import initial_network


def autoencoder(
    features: int, layers: int, units: int, rng: np.random.Generator, sigma: float
) -> Network:
    """Draw a network of BLSTM layers whose linear output has the size of its input."""
    network = initial_network(features, layers, units, rng, sigma)
    output = Dense(
        rng.normal(0, sigma, (features, units)).astype(np.float32),
        rng.normal(0, sigma, features).astype(np.float32),
        "identity",
    )
    return Network((*network.layers[:-1], output))


def to_denoise(songs: Sequence[Array], scale: int) -> Sequences:
    """Cut songs' rows (n, F) into sequences of `scale` whose targets are their inputs.

    The noise is the training loop's, which adds it to the inputs only.
    """
    inputs, mask = pad([piece for rows in songs for piece in cut(rows, scale)], scale)
    return Sequences(inputs, inputs, mask)


def with_pretrained(network: Network, pretrained: Network) -> Network:
    """Replace the lower layers of a network by all but the output of a pretrained one."""
    lower = pretrained.layers[:-1]
    return Network((*lower, *network.layers[len(lower) :]))
