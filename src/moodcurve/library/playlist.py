"""Playlists: M3U8, which every player reads, and JSPF, which says more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from moodcurve.errors import InputError
from moodcurve.files import replacing

ENDINGS = (".m3u8", ".jspf")


def check_ending(path: Path) -> None:
    """Raise InputError for a file that is named as no playlist is."""
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"{path}: playlists end in {' or '.join(ENDINGS)}; name it so")


def write_playlist(
    songs: Sequence[dict[str, Any]], path: Path, title: str, about: Sequence[str]
) -> None:
    """Write songs (path, seconds; title, artist, album or None) in the format of the ending.

    `about` are lines that say what the list is and what made it. Raises InputError for another
    ending, or where the file cannot be written.
    """
    check_ending(path)
    text = (
        m3u8(songs, title, about) if path.suffix.lower() == ".m3u8" else _jspf(songs, title, about)
    )
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def m3u8(songs: Sequence[dict[str, Any]], title: str, about: Sequence[str]) -> str:
    """The text of an M3U8; arguments as of `write_playlist`."""
    lines = ["#EXTM3U", f"#PLAYLIST:{' '.join(title.split())}", *(f"# {line}" for line in about)]
    for song in songs:
        names = [song["artist"], song["title"] or Path(song["path"]).stem]
        name = " - ".join(" ".join(name.split()) for name in names if name)
        lines += [f"#EXTINF:{song['seconds']:.0f},{name}", in_a_line(song["path"])]
    return "\n".join(lines) + "\n"


def _jspf(songs: Sequence[dict[str, Any]], title: str, about: Sequence[str]) -> str:
    names = {"title": "title", "artist": "creator", "album": "album"}
    tracks = [
        {
            "location": [_uri(song["path"])],
            **{theirs: song[ours] for ours, theirs in names.items() if song[ours]},
            "duration": round(1000 * song["seconds"]),
        }
        for song in songs
    ]
    playlist = {"title": title, "annotation": "\n".join(about), "track": tracks}
    return json.dumps({"playlist": playlist}, indent=2, ensure_ascii=False) + "\n"


def in_a_line(place: str) -> str:
    """A place as it is or, where it has characters that cannot be printed, as a URI."""
    return place if place.isprintable() else _uri(place)


def _uri(place: str) -> str:
    return place if "://" in place else f"file://{quote(place)}"
