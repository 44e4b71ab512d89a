"""A waveform -> rows of features, one every half-second: 260 official ones, 23 and 200 of ours.

The 260: 65 low-level descriptors every 10 ms, one module a family (`voicing`, `energy`, `auditory`,
`spectral`, `cepstral`), put together in `descriptors`, and summarised in `summary`. All of it is
written from the published definitions and measured against the reference as a black box
(`benchmarks/feature_parity.py`). The 23: `harmony`, which notes sound and how they fit together.
The 200: `listener`, what a network hears that was trained on 200,000 songs and their tags.
"""

from moodcurve.features.descriptors import Descriptors, descriptors
from moodcurve.features.harmony import HARMONY_NAMES, Harmony
from moodcurve.features.listener import LISTENER_NAMES, Listener
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
    "FAMILIES",
    "FEATURE_NAMES",
    "HARMONY_NAMES",
    "HOP",
    "ILL_CONDITIONED",
    "LISTENER_NAMES",
    "VERSION",
    "WINDOW",
    "Descriptors",
    "Harmony",
    "Listener",
    "Summary",
    "descriptors",
    "row_count",
    "summarise",
]

#: Changes whenever a change of the extractor changes a value: models and caches are bound to it.
VERSION = "moodcurve-features-4"

#: The columns of a row: the official ones, then harmony's, then the listener's.
COLUMNS = (*FEATURE_NAMES, *HARMONY_NAMES, *LISTENER_NAMES)

#: Where each family's columns stand in a row.
FAMILIES = {
    "official": slice(0, len(FEATURE_NAMES)),
    "harmony": slice(len(FEATURE_NAMES), len(FEATURE_NAMES) + len(HARMONY_NAMES)),
    "listener": slice(len(FEATURE_NAMES) + len(HARMONY_NAMES), len(COLUMNS)),
}
