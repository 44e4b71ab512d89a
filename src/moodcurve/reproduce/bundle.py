"""The fused networks of a run as a model, for `moodcurve predict --model RUN/model`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from moodcurve.features import WINDOW
from moodcurve.model import DIMENSIONS, Fusion, Model, save
from moodcurve.reproduce.jobs import given_up, network_of
from moodcurve.reproduce.systems import Fused, Results
from moodcurve.training.ensemble import UNKNOWN_LICENCE
from moodcurve.training.presets import SCALES


def save_model(
    fused: Sequence[Fused], results: Results, corpus: str, figures: dict[str, Any]
) -> None:
    """Write both dimensions' two groups and ELM to the folder `model` of the run."""
    material, run = results.material, results.run
    labels = np.concatenate([song.labels for song in material.development])
    reasons = {job.name: given_up(job, run) for one in fused for job in one.unique}
    about = {
        "name": run.resolve().name,
        "licence": UNKNOWN_LICENCE,
        "training": {
            "corpora": [corpus],
            "songs": len(material.development),
            "labelled_rows": int((~np.isnan(labels[:, 0])).sum()),
            "constant": [round(float(value), 6) for value in np.nanmean(labels, axis=0)],
            "given_up": [f"{name}: {reason}" for name, reason in reasons.items() if reason],
        },
        "figures": figures,
    }
    fusions = {
        dimension: Fusion(
            tuple(tuple(network_of(job, run) for job in group) for group in fused[d].groups),
            fused[d].elm.weights_.astype(np.float32),
            fused[d].elm.bias_.astype(np.float32),
            fused[d].elm.beta_.astype(np.float32),
        )
        for d, dimension in enumerate(DIMENSIONS)
    }
    limit = results.recipe.preset.limit
    moments = material.mean, material.deviation
    model = Model(SCALES, WINDOW, (), (), *moments, limit, fusions, None, about)
    save(model, run / "model")
