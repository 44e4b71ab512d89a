"""`moodcurve export`: parse, call, print."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodcurve.errors import InputError

if TYPE_CHECKING:
    from moodcurve.curve import Curve
    from moodcurve.export.spans import Spans

_TEXT = "Turn a curve that predict wrote into another format, rate or scale."
_FORMATS = (
    "csv, json, jams, parquet, svl (Sonic Visualiser), labels (Audacity), srt (captions), png, "
    "svg; or tags, of the song itself"
)
_ROWS = ("scale", "rate", "beats", "segments")  # options of formats with rows
_TAGS = ("song", "write", "remove")


def add_command(commands: Any) -> None:
    """Add the command `export` to argparse's `commands`."""
    parser = commands.add_parser("export", help=_TEXT, description=_TEXT)
    parser.set_defaults(run=_export)
    parser.add_argument(
        "curve", nargs="?", metavar="CURVE", type=Path, help="its JSON, or its CSV with it beside"
    )
    parser.add_argument("--to", metavar="FORMAT", required=True, help=_FORMATS)
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="else beside CURVE")
    parser.add_argument("--scale", metavar="LOW..HIGH", help="0..1 or 1..9; else -1..1")
    parser.add_argument("--moods", action="store_true", help="add quadrant and mood to each row")
    rows = parser.add_argument_group("one of these, for rows other than half-seconds")
    rows = rows.add_mutually_exclusive_group()
    rows.add_argument("--rate", metavar="HZ", help="so many rows a second: 25, 30000/1001, 0.1")
    rows.add_argument("--beats", metavar="FILE", type=Path, help="a row a beat: a time a line")
    rows.add_argument(
        "--segments", metavar="FILE", type=Path, help="a row a segment: CSV with start,end"
    )
    tags = parser.add_argument_group("tags, which are only shown unless --write is given")
    tags.add_argument("--song", metavar="FILE", type=Path, help="an mp3, ogg, opus, flac, m4a, ...")
    tags.add_argument("--write", action="store_true", help="change it; FILE.bak is as it was")
    tags.add_argument("--remove", action="store_true", help="take the tags out again")


def _export(options: argparse.Namespace) -> int:
    if options.to == "tags":
        return _tags(options)
    from moodcurve.export.formats import find_format
    from moodcurve.export.table import tabulate

    kind = find_format(options.to)
    refused = (*(() if kind.rows else _ROWS), *(() if kind.words else ("moods",)), *_TAGS)
    _refuse(options, *refused)
    curve, path = _read(options), _output(options, kind.ending)
    scale, spans = options.scale or "-1..1", _spans(options, curve)
    kind.write(curve, tabulate(curve, scale, moods=options.moods, spans=spans), path)
    print(f"wrote {path}")
    return 0


def _tags(options: argparse.Namespace) -> int:
    from moodcurve.export.tags import backup, read_tags, write_tags

    _refuse(options, "output", "moods", *_ROWS[1:])
    song = options.song
    if song is None:
        raise InputError("--to tags: of which song? give --song FILE")
    before, wanted = read_tags(song), _wanted(options)
    if wanted == before:
        print(f"{song}: nothing to do, it has {'these tags' if wanted else 'no tags of moodcurve'}")
        return 0
    if options.write:
        write_tags(song, wanted)
    tense = "" if options.write else "would be "
    print(f"{song}: {tense}{'written' if wanted else 'taken out'}")
    for name, text in (wanted or before).items():
        print(f"  {name}={text}")
    if not options.write:
        print("nothing was changed; add --write")
    elif backup(song).exists():
        print(f"{backup(song)}: the song before its first tags")
    return 0


def _wanted(options: argparse.Namespace) -> dict[str, str]:
    """The tags that the song is to have."""
    from moodcurve.export.tags import tags_of

    if options.remove:
        if options.curve or options.scale:
            raise InputError("--remove: takes neither CURVE nor --scale; leave them out")
        return {}
    curve = _read(options)
    file = curve.about.get("file")
    if file != options.song.name:
        print(f"moodcurve: {options.song}: the curve is of a file named {file}", file=sys.stderr)
    return tags_of(curve, options.scale or "-1..1")


def _refuse(options: argparse.Namespace, *names: str) -> None:
    """Raise InputError for options that were given and say nothing to this format."""
    if given := [f"--{name}" for name in names if getattr(options, name)]:
        raise InputError(f"{', '.join(given)}: not for --to {options.to}; leave it out")


def _read(options: argparse.Namespace) -> Curve:
    from moodcurve.export.read import read_curve

    if options.curve is None:
        raise InputError("no CURVE: give the JSON or CSV that predict wrote")
    return read_curve(options.curve)


def _output(options: argparse.Namespace, ending: str) -> Path:
    """Where to write; never over the curve that is read."""
    curve: Path = options.curve
    path: Path = options.output or curve.with_name(curve.stem + ending)
    if not path.name.endswith(f".{ending.split('.')[-1]}"):
        raise InputError(f"{path}: files of this format end in {ending}; name it so")
    # A CSV comes with its JSON, so that neither may be the curve's.
    same = path.with_suffix("").resolve() == curve.with_suffix("").resolve()
    if same and path.suffix in (".csv", ".json"):
        raise InputError(f"{path}: the curve itself; give another FILE with -o")
    return path


def _spans(options: argparse.Namespace, curve: Curve) -> Spans | None:
    from moodcurve.export.spans import at_rate, between_beats, listed
    from moodcurve.features import HOP

    seconds = HOP * len(curve.valence)
    if options.rate is not None:
        return at_rate(options.rate, seconds)
    if options.beats:
        return between_beats(options.beats, seconds)
    return listed(options.segments, seconds) if options.segments else None
