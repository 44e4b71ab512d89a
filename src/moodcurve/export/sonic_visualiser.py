"""Sonic Visualiser: valence and arousal as two time-value layers in one layer file (.svl).

The form is that of the program's own documentation: in <data> a <model> and its <dataset> of points
for each layer, in <display> the layers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from moodcurve.export.origin import credit
from moodcurve.export.scales import SCALES, in_words
from moodcurve.features import HOP
from moodcurve.files import replacing

if TYPE_CHECKING:
    from moodcurve.curve import Curve
    from moodcurve.export.table import Table

_COLOURS = {"valence": ("Blue", "#0072b2"), "arousal": ("Orange", "#d55e00")}  # as in the picture
_LINES = 3  # the plot style
_USUAL_RATE = 44_100  # Hz


def write_layers(curve: Curve, table: Table, path: Path) -> None:
    """Write both layers, a point at the middle of each row.

    Points are counted in samples of the song, at its own rate where the curve knows it
    (`about["sample_rate"]`), else at 44.1 kHz. What made the curve is in the layers' names. Raises
    InputError where the file cannot be written.
    """
    rate = curve.about.get("sample_rate") or _USUAL_RATE
    spans = zip(table.columns["start_s"], table.columns["end_s"], strict=True)
    frames = [round((start + end) / 2 * rate) for start, end in spans]
    root = Element("sv")
    data, display = _add(root, "data"), _add(root, "display")
    low, high = SCALES[table.scale]
    for number, (name, (colour, code)) in enumerate(_COLOURS.items()):
        model, dataset, layer = range(3 * number, 3 * number + 3)
        form = {"type": "sparse", "dimensions": 2, "resolution": 1, "notifyOnAdd": "true"}
        time = {"sampleRate": rate, "start": 0, "end": round(HOP * len(curve.valence) * rate)}
        limits = {"minimum": low, "maximum": high, "units": ""}
        _add(data, "model", id=model, name=name, dataset=dataset, **form, **time, **limits)
        points = _add(data, "dataset", id=dataset, dimensions=2)
        for frame, value in zip(frames, table.columns[name], strict=True):
            _add(points, "point", frame=frame, value=value, label="")
        words = f"{name}: {in_words(table.scale)[name]}; {credit(curve)}"
        look = {"plotStyle": _LINES, "colourName": colour, "colour": code}
        look |= {"scaleMinimum": low, "scaleMaximum": high}
        _add(display, "layer", id=layer, type="timevalues", name=words, model=model, **look)
    indent(root)
    with replacing(path) as part:
        ElementTree(root).write(part, encoding="UTF-8", xml_declaration=True)


def _add(parent: Element, tag: str, **attributes: object) -> Element:
    return SubElement(parent, tag, {name: str(value) for name, value in attributes.items()})
