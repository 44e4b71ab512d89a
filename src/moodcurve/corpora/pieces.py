"""The pieces that an official corpus is unpacked from: where they are, and which is missing."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from moodcurve.corpora.check import song_id
from moodcurve.corpora.folder import audio_files

_SYSTEM_FILES = {".ds_store", "thumbs.db", "desktop.ini"}


def by_number(paths: Collection[Path]) -> dict[str, Path]:
    """Return the files that are named after a song's number, by it."""
    return {song: path for path in paths if (song := song_id(path.stem))}


def audio_by_number(folder: Path, *names: str) -> dict[str, Path]:
    """Return the songs' audio files in the folders of those names, by number."""
    return by_number([path for name in names for path in audio_files(folder / name)])


def missing(folder: Path, piece: str, archive: str) -> str:
    """Say that a piece of the corpus is missing, and where it is or which archive has it."""
    if elsewhere := sorted(folder.glob(f"*/{piece}")):
        found = elsewhere[0].relative_to(folder).as_posix()
        return f"{piece}: not there, but in {found}; move it up"
    return f"{piece}: not there; it comes out of {archive}, unpack that in this folder"


def no_source(folder: Path, archives: Mapping[str, str]) -> str:
    """Say that none of the pieces that rows can be taken from is there; `archives` by piece."""
    for piece in archives:
        if elsewhere := sorted(folder.glob(f"*/{piece}")):
            found = elsewhere[0].relative_to(folder).as_posix()
            return f"{piece}: its files are in {found}; move them up to {piece}"
    files = " or ".join(dict.fromkeys(archives.values()))
    problem = "nothing there, and one is needed"
    return f"{' and '.join(archives)}: {problem}; unpack {files} in this folder"


def source_problems(
    songs: Collection[str], source: str, found: Collection[str], archive: str
) -> Iterator[str]:
    """Yield, as one line, the songs that a source of rows lacks; it comes out of that archive."""
    lacking = [song for song in songs if song not in found]
    if lacking:
        problem = f"nothing for {len(lacking)} of {len(songs)} songs ({some(lacking)})"
        yield f"{source}: {problem}; unpack {archive} again"


def system_files(folder: Path) -> tuple[str, ...]:
    """Return the line, if any, about files that an operating system put there."""
    found = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.name.startswith("._") or path.name.lower() in _SYSTEM_FILES
    )
    if not found:
        return ()
    return (f"ignored files of an operating system ({len(found)}): {some(found)}",)


def windows_line_ends(folder: Path, pieces: Collection[str]) -> tuple[str, ...]:
    """Return the line, if any, about text files with Windows line ends, which change nothing."""
    paths = [folder / piece for piece in pieces]
    found = [path.name for path in paths if path.is_file() and b"\r\n" in path.read_bytes()]
    return (f"Windows line ends in {some(found)}: read as they are",) if found else ()


def some(names: Sequence[str]) -> str:
    """Return the first five names as text."""
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
