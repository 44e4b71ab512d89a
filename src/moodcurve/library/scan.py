"""Scan songs into a library: what is new or changed is traced, all else is left as it is."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet
from tqdm import tqdm

from moodcurve.errors import InputError, JobsKilled, Unfinished
from moodcurve.library import trace
from moodcurve.library.index import open_index
from moodcurve.library.places import Job, Listing, list_songs
from moodcurve.library.store import (
    FILE,
    PART,
    Entry,
    locked,
    mend,
    part_names,
    read_part,
    read_songs,
    write_failures,
    write_part,
)
from moodcurve.model import find, installed
from moodcurve.ray_cluster import PREFIX, ray_workers

_PAUSE = 60  # seconds after which traced songs are written, though they make no full part

Say = Callable[[str], object]


class Tally(NamedTuple):
    """How many songs a scan traced, could not trace, left as they were, moved, copied, dropped."""

    traced: int
    failed: int
    unchanged: int
    moved: int
    copied: int
    gone: int
    damaged_parts: int
    problems: list[InputError]

    def __str__(self) -> str:
        counts = {name: n for name, n in zip(self._fields[2:6], self[2:6], strict=True) if n}
        more = "".join(f", {n:,} {name}" for name, n in counts.items())
        return f"{self.traced:,} songs traced, {self.failed:,} failed{more}"


@dataclass
class Plan:
    """What a scan has to do.

    Attributes:
        todo: songs to trace.
        dropped: places whose rows go: of songs that are gone, or that have or will have a new row.
        reused: (place now known, song as it is found now) of songs with the same content.
        parts: of the places that are known, the part that each is in.
    """

    todo: list[Job] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)
    reused: list[tuple[str, Job]] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)
    unchanged: int = 0
    moved: int = 0
    copied: int = 0
    gone: int = 0


def scan(
    sources: Sequence[str],
    folder: Path,
    *,
    model: str = "default",
    jobs: int | None = None,
    scheduler: str | None = None,
    say: Say = lambda line: None,
    tracer: trace.Tracer = trace.trace,
    patience: float = trace.PATIENCE,
) -> Tally:
    """Trace the songs of some sources (`places.list_songs`) into the library `folder`.

    `jobs` worker processes here, one a core by default, or those of a `scheduler`, of Dask or Ray
    ("ray:ADDRESS"). `say` gets a line now and then. `tracer` and `patience` are for songs as
    `trace.trace_isolated` takes them.

    What is written is safe whatever happens: after a kill, a full disk or the end of the cluster,
    the same scan again does the rest. Raises InputError where another scan holds the library, where
    none of the sources can be read or where the library cannot be written, Unfinished where it
    cannot go on.
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs {jobs}: give at least 1")
    model = model if model in installed() else str(find(model).resolve())
    wanted = trace.model_id(model)
    listing = list_songs(sources)
    known_place = (folder / "songs").is_dir()  # else there is nothing that could be gone
    if not listing.songs and not (known_place and (listing.missing or listing.looked)):
        raise listing.problems[0]
    with locked(folder):
        damaged = mend(folder)
        if damaged:
            say(f"{damaged} damaged parts of the library; their songs are traced again")
        plan = compare(listing, known_songs(folder), wanted)
        if not listing.songs and not plan.gone:
            raise listing.problems[0]
        failed = 0
        with _what_is_safe(folder):
            rewrite(folder, plan)
            with _workers(len(plan.todo), jobs, scheduler) as distribute:
                results = distribute(trace.trace_isolated, plan.todo, model, tracer, patience)
                for batch in _batches(_with_killed(results, wanted), plan.todo, say):
                    _check_model(batch, wanted)
                    write_part(folder, batch)
                    failed += sum(entry.row["error"] is not None for entry in batch)
            merge(folder)
        write_failures(folder)
        open_index(folder)  # so that the first answer is as quick as the next
    return Tally(
        len(plan.todo) - failed,
        failed,
        plan.unchanged,
        plan.moved,
        plan.copied,
        plan.gone,
        damaged,
        listing.problems,
    )


def known_songs(folder: Path) -> pa.Table:
    """What a scan has to know of the songs in a library, with the file of the part of each."""
    columns = ["path", "size", "modified", "content", "model", "error", FILE]
    return read_songs(folder, columns)


def compare(listing: Listing, known: pa.Table, model: str) -> Plan:
    """Compare the songs that were found with those that are known, traced by a model (its id).

    A song is as it was if path, size and time are. One of the same size as another is hashed: if
    its content is known, it was moved, copied or only touched, and is not traced again. Songs that
    failed by their content are as others; those that failed otherwise, and those touched since, are
    tried again.
    """
    keys = ["path", "size", "modified"]
    found = pa.table(dict(zip(keys, _columns(listing), strict=True)))
    by_content = pc.or_(pc.is_null(known["error"]), pc.is_valid(known["content"]))
    current = known.filter(pc.and_(pc.equal(known["model"], model), by_content))
    fresh = found.join(current.select(keys), keys, join_type="left anti")
    lost = known.select(["path"]).join(found.select(["path"]), "path", join_type="left anti")
    gone = {place for place in lost["path"].to_pylist() if listing.gone(place)}
    jobs = [listing.songs[place] for place in sorted(fresh["path"].to_pylist())]
    plan = Plan(unchanged=found.num_rows - fresh.num_rows)
    plan.dropped = gone | {job.path for job in jobs}
    # Not the failures: their reason is of their path, and trying once more costs little.
    traced = current.filter(pc.is_null(current["error"]))
    _reuse(plan, jobs, traced.filter(pc.is_in(traced["size"], fresh["size"].unique())), gone)
    touched = plan.dropped | {source for source, _ in plan.reused}
    rows = known.filter(pc.is_in(known["path"], pa.array(sorted(touched), pa.string())))
    names = (Path(file).name for file in rows[FILE].to_pylist())
    plan.parts = dict(zip(rows["path"].to_pylist(), names, strict=True))
    return plan


def _reuse(plan: Plan, jobs: Sequence[Job], same_size: pa.Table, gone: set[str]) -> None:
    """Tell, of songs that are not as they were, those whose content is known from those to do.

    `same_size` are the known songs that have the size of one of them, `gone` those that are not
    where they were.
    """
    places_of = defaultdict(list)
    contents, paths = (same_size[name].to_pylist() for name in ("content", "path"))
    for content, place in zip(contents, paths, strict=True):
        places_of[content].append(place)
    sizes = set(same_size["size"].to_pylist())
    moved: set[str] = set()
    for job in tqdm(jobs, "looking for songs that moved", delay=2, disable=None, leave=False):
        places = places_of.get(trace.content_of(job) or "", []) if job.size in sizes else []
        left = [place for place in places if place in gone and place not in moved]
        if not places:
            plan.todo.append(job)
        elif job.path in places:
            plan.unchanged += 1
            plan.reused.append((job.path, job))
        elif left:
            moved.add(left[0])
            plan.reused.append((left[0], job))
        else:
            plan.copied += 1
            plan.reused.append((places[0], job))
    plan.moved, plan.gone = len(moved), len(gone) - len(moved)


def rewrite(folder: Path, plan: Plan) -> None:
    """Take rows out of the parts they are in, and add those of songs whose content was known."""
    reused = defaultdict(list)
    for source, job in plan.reused:
        reused[plan.parts[source]].append((source, job))
    for part in sorted(
        {plan.parts[place] for place in plan.dropped & plan.parts.keys()} | reused.keys()
    ):
        entries = read_part(folder, part)
        by_path = {entry.row["path"]: entry for entry in entries}
        kept = [entry for entry in entries if entry.row["path"] not in plan.dropped]
        kept += [
            Entry({**by_path[source].row, **job._asdict()}, by_path[source].values)
            for source, job in reused[part]
        ]
        write_part(folder, kept, replaces=[part])


def merge(folder: Path) -> None:
    """Join small parts, as many short scans leave them, to full ones."""
    group: list[str] = []
    total = 0
    for name in [*part_names(folder), None]:
        count = parquet.read_metadata(folder / "songs" / name).num_rows if name else PART
        if name and count > PART // 2:
            continue
        if group and total + count > PART:
            if len(group) > 1:
                write_part(folder, [e for part in group for e in read_part(folder, part)], group)
            group, total = [], 0
        if name:
            group.append(name)
            total += count


def _check_model(batch: Sequence[Entry], wanted: str) -> None:
    for entry in batch:
        if entry.row["model"] != wanted:
            raise InputError(
                f"a worker has another model, {entry.row['model']} for {wanted}; install the same "
                "moodcurve and models there"
            )


@contextmanager
def _what_is_safe(folder: Path) -> Iterator[None]:
    """Say of work that stops half-way how to go on."""
    try:
        yield
    except Unfinished as error:
        raise Unfinished(
            f"{error}; {folder} has what was written before: scan again to go on"
        ) from None


@contextmanager
def _workers(count: int, jobs: int | None, scheduler: str | None) -> Iterator[Any]:
    """What distributes the work: Dask, Ray; or this process, for one job at a time."""
    if count == 0 or (jobs == 1 and scheduler is None):
        try:
            yield lambda function, jobs, *shared: ((job, function(job, *shared)) for job in jobs)
        finally:
            trace.end_isolated()
        return
    if scheduler is not None and scheduler.startswith(PREFIX):
        with ray_workers(scheduler) as distribute:
            yield distribute
        return
    try:
        from moodcurve.cluster import workers
    except ImportError:
        raise InputError(
            "several workers need dask; run: pip install 'moodcurve[cluster]', or give --jobs 1"
        ) from None
    with workers(jobs, scheduler) as distribute:
        yield distribute


def _with_killed(results: Iterable[tuple[Job, Entry]], model: str) -> Iterator[Entry]:
    """The entries of results; of jobs that killed each worker that tried, one with the reason."""
    try:
        for _, entry in results:
            yield entry
    except JobsKilled as error:
        for job in error.jobs:
            yield trace.failed(
                job, model, "killed each worker that tried it; scan with more memory"
            )


def _batches(entries: Iterable[Entry], jobs: Sequence[Job], say: Say) -> Iterator[list[Entry]]:
    """Entries in batches to write, with the progress; the last also where they break off."""
    sizes = {job.path: job.size for job in jobs}
    left, begun = sum(sizes.values()), time.monotonic()
    total, count, batch, written = left, 0, [], begun
    stopped: BaseException | None = None
    with tqdm(total=len(sizes), bar_format="{desc}", delay=1, disable=None, leave=False) as bar:
        try:
            for entry in entries:
                batch.append(entry)
                count += 1
                left -= sizes[entry.row["path"]]
                now = time.monotonic()
                minutes = (now - begun) / 60
                line = f"{count:,} of {len(sizes):,} songs, {count / minutes:.0f} a minute"
                if left < total:
                    line += f", {_clock(60 * minutes * left / (total - left))} left"
                bar.set_description_str(line)
                if len(batch) >= PART or now - written > _PAUSE:
                    yield batch
                    batch, written = [], now
                    if bar.disable:
                        say(line)
        except (Exception, KeyboardInterrupt) as error:
            stopped = error
    if batch:
        yield batch
    if stopped:
        raise stopped


def _clock(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _columns(listing: Listing) -> Iterator[pa.Array]:
    songs = listing.songs.values()
    yield pa.array([job.path for job in songs], pa.string())
    yield pa.array([job.size for job in songs], pa.int64())
    yield pa.array([job.modified for job in songs], pa.string())
