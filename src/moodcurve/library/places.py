"""Where songs are: files, folders, lists of them, and URLs that fsspec opens.

A place is a text: an absolute path, a URL, or, for a file whose name is no Unicode, `file://` with
the name's bytes escaped.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from moodcurve.audio import EXTENSIONS
from moodcurve.errors import InputError

LISTS = (".txt", ".m3u", ".m3u8")

_TIMES = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")
"""What file systems of fsspec call that by which a change shows."""


class Job(NamedTuple):
    """A song as it was found.

    `modified` changes whenever the file does: nanoseconds of a local file, else what its server
    says, or nothing.
    """

    path: str
    size: int
    modified: str

    def __str__(self) -> str:
        return self.path


class Folder(NamedTuple):
    """How the places of all songs in a folder begin, one of these, and end."""

    beginnings: tuple[str, ...]
    ending: str = ""

    def has(self, place: str) -> bool:
        """Whether a place is in it."""
        return place.startswith(self.beginnings) and place.endswith(self.ending)


@dataclass
class Listing:
    """What was found in some sources.

    Attributes:
        songs: by place.
        looked: folders that were looked through to the end; a song that was there is gone.
        unread: files, and folders, within those that could not be looked into: nothing is known of
            their songs.
        missing: single files that are not there.
        problems: an error for each source, or part of it, that gave nothing.
    """

    songs: dict[str, Job] = field(default_factory=dict)
    looked: list[Folder] = field(default_factory=list)
    unread: list[Folder] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    problems: list[InputError] = field(default_factory=list)

    def gone(self, place: str) -> bool:
        """Whether a song that was known is no longer where it was."""
        if place in self.songs:
            return False
        inside = any(folder.has(place) for folder in self.looked)
        hidden = any(folder.has(place) for folder in self.unread)
        return place in self.missing or (inside and not hidden)


def list_songs(sources: Sequence[str]) -> Listing:
    """Find the songs of files, folders, lists of them (`LISTS`, a place a line) and URLs.

    Folders are looked through to the bottom for `EXTENSIONS`, hidden files and folders left out.
    Nothing is raised: one bad source does not stop the others.
    """
    found = Listing()
    for source in sources:
        if Path(source).suffix.lower() in LISTS and "://" not in source:
            _add_list(found, Path(source))
        else:
            _add(found, source)
    return found


def local(place: str) -> Path | None:
    """The path of a place on this machine; None for a URL of elsewhere."""
    if place.startswith("file://"):
        return Path(os.fsdecode(unquote_to_bytes(place.removeprefix("file://"))))
    return None if "://" in place else Path(place)


def name_of(path: Path) -> str:
    """The place of a path on this machine."""
    name = os.path.abspath(path)  # noqa: PTH100 (links keep their names)
    try:
        name.encode()
    except UnicodeEncodeError:
        return _escaped(name)
    return name


def folder_of(path: str) -> Folder:
    """The folder of a path or URL."""
    folder = local(path)
    if folder is None:
        inner, chained, archive = _absolute(path).partition("::")
        inner = inner if inner.endswith("://") else inner.rstrip("/") + "/"
        return Folder((inner,), chained + archive)
    name = os.path.abspath(folder).rstrip("/") + "/"  # noqa: PTH100 (links keep their names)
    return Folder((name, _escaped(name)))  # some names in it may be no Unicode


def _escaped(name: str) -> str:
    return f"file://{quote(os.fsencode(name))}"


def _absolute(url: str) -> str:
    """A URL whose archive, if it is in one (zip://::songs.zip), does not depend on where one is."""
    *inner, archive = url.split("::")
    return "::".join([*inner, archive if "://" in archive else name_of(Path(archive))])


@contextmanager
def open_url(url: str) -> Iterator[IO[bytes]]:
    """Open what a URL gives. Raises InputError where that cannot be had."""
    import fsspec

    try:
        with fsspec.open(url, "rb") as file:
            yield file
    except Exception as error:  # each of its file systems has its own
        raise InputError(f"{url}: cannot be read ({_first_line(error)})") from None


def _add_list(found: Listing, path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        found.problems.append(InputError(f"{path}: cannot be read ({error.strerror})"))
        return
    lines = [line.strip() for line in text.split("\n")]  # names have other breaks in them
    entries = [line for line in lines if line and not line.startswith("#")]
    for entry in entries:
        _add(found, entry if "://" in entry else str(path.parent / entry))
    if not entries:
        found.problems.append(InputError(f"{path}: no song in this list; give a place a line"))


def _add(found: Listing, source: str) -> None:
    path = local(source)
    if path is None:
        _add_url(found, source)
        return
    try:
        if path.is_dir():
            _add_folder(found, path)
        else:
            _add_file(found, path)
    except FileNotFoundError as error:
        found.missing.add(name_of(path))
        found.problems.append(InputError(f"{path}: {error.strerror}; check the path"))
    except (OSError, ValueError) as error:  # ValueError: a zero byte
        reason = getattr(error, "strerror", None) or str(error)
        what = "its rights" if isinstance(error, PermissionError) else "the path"
        shown = str(path) if str(path).isprintable() else repr(str(path))
        found.problems.append(InputError(f"{shown}: {reason}; check {what}"))


def _add_file(found: Listing, path: Path) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # whoever opened a pipe would wait for ever
        found.problems.append(InputError(f"{path}: no file with a song in it; leave it out"))
        return
    name = name_of(path)
    found.songs[name] = Job(name, status.st_size, str(status.st_mtime_ns))


def _add_folder(found: Listing, top: Path) -> None:
    def unreadable(error: OSError) -> None:
        found.unread.append(folder_of(str(error.filename)))
        found.problems.append(InputError(f"{error.filename}: {error.strerror}; check its rights"))

    count = 0
    for folder, folders, files in os.walk(top, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.startswith(".") or Path(name).suffix.lower() not in EXTENSIONS:
                continue
            path, count = Path(folder, name), count + 1
            try:
                _add_file(found, path)
            except OSError as error:  # gone since, a link to nothing, or a folder without its x
                found.unread.append(Folder((name_of(path),)))
                found.problems.append(InputError(f"{path}: {error.strerror}"))
    if not count:
        kinds = " ".join(EXTENSIONS)
        found.problems.append(InputError(f"{top}: no song in this folder; looked for {kinds}"))
    else:  # one without any song may be a disk that is not there today
        found.looked.append(folder_of(str(top)))


def _add_url(found: Listing, url: str) -> None:
    url = _absolute(url)
    try:
        import fsspec

        system, root = fsspec.url_to_fs(url)
        info = system.info(root)
        folder = info["type"] == "directory"
        infos: dict[str, Any] = system.find(root, detail=True) if folder else {root: info}
    except FileNotFoundError:
        found.missing.add(url)
        found.problems.append(InputError(f"{url}: not there; check the URL"))
        return
    except Exception as error:  # each of its file systems has its own; or it is not installed
        found.problems.append(InputError(f"{url}: cannot be read ({_first_line(error)})"))
        return
    chain = url[url.find("::") :] if "::" in url else ""  # zip://::/archive.zip
    songs = [name for name in infos if not folder or Path(name).suffix.lower() in EXTENSIONS]
    for name in sorted(songs):
        place = f"{system.unstrip_protocol(name)}{chain}"
        times = [str(infos[name][key]) for key in _TIMES if infos[name].get(key)]
        found.songs[place] = Job(place, infos[name].get("size") or 0, times[0] if times else "")
    if songs and folder:
        found.looked.append(folder_of(f"{system.unstrip_protocol(root)}{chain}"))
    elif not songs:
        found.problems.append(InputError(f"{url}: no song in this folder"))


def ending(place: str) -> str:
    """The ending of a song's name: ".mp3"."""
    return (
        Path(place.partition("::")[0].partition("?")[0]).suffix
        if "://" in place
        else Path(place).suffix
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
