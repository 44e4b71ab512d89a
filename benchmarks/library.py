"""What a library costs: songs an hour, overhead, memory, and a million made-up songs.

    python benchmarks/library.py [rate] [overhead] [memory] [size] [bounds] [--clips FOLDER]
        [--songs N] [--largest N]

rate    songs of two minutes, made from recordings: openSMILE alone, File2Curve, a scan by one
        worker and by two
overhead
        what a scan does to the same songs besides, measured step by step in several rounds: by the
        processor (of all processes) and by the clock, without and with Dask
memory  of scanner and worker over N short songs (10,000), made by mutating a few
size    10^4, 10^5, 10^6 made-up songs: what a scan compares, find, like, journey, map; each step in
        a process of its own, with its largest memory (of mapped files, what is in it)
bounds  random small libraries: how much dearer than the best a journey is said to be at most, and,
        where all sets of songs can be gone through, is

One thread a process. Rates are of processor time; the ratio of two workers to one is by the clock
and needs a machine with nothing else to do: the load is printed beside it.
"""

import argparse
import itertools
import os
import resource
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy is imported

import numpy as np  # noqa: E402
import psutil  # noqa: E402
import pyarrow as pa  # noqa: E402
import soundfile  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from moodcurve import File2Curve  # noqa: E402
from moodcurve.audio import SAMPLE_RATE, find_songs, read, read_blocks  # noqa: E402
from moodcurve.cluster import workers  # noqa: E402
from moodcurve.library import store, trace  # noqa: E402
from moodcurve.library.places import Job, Listing  # noqa: E402
from moodcurve.library.scan import compare, known_songs, scan  # noqa: E402
from moodcurve.model import DEFAULT  # noqa: E402

CLIPS = Path(__file__).parents[2] / "shared" / "corpora" / "clips" / "audio"
SECONDS = 120  # of a song for the rate


def rate(clips: Path, songs: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        paths = mutated(clips, folder / "music", songs, SECONDS)
        print(f"\n{songs} songs of {SECONDS} s, flac; load {os.getloadavg()[0]:.1f}")
        curve = File2Curve()
        curve(paths[0])  # whatever is done once
        alone = each(lambda path: curve(path), paths)
        decoding = each(lambda path: list(read_blocks(path)), paths)
        row("decoding", decoding)
        reference = opensmile()
        if reference:
            row("openSMILE alone, its two passes", each(reference, paths))
        row("decoding, features, networks", alone)
        row("a scan, one worker", scanned(paths[0].parent, folder))
        ratio = by_workers(paths, 1) / by_workers(paths, 2)
        print(f"two workers         {ratio:6.2f} x one; load {os.getloadavg()[0]:.1f}")


def scanned(music: Path, folder: Path) -> float:
    """Seconds of the processor a song of a scan by one worker.

    They are less what a scan of two songs takes: starting is paid once.
    """
    few = folder / "few"
    few.mkdir()
    songs = sorted(music.iterdir())
    for path in songs[:2]:
        shutil.copy(path, few)
    spent = []
    for source in (few, music):
        began = used()
        scan([str(source)], folder / f"lib-{source.name}", jobs=1)
        spent.append(used() - began)
    return (spent[1] - spent[0]) / (len(songs) - 2)


def by_workers(paths: list[Path], count: int) -> float:
    """Seconds by the clock that workers who have begun already take."""
    jobs = [Job(str(path), 0, "") for path in paths]
    with workers(count) as distribute:
        for todo in (2 * jobs[:2], jobs):
            began = time.perf_counter()
            for _, entry in distribute(trace.trace_isolated, todo, DEFAULT, trace.trace):
                assert entry.row["error"] is None
        return time.perf_counter() - began


Spent = NDArray[np.float64]
"""Seconds by the processor and by the clock."""


def overhead(clips: Path, songs: int) -> None:
    """What a scan does besides tracing.

    No difference of two runs is taken: the steps of each song are timed where they are done, and
    the way between processes is what is left of the time of all of them, who have begun before.
    """
    ways = {"one process": lambda: nullcontext(in_turn), "Dask": lambda: workers(1)}
    rounds: dict[str, list[dict[str, Spent]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as place:
        paths = mutated(clips, Path(place) / "music", songs, SECONDS)
        jobs = [Job(str(path), path.stat().st_size, "0") for path in paths]
        for number, (name, way) in itertools.product(range(ROUNDS), ways.items()):
            with way() as distribute:
                for to_warm_up in (True, False):
                    lib = Path(place, f"{name}-{number}-{to_warm_up}")
                    spent = one_round(distribute, jobs[:2] if to_warm_up else jobs, lib)
            rounds[name].append(spent)
            trace.end_isolated()
    print(f"\n{ROUNDS} rounds of {songs} songs of {SECONDS} s; load {os.getloadavg()[0]:.1f}")
    for name, spent in rounds.items():
        print(f"{'overhead a song, ms: ' + name:34}{'processor':>22}{'clock':>22}")
        steps = [step for step in spent[0] if step != TRACING]
        for step in steps:
            interval(step, np.array([each[step] for each in spent]))
        interval("all", sum(np.array([each[step] for each in spent]) for step in steps))


def interval(name: str, seconds: Spent) -> None:
    """Print the mean of rounds (R, 2), and the lowest and highest."""
    columns = [f"{c.mean():.1f} ({c.min():.1f} .. {c.max():.1f})" for c in 1000 * seconds.T]
    print(f"  {name:32}{columns[0]:>22}{columns[1]:>22}")


ROUNDS = 5
SIGNS = "signs of life"
TRACING = "decoding, features, networks"
STEPS_OF_A_SONG = {  # functions of `trace`
    "sha256": "hashes, before and after",
    "read_tags": "tags",
    "entry_of": "what is told of the curve",
}


def in_turn(function: Callable[..., Any], jobs: list[Job], *shared: Any) -> Any:
    """As a scan by one process does it."""
    return ((job, function(job, *shared)) for job in jobs)


def one_round(distribute: Any, jobs: list[Job], lib: Path) -> dict[str, Spent]:
    """What each step took, a song."""
    began = clocks(everyone=True)
    from library import timed  # this file under a name that other processes know it by

    results = distribute(trace.trace_isolated, jobs, DEFAULT, timed)
    entries = [entry for _, entry in results]
    took = clocks(everyone=True) - began
    steps = [entry.row.pop("steps") for entry in entries]
    spent = {step: sum(each[step] for each in steps) for step in steps[0]}
    spent["between processes"] = took - sum(spent.values())
    (lib / "unfinished").mkdir(parents=True)
    for table in ("songs", "curves"):
        (lib / table).mkdir()
    began = clocks()
    store.write_part(lib, entries)
    spent["tables"] = clocks() - began
    return {step: seconds / len(jobs) for step, seconds in spent.items()}


def timed(task: tuple[Job, str], alive: Callable[[], None]) -> store.Entry:
    """As `trace.trace`, with what its steps took."""
    spent: dict[str, Spent] = defaultdict(lambda: np.zeros(2))

    def step(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timing(*args: Any, **named: Any) -> Any:
            began, told = clocks(), spent[SIGNS].copy()
            try:
                return function(*args, **named)
            finally:
                spent[name] += clocks() - began
                if name != SIGNS:  # which are given in the midst of other steps
                    spent[name] -= spent[SIGNS] - told

        return timing

    file2curve = trace._file2curve
    replaced = {name: step(what, getattr(trace, name)) for name, what in STEPS_OF_A_SONG.items()}
    replaced["_file2curve"] = lambda model: step(TRACING, file2curve(model))
    with patch.multiple(trace, **replaced):
        entry = trace.trace(task, step(SIGNS, alive))
    entry.row["steps"] = dict(spent)
    return entry


def clocks(everyone: bool = False) -> Spent:
    """The processor's and the wall's; `everyone`: the processors of this and all its processes."""
    if not everyone:
        return np.array([time.process_time(), time.perf_counter()])
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return np.array([sum(t.user + t.system for t in times), time.perf_counter()])


def used() -> float:
    """Seconds of the processors that this process and those that it has ended have used."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def each(function: Callable[[Path], Any], paths: list[Path]) -> float:
    """Seconds of the processor a song."""
    began = time.process_time()
    for path in paths:
        function(path)
    return (time.process_time() - began) / len(paths)


def row(name: str, seconds: float) -> None:
    print(f"{name:34}{1000 * seconds:8.0f} ms a song{3600 / seconds:10,.0f} songs an hour and core")


def opensmile() -> Callable[[Path], Any] | None:
    try:
        import opensmile as package
    except ImportError:
        print("openSMILE is not installed (extra `reference`)")
        return None
    levels = package.FeatureLevel
    passes = [
        package.Smile(package.FeatureSet.ComParE_2016, level)
        for level in (levels.LowLevelDescriptors, levels.LowLevelDescriptors_Deltas)
    ]
    return lambda path: [smile.process_signal(read(path), SAMPLE_RATE) for smile in passes]


def mutated(clips: Path, folder: Path, count: int, seconds: float) -> list[Path]:
    """Songs made from a few: each begins elsewhere and has another loudness."""
    rng = np.random.default_rng(0)
    sources = [read(path) for path in find_songs([clips])[0]]
    folder.mkdir()
    paths = []
    for number in range(count):
        source = sources[number % len(sources)]
        first = rng.integers(len(source))
        samples = np.resize(np.roll(source, -first), round(seconds * SAMPLE_RATE))
        path = folder / f"{number // 1000}-{number}.flac"
        soundfile.write(path, samples * rng.uniform(0.5, 0.9), SAMPLE_RATE)
        paths.append(path)
    return paths


def memory(clips: Path, songs: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        mutated(clips, Path(place) / "music", songs, 1.0)
        samples: list[tuple[float, float]] = []
        ended = threading.Event()

        def watch() -> None:
            me = psutil.Process()
            while not ended.wait(0.5):
                children = me.children()
                worker = max((c.memory_info().rss for c in children), default=0)
                samples.append((me.memory_info().rss / 1e6, worker / 1e6))

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.perf_counter()
        tally = scan([f"{place}/music"], Path(place) / "lib", jobs=1)
        seconds = time.perf_counter() - began
        ended.set()
        watcher.join()
        size = sum(path.stat().st_size for path in (Path(place) / "lib").rglob("*.parquet"))
    print(f"\n{tally}; {1000 * seconds / songs:.0f} ms a song, {size / songs:.0f} bytes a song")
    print("memory, MB          scanner  worker")
    for share in (0.1, 0.25, 0.5, 0.75, 1.0):
        scanner, worker = samples[round(share * (len(samples) - 1))]
        print(f"after {share:4.0%}          {scanner:7.0f} {worker:7.0f}")


def size(largest: int) -> None:
    for count in (10**4, 10**5, 10**6):
        if count > largest:
            continue
        with tempfile.TemporaryDirectory() as place:
            lib = Path(place) / "lib"
            began = time.perf_counter()
            make_up(lib, count)
            seconds = time.perf_counter() - began
            bytes_ = sum(path.stat().st_size for path in (lib / "songs").iterdir())
            print(f"\n{count:,} made-up songs, {bytes_ / count:.0f} bytes each, in {seconds:.0f} s")
            print(f"{'':34}{'seconds':>9}{'MB':>8}")
            for name, step in STEPS.items():
                with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                    for what, took, most in pool.submit(step, lib, count).result():
                        print(f"{name + what:34}{took:9.3f}{most:8.0f}")


def make_up(lib: Path, count: int) -> None:
    """Songs that are spread as real ones are, with curves of a half-second to save room."""
    rng = np.random.default_rng(0)
    for table in ("songs", "curves", "unfinished"):
        (lib / table).mkdir(parents=True)
    for part, first in enumerate(range(0, count, store.PART), start=1):
        n = min(store.PART, count - first)
        numbers = np.arange(first, first + n)
        means = rng.normal([0.1, 0.05], [0.25, 0.3], (n, 2)).clip(-1, 1)
        walks = rng.normal(0, 1, (n, 2, store.POINTS)).cumsum(axis=2)
        walks = (walks - walks.mean(axis=2, keepdims=True)) * rng.uniform(0.01, 0.06, (n, 1, 1))
        columns = {name: [None] * n for name in store.SONGS.names}
        columns |= {
            "path": [f"/music/{k % 5000}/song {k}.mp3" for k in numbers],
            "content": [f"{k:064x}" for k in numbers],
            "size": numbers + 1_000_000,
            "modified": [str(k) for k in numbers],
            "seconds": rng.normal(230, 50, n).clip(60, 900).round(1),
            "half_seconds": np.ones(n, np.int32),
            "artist": [f"Artist {k}" for k in rng.integers(0, max(10, count // 10), n)],
            "mood": ["calm"] * n,
            "model": ["made-up"] * n,
            "licence": ["MIT"] * n,
            "turning_points_s": [[60.0, 120.0]] * n,
        }
        for d, name in enumerate(("valence", "arousal")):
            columns |= {
                name: means[:, d],
                f"{name}_sd": walks[:, d].std(axis=1),
                f"{name}_start": means[:, d] + walks[:, d, 0],
                f"{name}_end": means[:, d] + walks[:, d, -1],
                f"{name}_path": list((means[:, d, None] + walks[:, d]).astype(np.float32)),
            }
        arrays = [pa.array(columns[f.name], f.type) for f in store.SONGS]
        values = {name: np.zeros(1, np.float32) for name in store.VALUES}
        entries = [
            store.Entry({"path": path, "half_seconds": 1}, values) for path in columns["path"]
        ]
        about = {"model": ["made-up"], "licence": ["MIT"], "replaces": []}
        name = f"part-{part:06d}.parquet"
        store._write(lib, "curves", name, store._curves(entries), about)
        songs = pa.Table.from_arrays(arrays, schema=store.SONGS)
        store._write(lib, "songs", name, songs, about)


Measured = list[tuple[str, float, float]]


def measured(*steps: tuple[str, Callable[[], Any]]) -> Measured:
    """Time of each step, and the largest memory of the process so far."""
    found = []
    for name, step in steps:
        began = time.perf_counter()
        step()
        took = time.perf_counter() - began
        found.append((name, took, most_memory()))
    return found


def most_memory() -> float:
    """The most memory, MB, that this process had; getrusage would count its parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1e3


def bookkeeping(lib: Path, count: int) -> Measured:
    """A second scan in which one song in a hundred is new and one in a hundred is gone."""
    numbers = range(count // 100, count + count // 100)
    jobs = (Job(f"/music/{k % 5000}/song {k}.mp3", k + 1_000_000, str(k)) for k in numbers)
    listing = Listing({job.path: job for job in jobs}, looked=["/music/"])
    plans = []

    def decide() -> None:
        plans.append(compare(listing, known_songs(lib), "made-up"))

    result = measured((": parts looked over", lambda: store.mend(lib)), (": compared", decide))
    assert (len(plans[0].todo), plans[0].gone) == (count // 100, count // 100)
    return result


def finding(lib: Path, count: int) -> Measured:
    from moodcurve.library.find import find

    where = "valence > 0.3 and arousal < -0.2"
    columns = ["path", "valence", "arousal", "mood", "error"]
    return measured(("", lambda: find(lib, where, "valence desc", columns)))


def likeness(lib: Path, count: int) -> Measured:
    """Songs like one: the index made, extended by a part, searched; a command's answers."""
    from moodcurve.library import like
    from moodcurve.library.index import open_index

    made = measured((": index made", lambda: open_index(lib)))
    last = max((lib / "songs").iterdir())
    new = last.with_name(f"part-{int(last.stem[5:]) + 1:06d}.parquet")
    shutil.copy(last, new)
    extended = measured((": index extended by a part", lambda: open_index(lib)))
    new.unlink()
    shapes = open_index(lib).shapes
    rng = np.random.default_rng(1)
    ones = [shapes.at(np.array([k])) for k in rng.integers(0, count, 50)]
    searches = [measured(("", lambda one=one: like.nearest(shapes, one, 20)))[0] for one in ones]
    asked = [
        (what, [fresh(lib, int(k), what == "cold") for k in rng.integers(0, count, 20)])
        for what in ("warm", "cold")
    ]
    return [
        *made,
        *extended,
        *middle_and_last(": search", searches),
        *(entry for what, times in asked for entry in middle_and_last(f": fresh, {what}", times)),
    ]


def middle_and_last(name: str, times: Measured) -> Measured:
    times = sorted(times, key=lambda entry: entry[1])
    middle = times[len(times) // 2]
    return [(f"{name}, median of {len(times)}", *middle[1:]), (f"{name}, slowest", *times[-1][1:])]


def fresh(lib: Path, number: int, cold: bool) -> tuple[str, float, float]:
    """A library opened and asked in a process that has imported what it needs, and no more."""
    if cold:
        for path in (lib / "index.arrow", *(lib / "songs").iterdir()):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(answer, lib, number).result()


def answer(lib: Path, number: int) -> tuple[str, float, float]:
    from moodcurve.library.cli import _SHOWN
    from moodcurve.library.find import like

    pa.array([])  # imports pandas, where that is installed
    song = f"/music/{number % 5000}/song {number}.mp3"
    return measured(("", lambda: like(lib, song, None, 20, _SHOWN)))[0]


def travelling(lib: Path, count: int) -> Measured:
    from moodcurve.library import journey
    from moodcurve.library.find import in_folders

    opened, found = [], []

    def open_library() -> None:
        opened.append(journey.songs_of(in_folders(lib, [], list(journey.COLUMNS))))

    def plan(end: tuple[float, float] = (0.4, 0.3), **conditions: Any) -> Callable[[], None]:
        return lambda: found.append(journey.plan(opened[0], (-0.3, -0.3), end, 40, **conditions))

    result = measured(
        (": opened", open_library),
        (": 40 minutes", plan()),
        (": 40 min, no artist twice, jump .1", plan(max_jump=0.1, no_artist_twice=True)),
        (": 40 min in one mood", plan(end=(-0.3, -0.3))),
    )
    gaps = [way.cost / way.bound - 1 for way in found]
    return [
        result[0],
        *((f"{n}, {g:.1%}", t, m) for (n, t, m), g in zip(result[1:], gaps, strict=True)),
    ]


def drawing(lib: Path, count: int) -> Measured:
    from moodcurve.library.find import find
    from moodcurve.library.map import write_map

    columns = ["valence", "arousal", "model", "licence"]
    return measured(("", lambda: write_map(find(lib, columns=columns), lib / "map.png", "")))


def bounds() -> None:
    print(f"\n{'songs, of the journey; dearer by %':40}{'said, at most':>16}{'is':>14}")
    sizes = ((8, 8), (10, 8), (12, 8), (14, 8), (12, 11), (50, 10), (50, 20), (100, 16))
    larger = ((300, 40), (1000, 16), (10_000, 16))
    for (count, length), (name, end) in itertools.product(
        sizes + larger, (("on the way", (0.4, 0.3)), ("staying", (-0.4, -0.3)))
    ):
        small = count < 15
        found = [gaps(count, length, end, seed, exact=small) for seed in range(30 if small else 10)]
        columns = [
            f"{np.median(gap):6.1f}, {max(gap):.1f} (0: {np.mean(np.array(gap) < 1e-6):.0%})"
            for gap in zip(*found, strict=True)
        ]
        print(f"{count:8,}{length:4} {name:14}", *(f"{column:>24}" for column in columns))


def gaps(count: int, length: int, end: tuple[float, float], seed: int, exact: bool) -> list[float]:
    """By how much a journey is dearer than its bound and, if `exact`, than the best; per cent."""
    from moodcurve.library import journey

    rng = np.random.default_rng(seed)
    means = rng.normal(0, 0.3, (count, 2)).clip(-1, 1)
    starts, ends = (means + rng.normal(0, 0.15, (count, 2)) for _ in range(2))
    number = np.arange(count)
    songs = journey.Songs(means, starts, ends, np.full(count, 240.0), number, number)
    found = journey.plan(songs, (-0.4, -0.3), end, 4 * length)
    said = 100 * (found.cost / found.bound - 1)
    if not exact:
        return [said]
    best = best_of_all(songs, found.places)
    assert found.bound <= best + 1e-9 <= found.cost + 2e-9
    return [said, 100 * (found.cost / best - 1)]


def best_of_all(songs: Any, places: NDArray[np.float64]) -> float:
    """The cost of the best journey of equally long songs: dynamic programming over all sets."""
    jumps = ((songs.ends[:, None] - songs.starts) ** 2).sum(axis=2)
    near = ((songs.means - places[:, None]) ** 2).sum(axis=2)
    count = len(songs.seconds)
    table = {(1 << song, song): near[0, song] for song in range(count)}
    for costs in near[1:]:
        longer: dict[tuple[int, int], float] = {}
        for (used, last), spent in table.items():
            for song in range(count):
                if not used >> song & 1:
                    key = used | 1 << song, song
                    total = spent + jumps[last, song] + costs[song]
                    longer[key] = min(longer.get(key, np.inf), total)
        table = longer
    return float(min(table.values()))


STEPS = {
    "scan again": bookkeeping,
    "find": finding,
    "like": likeness,
    "journey": travelling,
    "map": drawing,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "parts", nargs="*", default=["rate", "overhead", "memory", "size", "bounds"]
    )
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--songs", type=int, help="of rate (24), overhead (12), memory (10,000)")
    parser.add_argument("--largest", type=int, default=10**6)
    options = parser.parse_args()
    if "rate" in options.parts:
        rate(options.clips, options.songs or 24)
    if "overhead" in options.parts:
        overhead(options.clips, options.songs or 12)
    if "memory" in options.parts:
        memory(options.clips, options.songs or 10_000)
    if "size" in options.parts:
        size(options.largest)
    if "bounds" in options.parts:
        bounds()


if __name__ == "__main__":
    main()
