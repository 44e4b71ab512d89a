"""Songs for the tests of libraries, and tracers that are quick or fail; also a program that scans.

The tracers run in the isolated processes of a scan, which find this module by its name.
"""

import hashlib
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import soundfile
from pyarrow import parquet

from conftest import tone
from moodcurve import Curve
from moodcurve.audio import SAMPLE_RATE
from moodcurve.errors import InputError
from moodcurve.library.scan import scan
from moodcurve.library.store import read_part, read_songs, write_part
from moodcurve.library.trace import entry_of, failed, model_id, sha256, trace


def make_songs(folder, count, seconds=1.0):
    """Short tones, each another; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"song{number:03d}.wav" for number in range(count)]
    for number, path in enumerate(paths):
        soundfile.write(path, tone(seconds, 110.0 + 7 * number), SAMPLE_RATE)
    return paths


def made_up(seed, half_seconds=40):
    """A curve that wanders, the same for the same seed."""
    rng = np.random.default_rng(seed)
    means = rng.normal(0, 0.3, 2)
    walks = means[:, None] + rng.normal(0, 0.03, (2, half_seconds)).cumsum(axis=1)
    about = {"licence": "CC0", "familiarity": {"percentile": 12.5, "familiar": True}}
    return Curve(*walks.clip(-1, 1), about)


def quick(task, alive):
    """A made-up curve that depends on the content alone; a song named "bad" fails."""
    job, model = task
    path = Path(job.path)
    content = sha256(path)
    alive()
    if "bad" in path.name:
        return failed(job, model_id(model), "not a sound", content)
    tags = {"artist": f"artist {int(content[:2], 16) % 7}", "title": path.stem}
    return entry_of(made_up(int(content[:8], 16)), job, content, model_id(model), tags)


def slow(task, alive):
    time.sleep(0.15)
    return quick(task, alive)


def hostile(task, alive):
    """Hangs, crashes, ends or has a bug, as the song's name says."""
    name = Path(task[0].path).name
    if "hang" in name:
        time.sleep(600)
    if "crash" in name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "exit" in name:
        os._exit(7)
    if "bug" in name:
        raise ZeroDivisionError("a bug")
    if "unreadable" in name:
        raise InputError(f"{task[0].path}: cannot be read; check its rights")
    return quick(task, alive)


def replaced_once(task, alive):
    """As `trace`, of a song that gets another content in the middle of the first try."""
    return _replaced(task, alive, lambda done: not done)


def restless(task, alive):
    """As `trace`, of a song that never is at rest."""
    return _replaced(task, alive, lambda done: True)


def _replaced(task, alive, when):
    path = Path(task[0].path)

    def replace():
        done = path.with_suffix(".done")
        if when(done.exists()):
            count = int(done.read_text()) + 1 if done.exists() else 1
            done.write_text(str(count))
            soundfile.write(path, tone(1.0, 500.0 + count), SAMPLE_RATE)
        alive()

    return trace(task, replace)


def content_of(lib):
    """All that a library holds, in the order of paths: to compare libraries."""
    songs = read_songs(lib).sort_by("path").to_pylist()
    curves = [
        parquet.read_table(path).cast(pa.schema([("path", pa.string()), *_values()]))
        for path in sorted((lib / "curves").iterdir())
    ]
    rows = pa.concat_tables(curves).sort_by([("path", "ascending"), ("start_s", "ascending")])
    return songs, rows.to_pydict()


def _values():
    from moodcurve.library.store import CURVES

    return [(field.name, field.type) for field in CURVES][1:]


def made_up_library(lib, count, part=1000):
    """A library of so many made-up songs, without any sound; its entries."""
    from moodcurve.library.places import Job

    entries = []
    for number in range(count):
        job = Job(f"/music/{number % 10}/song{number}.mp3", 1000 + number, str(number))
        content = hashlib.sha256(str(number).encode()).hexdigest()
        tags = {"title": f"Song {number}", "artist": f"Artist {number % 17}"}
        curve = made_up(number, 20 + number % 30)
        entries.append(entry_of(curve, job, content, "test-1", tags))
    for folder in ("songs", "curves", "unfinished"):
        (lib / folder).mkdir(parents=True)
    for first in range(0, count, part):
        write_part(lib, entries[first : first + part])
    assert len(read_part(lib, "part-000001.parquet")) == min(count, part)
    return entries


def many_songs(lib, count, *more, model="made-up"):
    """A library of so many made-up songs, at once, and of more entries after them."""
    from moodcurve.library import store
    from moodcurve.moods import moods

    rng = np.random.default_rng(5)
    for folder in ("songs", "curves", "unfinished"):
        (lib / folder).mkdir(parents=True)
    points = rng.normal([0.1, -0.05], [0.3, 0.25], (count, 2)).clip(-1, 1)
    wander = rng.normal(0, 0.05, (count, 2, store.POINTS))
    columns = dict.fromkeys(store.SONGS.names, [None] * count) | {
        "path": [f"/music/{k % 7}/song {k}.mp3" for k in range(count)],
        "content": [str(k) for k in range(count)],
        "seconds": rng.uniform(100, 300, count).round(1),
        "half_seconds": np.full(count, 2, np.int32),
        "title": [f"Song {k}" if k % 3 else None for k in range(count)],
        "artist": [f"Artist {k % 40:02d}" if k % 5 else None for k in range(count)],
        "mood": moods(*points.T).tolist(),
        "model": [model] * count,
        "licence": ["CC0"] * count,
    }
    for d, name in enumerate(("valence", "arousal")):
        columns |= {name: points[:, d], f"{name}_sd": wander[:, d].std(axis=1)}
        columns |= {f"{name}_{end}": points[:, d] + wander[:, d, k] for k, end in ENDS}
        columns[f"{name}_path"] = list((points[:, d, None] + wander[:, d]).astype(np.float32))
    arrays = [pa.array(columns[field.name], field.type) for field in store.SONGS]
    values = dict.fromkeys(store.VALUES, np.zeros(2, np.float32))
    rows = [{"path": path, "half_seconds": 2} for path in columns["path"]]
    about = {"model": [model], "licence": ["CC0"], "replaces": []}
    name = "part-000001.parquet"
    curves = store._curves([store.Entry(row, values) for row in rows])
    store._write(lib, "curves", name, curves, about)
    store._write(lib, "songs", name, pa.Table.from_arrays(arrays, schema=store.SONGS), about)
    if more:
        write_part(lib, more)


ENDS = ((0, "start"), (-1, "end"))


if __name__ == "__main__":  # SOURCE LIB JOBS-OR-SCHEDULER TRACER
    source, lib, where, tracer = sys.argv[1:]
    spread = {"scheduler": where} if ":" in where else {"jobs": int(where)}
    import library_songs
    import moodcurve.library.scan

    moodcurve.library.scan.PART = 3  # so that there is always something being written
    try:
        tally = scan([source], Path(lib), **spread, tracer=getattr(library_songs, tracer))
    except InputError as error:
        sys.exit(str(error))
    print(tally)
