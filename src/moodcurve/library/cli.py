"""`moodcurve library`: parse, call, print."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodcurve.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

_NEAREST = 20  # songs that --like prints
_LIB = "the folder that songs were scanned into"


def add_commands(commands: Any) -> None:
    """Add the command `library` and its sub-commands to argparse's `commands`."""
    text = "Many songs: scan them into tables, find them by mood, travel through them."
    library = commands.add_parser("library", help=text, description=text)
    kinds = library.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_scan(kinds)
    _add_find(kinds)
    _add_journey(kinds)


def _add_scan(kinds: Any) -> None:
    text = "Trace songs into a library; what is there already is left as it is."
    scan = kinds.add_parser("scan", help=text, description=text)
    scan.set_defaults(run=_scan)
    scan.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="folders, songs, URLs, or lists of them (.txt, .m3u, .m3u8: one a line)",
    )
    scan.add_argument("--to", metavar="LIB", type=Path, required=True, help="the library's folder")
    scan.add_argument("--jobs", metavar="N", type=int, help="processes; else one a core")
    scan.add_argument(
        "--scheduler", metavar="ADDRESS", help="workers of a Dask cluster instead, or of Ray"
    )
    scan.add_argument("--model", default="default", help="a name (see `models`) or a folder")


def _add_find(kinds: Any) -> None:
    text = "List songs by mood, one a line: path, valence, arousal, mood word."
    find = kinds.add_parser("find", help=text, description=text)
    find.set_defaults(run=_find)
    find.add_argument("library", metavar="LIB", type=Path, help=_LIB)
    find.add_argument(
        "--where", metavar="CONDITION", help='such as "valence > 0.3 and arousal < -0.2"'
    )
    find.add_argument("--sort", metavar="COLUMN", help='by a column; "COLUMN desc": largest first')
    find.add_argument(
        "--like", metavar="SONG", help=f"the {_NEAREST} whose curves are most like that song's"
    )
    find.add_argument("--map", metavar="FILE", type=Path, help="draw where they lie: png, svg, pdf")


def _add_journey(kinds: Any) -> None:
    text = "Make a playlist that leads from one mood to another, each song close to the last."
    journey = kinds.add_parser(
        "journey",
        help=text,
        description=text,
        epilog='A MOOD is words with commas between, or "VALENCE,AROUSAL", each from -1 to 1; one '
        "that begins with a minus needs an equals sign: --from=-0.4,0.2",
    )
    journey.set_defaults(run=_journey)
    journey.add_argument("library", metavar="LIB", type=Path, help=_LIB)
    journey.add_argument(
        "--from", metavar="MOOD", dest="start", required=True, help='such as "sad, calm"'
    )
    journey.add_argument("--to", metavar="MOOD", dest="end", required=True, help="where it ends")
    journey.add_argument("--minutes", metavar="M", type=float, required=True, help="about so long")
    journey.add_argument("-o", "--output", metavar="FILE", type=Path, help="an .m3u8 or .jspf")
    journey.add_argument("--map", metavar="FILE", type=Path, help="draw it: png, svg, pdf")
    journey.add_argument(
        "--max-jump", metavar="X", type=float, help="from a song's end to the next one's beginning"
    )
    journey.add_argument(
        "--only", metavar="FOLDER", action="append", default=[], help="songs in it; may be repeated"
    )
    journey.add_argument(
        "--no-artist-twice", action="store_true", help="not even with another song"
    )


def _scan(options: argparse.Namespace) -> int:
    _needs("pyarrow", "mutagen")
    from moodcurve.library.scan import scan

    tally = scan(
        options.sources,
        options.to,
        model=options.model,
        jobs=options.jobs,
        scheduler=options.scheduler,
        say=_note,
    )
    for problem in tally.problems:
        _note(f"error: {problem}")
    print(f"{options.to}: {tally}")
    if tally.failed:
        _note(f"the reasons are in {options.to / 'failures.csv'}")
    return 1 if tally.failed or tally.problems else 0


def _find(options: argparse.Namespace) -> int:
    _needs("pyarrow")
    from moodcurve.export.picture import check_picture
    from moodcurve.library.find import find, like
    from moodcurve.library.map import write_map

    if options.like is not None and options.sort is not None:
        raise InputError("--like, --sort: songs like another come nearest first; leave one out")
    library, where = options.library, options.where
    columns = [*_SHOWN, *(_MADE_BY if options.map else [])]
    if options.map:
        check_picture(options.map)
    if options.like is not None:
        songs = like(library, options.like, where, _NEAREST, columns)
    else:
        songs = find(library, where, options.sort, [*columns, "error"])
    if options.map:
        told = [f"{songs.num_rows:,} songs", *(["like " + options.like] if options.like else [])]
        write_map(
            songs.filter(songs["valence"].is_valid()),
            options.map,
            ", ".join([*told, *([where] if where else [])]),
        )
    _print(songs)
    if not songs.num_rows:
        _note("no other song" if options.like else "no such song")
    if options.map:
        _note(f"wrote {options.map}")
    return 0


def _journey(options: argparse.Namespace) -> int:
    _needs("pyarrow")
    import numpy as np

    from moodcurve.export.picture import check_picture
    from moodcurve.library import journey
    from moodcurve.library.find import in_folders
    from moodcurve.library.map import credit, write_map
    from moodcurve.library.playlist import check_ending, write_playlist
    from moodcurve.library.words import place

    if options.output:
        check_ending(options.output)
    if options.map:
        check_picture(options.map)
    table = in_folders(options.library, options.only, [*journey.COLUMNS, *_SHOWN, *_MADE_BY])
    songs = journey.songs_of(table)
    reach = journey.reach(songs)
    start, end = (place(mood, reach) for mood in (options.start, options.end))
    found = journey.plan(
        songs,
        start,
        end,
        options.minutes,
        max_jump=np.inf if options.max_jump is None else options.max_jump,
        no_artist_twice=options.no_artist_twice,
    )
    chosen = table.take(found.songs)
    title = f"From {options.start} to {options.end}"
    told = journey.describe(found, songs)
    if options.output:
        write_playlist(chosen.to_pylist(), options.output, title, [told, credit(chosen)])
    if options.map:
        write_map(table, options.map, title, found)
    _print(chosen)
    _note(told)
    for path in filter(None, (options.output, options.map)):
        _note(f"wrote {path}")
    return 0


_SHOWN = ["path", "valence", "arousal", "mood"]
_MADE_BY = ["model", "licence"]


def _print(songs: pa.Table) -> None:
    """Print songs, one a line; of one that could not be traced the reason."""
    from moodcurve.library.playlist import in_a_line

    told = [*_SHOWN, *(["error"] if "error" in songs.column_names else [])]
    for row in songs.select(told).to_pylist():
        path = in_a_line(row["path"])
        if row.get("error") is not None:
            print(f"{path}\t{row['error']}")
        else:
            print(f"{path}\t{row['valence']:+z.3f}\t{row['arousal']:+z.3f}\t{row['mood']}")


def _needs(*packages: str) -> None:
    """Raise InputError where a package that libraries need is missing."""
    from importlib.util import find_spec

    if os.name == "nt":
        raise InputError("libraries need Linux or macOS; on Windows, the subsystem for Linux")
    for package in packages:
        if find_spec(package) is None:
            raise InputError(f"libraries need {package}; run: pip install 'moodcurve[library]'")


def _note(text: str) -> None:
    from tqdm import tqdm

    tqdm.write(f"moodcurve: {text}", file=sys.stderr)
