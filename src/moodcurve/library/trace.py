"""One song for a library: its content's hash, its tags, its curve and what is told of it."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodcurve.errors import InputError
from moodcurve.features import HOP
from moodcurve.library.isolated import Crashed, Hung, Isolated
from moodcurve.library.places import Job, ending, local, open_url
from moodcurve.library.store import POINTS, SONGS, VALUES, Entry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodcurve.curve import Curve
    from moodcurve.predict import File2Curve

PATIENCE = 120.0  # seconds without a sign of life after which a song is given up
TRIES = 2  # of a song that crashes its decoder, or that changes while it is read

_CHUNK = 1 << 20  # bytes
_EDGE = 20  # half-seconds that count as the beginning and the end of a curve
_TAGS = {  # names of `SONGS`: those of mutagen's easy tags, and of ID3 in wav and aiff
    "title": ("title", "TIT2"),
    "artist": ("artist", "TPE1"),
    "album": ("album", "TALB"),
    "genre": ("genre", "TCON"),
    "date": ("date", "TDRC"),
}


Alive = Callable[[], None]
Tracer = Callable[[tuple[Job, str], Alive], Entry]
"""Traces (job, model) in an isolated process. Raises InputError with the reason."""

_own = threading.local()  # of each thread of a worker: its isolated process


def trace_isolated(job: Job, model: str, tracer: Tracer, patience: float = PATIENCE) -> Entry:
    """Trace a song in a process of its own; an entry with the reason where that fails.

    Raises InputError where there can be no such process.
    """
    isolated, name = _isolated(), model_id(model)
    isolated.start()
    for left in reversed(range(TRIES)):
        try:
            entry: Entry = isolated.call(tracer, (job, model), patience)
            return entry
        except InputError as error:
            return failed(job, name, str(error).removeprefix(f"{job.path}: "))
        except Hung as error:
            content = _content(isolated, job, patience)
            return failed(job, name, f"{error}; convert the song", content)
        except Crashed as error:
            if not left:  # SIGKILL comes from outside: it may go well another day
                killed = error.how == "SIGKILL"
                content = None if killed else _content(isolated, job, patience)
                reason = f"{error}, {TRIES} times; convert the song"
                return failed(job, name, reason, content)
        except Changed as error:
            if not left:
                return failed(job, name, str(error))
        except Exception as error:  # a bug, or no memory: this song fails, not the scan
            return failed(job, name, f"{type(error).__name__}: {error}")
    raise AssertionError("each try ends")


def _content(isolated: Isolated, job: Job, patience: float) -> str | None:
    """The hash of a song that failed; None where reading it hangs or crashes as well."""
    try:
        content: str | None = isolated.call(content_of, job, patience)
    except (Hung, Crashed):
        return None
    return content


def end_isolated() -> None:
    """End this thread's isolated process; those of a worker end with it."""
    _isolated().end()


class Changed(Exception):
    """A song is not the same after it was read."""


def trace(task: tuple[Job, str], alive: Alive) -> Entry:
    """Trace a song: what is hashed is what is decoded.

    Raises Changed where the song changes meanwhile, InputError where it cannot be traced.
    """
    job, model = task
    with _at_hand(job.path, alive) as path:
        before = sha256(path, alive)
        try:
            curve = _file2curve(model)(path, on_seconds=lambda seconds: alive())
        except InputError as error:
            _check(job, path, before, alive)
            reason = str(error).removeprefix(f"{path}: ")
            return failed(job, model_id(model), reason, before)
        tags = read_tags(path)
        _check(job, path, before, alive)
    return entry_of(curve, job, before, model_id(model), tags)


def failed(job: Job, model: str, reason: str, content: str | None = None) -> Entry:
    """The entry of a song that could not be traced."""
    row = dict.fromkeys(SONGS.names)
    row |= {**job._asdict(), "content": content, "model": model, "error": reason}
    return Entry(row, {})


def entry_of(curve: Curve, job: Job, content: str, model: str, tags: dict[str, str]) -> Entry:
    """The entry of a curve."""
    count = len(curve.valence)
    sound = curve.about.get("familiarity") or {}
    (_, _, quadrant, mood), *_ = curve.passages(1)
    row: dict[str, Any] = {
        **dict.fromkeys(SONGS.names),
        **job._asdict(),
        **tags,
        "content": content,
        "seconds": HOP * count,
        "half_seconds": count,
        "quadrant": quadrant,
        "mood": mood,
        "turning_points_s": list(curve.turning_points),
        "familiarity": sound.get("percentile"),
        "familiar": sound.get("familiar"),
        "model": model,
        "licence": curve.about["licence"],
    }
    for name, values in (("valence", curve.valence), ("arousal", curve.arousal)):
        row |= {
            name: float(values.mean()),
            f"{name}_sd": float(values.std()),
            f"{name}_start": float(values[:_EDGE].mean()),
            f"{name}_end": float(values[-_EDGE:].mean()),
            f"{name}_path": path_of(values).tolist(),
        }
    unknown = np.full(count, np.nan)
    sources = [curve] * 2 + [curve.band] * 4
    columns = {
        name: np.asarray(getattr(source, name, unknown), np.float32)
        for name, source in zip(VALUES, sources, strict=True)
    }
    return Entry(row, columns)


def path_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (n,) at 2 Hz as `POINTS` means of equal stretches of the song, (POINTS,)."""
    area = np.concatenate([[0.0], values.cumsum()])
    edges = np.linspace(0, len(values), POINTS + 1)
    path: NDArray[np.float64] = np.diff(np.interp(edges, np.arange(len(area)), area))
    return path * (POINTS / len(values))


def sha256(path: Path, alive: Alive = lambda: None) -> str:
    """The hash of a file's bytes, in hex. Raises InputError where they cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                alive()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its rights") from None
    return digest.hexdigest()


def content_of(job: Job, alive: Alive = lambda: None) -> str | None:
    """The hash of a file of this machine; None for others, and where it cannot be read."""
    path = local(job.path)
    try:
        return sha256(path, alive) if path else None
    except InputError:
        return None  # whoever traces it will say so


def read_tags(path: Path) -> dict[str, str]:
    """The title, artist, album, genre and date that a file has; none where they are unreadable."""
    import mutagen

    try:
        file: Any = mutagen.File(path, easy=True)
        tags = file.tags if file is not None and file.tags is not None else {}
        found: dict[str, str] = {}
        for name, keys in _TAGS.items():
            for key in keys:
                if key in tags:
                    text = str(tags[key][0]).strip()
                    found |= {name: text} if text else {}
                    break
    except Exception:  # of damaged tags there are many kinds; the song sounds without
        return {}
    return found


@lru_cache(1)
def model_id(model: str) -> str:
    """Name and fingerprint of a model: "default-1a2b3c4d5e6f". Raises InputError."""
    from moodcurve.model import find, read_manifest

    manifest = read_manifest(find(model))
    return f"{manifest['name']}-{manifest['manifest_sha256'][:12]}"


@lru_cache(1)
def _file2curve(model: str) -> File2Curve:
    from moodcurve.predict import File2Curve

    return File2Curve(model)


def _isolated() -> Isolated:
    if not hasattr(_own, "isolated"):
        _own.isolated = Isolated()
    found: Isolated = _own.isolated
    return found


def _check(job: Job, path: Path, before: str, alive: Alive) -> None:
    if sha256(path, alive) != before:
        raise Changed("changed while it was read; scan again when it is at rest")


@contextmanager
def _at_hand(place: str, alive: Alive) -> Iterator[Path]:
    """The file itself, or a copy of what a URL gives, for as long as the block lasts."""
    path = local(place)
    if path is not None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="moodcurve-") as folder:
        path = Path(folder) / f"song{ending(place)}"
        with open_url(place) as source, path.open("wb") as copy:
            while chunk := source.read(_CHUNK):
                copy.write(chunk)
                alive()
        yield path
