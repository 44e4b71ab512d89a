"""The experiment as a folder: what it is, what is done of it, its tables.

    config.json      what the run is; another corpus, preset or version is refused
    networks/        one file a job, and its log, a line of JSON an epoch
    under_way/       jobs that were interrupted
    <table>.csv ...  the tables, as CSV, text and LaTeX
    model/           the fused networks as a bundle, for `moodcurve predict --model`

Deleting a file repeats that piece of work.
"""

import json
import textwrap
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from moodcurve import __version__, features
from moodcurve.corpora.folder import Corpus
from moodcurve.corpora.layouts import open_corpus
from moodcurve.errors import InputError
from moodcurve.files import check_folder, replacing
from moodcurve.reproduce import plan
from moodcurve.reproduce.jobs import Job, do, path_of
from moodcurve.reproduce.recipes import Recipe, recipe
from moodcurve.reproduce.report import write_tables
from moodcurve.reproduce.split import (
    Material,
    Split,
    fingerprint,
    full_length,
    prepare,
    pretraining_labels,
    split_songs,
)
from moodcurve.training.loop import one_thread
from moodcurve.workers import in_processes

SEED = 0


def reproduce(
    folder: Path,
    run: Path | None,
    *,
    preset: str,
    only: str | None,
    labels: str,
    full: Path | None,
    processes: int,
    say: Callable[[str], None],
) -> None:
    """Run the experiment of Li et al. 2016 on a corpus, or go on with it, and write its tables.

    Args:
        folder: the corpus, of any layout that `open_corpus` knows.
        run: the folder of the run; None only says what would be done.
        preset: the name of a recipe.
        only: the one table to make; None makes all.
        labels: which scale of labels a DEAM release is read with, "release" or "me2015".
        full: a folder with full-length recordings to pretrain on, or None.
        processes: networks trained at the same time.
        say: prints text.

    Raises:
        InputError: for an unusable corpus, or a run folder of something else.
    """
    chosen, asked = recipe(preset), plan.tables(only)
    from_labels = set(asked) <= set(plan.FROM_LABELS)
    corpus = open_corpus(folder, labels, rows=not from_labels)
    split = split_songs(corpus, SEED)
    full_songs = full_length(split, full) if full else ()
    config = _config(corpus, preset, chosen, labels, full, split)
    if run:
        check_folder(run)
        _check(run, config)
    needed = plan.jobs(set(asked), chosen, split)
    done = {j.name for stage in needed for j in stage if run and path_of(j, run).exists()}
    say(_wrapped(_songs(corpus, split, full)))
    say(_wrapped(plan.describe(preset, asked, split, done, processes)))
    if not run:
        return
    material = None
    if not from_labels:
        material = prepare(split, chosen.preset.limit, full_songs)
        config["rows"] = fingerprint(split, material)
        _check(run, config)
    _begin(run, config)
    if material:
        _work(needed, split, material, chosen, run, processes)
    for text in write_tables(asked, run, corpus, split, material, chosen, full):
        say("\n" + text)
    say(f"wrote {run}: each table as .csv, .txt and .tex")


def _wrapped(text: str) -> str:
    fill = partial(textwrap.fill, width=80, subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(map(fill, text.splitlines()))


def _songs(corpus: Corpus, split: Split, full: Path | None) -> str:
    sets = " + ".join(str(len(members)) for members in split.validation)
    whose = "the corpus's own" if split.official else "drawn from the corpus"
    groups = sorted({song.group for song in split.test if song.group})
    pretraining = [name for name in pretraining_labels(split, full).values() if name]
    lines = [
        f"{corpus.name}: {len(split.development)} development songs (validation sets of {sets}), "
        f"{len(split.test)} test songs ({whose})",
        *([f"test groups: {', '.join(groups)}"] if groups else []),
        f"pretraining: {'; '.join(pretraining)}",
    ]
    return "\n".join([*lines, *(f"note: {note}" for note in corpus.notes)])


def _config(
    corpus: Corpus, preset: str, chosen: Recipe, labels: str, full: Path | None, split: Split
) -> dict[str, Any]:
    """What must be the same for a run to go on. JSON-ready, and as JSON gives it back."""
    config = {
        "moodcurve": __version__,
        "features": features.VERSION,
        "corpus": corpus.name,
        "labels": labels,
        "preset": preset,
        "recipe": asdict(chosen),
        "full": bool(full),
        "seed": SEED,
        "songs": fingerprint(split, None),
        "rows": None,
    }
    as_read: dict[str, Any] = json.loads(json.dumps(config))
    return as_read


def _check(run: Path, config: dict[str, Any]) -> None:
    """Refuse a folder that holds something else; a run without networks has no "rows" yet."""
    path = run / "config.json"
    if not path.exists():
        if not all(there.match(".*.part*") for there in run.iterdir()):  # a start that was killed
            raise InputError(f"{run}: not empty and not a run; choose another folder")
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        config["rows"] = config["rows"] or before["rows"]  # unknown until there are networks
        differing = [
            key
            for key in config
            if None not in (before[key], config[key]) and before[key] != config[key]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path}: not a run's; choose another folder for this one") from None
    if differing:
        shown = [
            f"{key}: {before[key]}, now {config[key]}"
            for key in differing[:1]
            if not isinstance(config[key], dict)
        ]
        what = {"songs": "other songs or labels", "rows": "other features"}.get(
            differing[0], shown[0] if shown else differing[0]
        )
        raise InputError(
            f"{run}: a run of something else ({what}); give another folder with -o, "
            "or what it was begun with"
        )


def _begin(run: Path, config: dict[str, Any]) -> None:
    for part in [*run.glob(".*.part*"), *run.glob("*/.*.part*")]:
        part.unlink()  # left by a run that was killed while it wrote
    with replacing(run / "config.json") as path:
        path.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _work(
    stages: Sequence[Sequence[Job]],
    split: Split,
    material: Material,
    chosen: Recipe,
    run: Path,
    processes: int,
) -> None:
    """Do what is not done yet, the longest jobs of a stage first."""
    clock = plan.Clock(chosen, split)
    left = [[job for job in stage if not path_of(job, run).exists()] for stage in stages]
    costs = {job: clock.seconds(job)[0] for stage in left for job in stage}
    total = sum(costs.values())
    shape = "{desc}{percentage:3.0f}% |{bar}| {elapsed} gone, {remaining} left"
    start = f"0/{len(costs)} jobs"
    with tqdm(desc=start, total=total, bar_format=shape, disable=None, leave=False) as bar:
        count = 0
        for stage in left:
            ordered = sorted(stage, key=lambda job: (-costs[job], job.name))
            shared = (material, chosen, run)
            try:
                for job, _ in zip(
                    ordered, in_processes(_do, ordered, _start, shared, processes), strict=True
                ):
                    count += 1
                    bar.set_description_str(f"{count}/{len(costs)} jobs", refresh=False)
                    bar.update(costs[job])
            except BrokenProcessPool:
                raise InputError(
                    f"{run}: a process was killed, perhaps for want of memory; start the same "
                    "command again, with fewer --jobs: what is done is kept"
                ) from None


_shared: tuple[Material, Recipe, Path]


def _start(*shared: Any) -> None:
    """Begin a process: one thread of computation in each."""
    global _shared
    _shared = shared
    one_thread()


def _do(job: Job) -> None:
    material, chosen, run = _shared
    do(job, material, chosen, run, SEED)
