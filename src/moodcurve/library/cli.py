"""`moodcurve library`: parse, call, print."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodcurve.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

_NEAREST = 20  # songs that --like prints


def add_commands(commands: Any) -> None:
    """Add the command `library` and its sub-commands to argparse's `commands`."""
    text = "Many songs: scan them into tables, find them by mood, travel through them."
    library = commands.add_parser("library", help=text, description=text)
    kinds = library.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_scan(kinds)
    _add_find(kinds)


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
    scan.add_argument("--scheduler", metavar="ADDRESS", help="workers of a Dask cluster instead")
    scan.add_argument("--model", default="default", help="a name (see `models`) or a folder")


def _add_find(kinds: Any) -> None:
    text = "List songs by mood, one a line: path, valence, arousal, mood word."
    find = kinds.add_parser("find", help=text, description=text)
    find.set_defaults(run=_find)
    find.add_argument("library", metavar="LIB", type=Path)
    find.add_argument(
        "--where", metavar="CONDITION", help='such as "valence > 0.3 and arousal < -0.2"'
    )
    find.add_argument("--sort", metavar="COLUMN", help='by a column; "COLUMN desc": largest first')


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
    from moodcurve.library.find import find

    _print(find(options.library, options.where, options.sort, _SHOWN))
    return 0


_SHOWN = ["path", "valence", "arousal", "mood", "error"]


def _print(songs: pa.Table) -> None:
    """Print songs, one a line; of one that could not be traced the reason."""
    for row in songs.select(_SHOWN).to_pylist():
        path = row["path"].replace("\\", "\\\\") if "\n" in row["path"] else row["path"]
        path = path.replace("\n", "\\n").replace("\t", "\\t")
        if row["error"] is not None:
            print(f"{path}\t{row['error']}")
        else:
            print(f"{path}\t{row['valence']:+z.3f}\t{row['arousal']:+z.3f}\t{row['mood']}")


def _needs(*packages: str) -> None:
    """Raise InputError where a package that libraries need is missing."""
    from importlib.util import find_spec

    for package in packages:
        if find_spec(package) is None:
            raise InputError(f"libraries need {package}; run: pip install 'moodcurve[library]'")


def _note(text: str) -> None:
    from tqdm import tqdm

    tqdm.write(f"moodcurve: {text}", file=sys.stderr)
