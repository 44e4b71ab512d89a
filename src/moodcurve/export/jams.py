"""JAMS, the JSON of music information retrieval: one annotation in the namespace mood_thayer.

Humphrey et al. 2014, "JAMS: a JSON annotated music specification for reproducible MIR research".
The form is simple enough to be written without the `jams` package, which brings pandas; the tests
validate it with that package.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodcurve.export.json import origin
from moodcurve.export.scales import SCALES
from moodcurve.export.table import BAND
from moodcurve.features import HOP
from moodcurve.files import replacing

if TYPE_CHECKING:
    from moodcurve.curve import Curve
    from moodcurve.export.table import Table

_VERSION = "0.3.5"  # of jams, whose schema this follows


def write_jams(curve: Curve, table: Table, path: Path) -> None:
    """Write a curve: an observation a row, its value [valence, arousal].

    Units, range, band and what made the curve are in the annotation's sandbox. Raises InputError
    where the file cannot be written.
    """
    about = origin(curve, table)
    seconds = HOP * len(curve.valence)
    document = {
        "annotations": [
            {
                "namespace": "mood_thayer",
                "annotation_metadata": {
                    "annotation_tools": f"moodcurve {about.get('moodcurve', '')}".strip(),
                    "annotation_rules": "every value speaks of the time it lasts",
                    "data_source": "program",
                    "annotator": {key: about.get(key) for key in ("model", "licence")},
                },
                "time": 0.0,
                "duration": seconds,
                "data": _observations(table),
                "sandbox": {
                    "units": about["scale"],
                    "range": dict.fromkeys(("valence", "arousal"), SCALES[table.scale]),
                    "band_columns": {k: table.columns[k] for k in BAND if k in table.columns},
                    "moodcurve": about,
                },
            }
        ],
        "file_metadata": {
            "title": str(about.get("song", "")),
            "duration": seconds,
            "identifiers": {"file": str(about.get("file", ""))},
            "jams_version": _VERSION,
        },
        "sandbox": {},
    }
    text = json.dumps(document, indent=1)
    with replacing(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def _observations(table: Table) -> list[dict[str, Any]]:
    columns = (table.columns[name] for name in ("start_s", "end_s", "valence", "arousal"))
    return [
        {
            "time": start,
            "duration": round(end - start, 6),
            "value": [valence, arousal],
            "confidence": None,
        }
        for start, end, valence, arousal in zip(*columns, strict=True)
    ]
