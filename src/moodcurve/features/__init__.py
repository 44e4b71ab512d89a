"""A waveform -> rows of acoustic features, one every half-second: 260 official ones, 23 of ours.

The 260: 65 low-level descriptors every 10 ms, one module a family (`voicing`, `energy`, `auditory`,
`spectral`, `cepstral`), put together in `descriptors`, and summarised in `summary`. All of it is
written from the published definitions and measured against the reference as a black box
(`benchmarks/feature_parity.py`). The 23: `harmony`, which notes sound and how they fit together.
"""

from moodcurve.features.descriptors import Descriptors, descriptors
from moodcurve.features.harmony import HARMONY_NAMES, Harmony
from moodcurve.features.summary import (
    FEATURE_NAMES,
    HOP,
    ILL_CONDITIONED,
    WINDOW,
    Summary,
    row_count,
    summarise,
)

__all__ = [
    "COLUMNS",
    "FEATURE_NAMES",
    "HARMONY_NAMES",
    "HOP",
    "ILL_CONDITIONED",
    "VERSION",
    "WINDOW",
    "Descriptors",
    "Harmony",
    "Summary",
    "descriptors",
    "row_count",
    "summarise",
]

#: Changes whenever a change of the extractor changes a value: models and caches are bound to it.
VERSION = "moodcurve-features-3"

#: The columns of a row: the official ones, then harmony's.
COLUMNS = (*FEATURE_NAMES, *HARMONY_NAMES)
