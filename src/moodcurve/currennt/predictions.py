"""CURRENNT's forward pass over a data file, and the file it writes (single_csv)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from moodcurve.currennt.data import Data
from moodcurve.errors import InputError
from moodcurve.files import replacing
from moodcurve.network import Array, Network, forward


def predict(network: Network, data: Data) -> list[Array]:
    """Compute the outputs (T_i, N) for each sequence.

    They are in the targets' original units where the data has them (CURRENNT's revert_std):
    output * outputStdevs + outputMeans. Raises InputError where inputs or means are not as many as
    the network's inputs and outputs.
    """
    outputs = [forward(network, x[None])[0] for x in data.inputs]
    means, stdevs = data.output_means, data.output_stdevs
    if means is None or stdevs is None:
        return outputs
    if not means.shape == stdevs.shape == (network.outputs,):
        raise InputError(
            f"the data has {means.size} outputMeans and {stdevs.size} outputStdevs, but the "
            f"network gives {network.outputs} outputs; give data made for this network"
        )
    return [output * stdevs + means for output in outputs]


def write_predictions(path: str | Path, tags: Sequence[str], outputs: Sequence[Array]) -> None:
    """Write outputs (T_i, N) as CURRENNT's single_csv: a line `tag;v1;v2;...` for each sequence.

    Outputs of one frame stand next to each other; 9 significant digits.
    """
    with (
        replacing(Path(path)) as part,
        part.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file,
    ):
        for tag, values in zip(tags, outputs, strict=True):
            numbers = (f"{value:.9g}" for value in np.asarray(values).ravel().tolist())
            file.write(";".join([tag, *numbers]) + "\n")
