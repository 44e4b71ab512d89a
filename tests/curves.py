"""Curves for the tests of what is written from them."""

import numpy as np

from moodcurve import Curve
from moodcurve.curve import Band

ABOUT = {
    "song": "A$AP & <friends>",
    "file": "A$AP & <friends>.mp3",
    "sample_rate": 48_000,
    "scale": {
        "valence": "-1 unpleasant .. 1 pleasant, 0 neutral",
        "arousal": "-1 calm .. 1 excited, 0 neutral",
    },
    "model": {"name": "testing", "trained_on": ["nothing"]},
    "licence": "CC0",
    "features": {"extractor": "none", "window_s": 1.0},
    "moodcurve": "9.9",
    "silent_rows": 0,
}


def stepped(band=True, **about):
    """30 s: calm and pleasant, from 10 s on excited and unpleasant, from 20 s on neutral."""
    valence = np.repeat([0.5, -0.5, 0.05], 20)
    arousal = np.repeat([-0.4, 0.6, 0.0], 20)
    rng = np.random.default_rng(0)
    values = [(curve + rng.normal(0, 0.01, 60)).round(4) for curve in (valence, arousal)]
    edges = [np.clip(v + side, -1, 1).round(4) for v in values for side in (-0.3, 0.2)]
    level = {"level": 0.9} if band else None
    found = {
        **ABOUT,
        "familiarity": {"percentile": 12.5, "familiar": True},
        "band": level,
        **about,
    }
    return Curve(*values, found, Band(*edges) if band else None)
