"""A waveform -> rows of 260 acoustic features, one every half-second.

65 low-level descriptors every 10 ms, one module a family (`voicing`, `energy`, `auditory`,
`spectral`, `cepstral`), put together in `descriptors`, and summarised in `summary`. All of it is
written from the published definitions and measured against the reference as a black box
(`benchmarks/feature_parity.py`).
"""

from moodcurve.features.descriptors import descriptor_blocks, descriptors
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
    "FEATURE_NAMES",
    "HOP",
    "ILL_CONDITIONED",
    "VERSION",
    "WINDOW",
    "Summary",
    "descriptor_blocks",
    "descriptors",
    "row_count",
    "summarise",
]

#: Changes whenever a change of the extractor changes a value: models and caches are bound to it.
VERSION = "moodcurve-features-2"
