"""The experiment as a folder: what it is, what is done of it, its tables.

The folder is written here alone, as jobs are done; only workers on this machine see it.

    config.json      what the run is; another corpus, preset or version is refused
    networks/        one file a job, and its log, a line of JSON an epoch
    under_way/       jobs that were interrupted
    <table>.csv ...  the tables, as CSV, text and LaTeX
    model/           the fused networks as a bundle, for `moodcurve predict --model`

Deleting a file repeats that piece of work.
"""

import json
import os
import textwrap
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from moodcurve import __version__, features
from moodcurve.cluster import Distribute, one_a_core, workers
from moodcurve.corpora.folder import Corpus
from moodcurve.corpora.layouts import open_corpus
from moodcurve.errors import InputError, Unfinished
from moodcurve.files import check_folder, replacing
from moodcurve.reproduce import plan
from moodcurve.reproduce.jobs import Done, Job, Task, do, given_up, is_done, task, write
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

SEED = 0


def reproduce(
    folder: Path,
    run: Path | None,
    *,
    preset: str,
    only: str | None,
    labels: str,
    full: Path | None,
    processes: int | None,
    scheduler: str | None,
    device: str,
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
        processes: networks trained at the same time on this machine; None is one a core.
        scheduler: the address of a Dask cluster that trains them instead, or None.
        device: where the workers train networks, see `device_of`.
        say: prints text.

    Raises:
        InputError: for an unusable corpus, a run folder of something else, or no scheduler there.
        Unfinished: where work stops half-way; the folder has what is done.
    """
    chosen, asked = recipe(preset), plan.tables(only)
    from_labels = set(asked) <= set(plan.FROM_LABELS)
    corpus = open_corpus(folder, labels, rows=not from_labels)
    split = split_songs(corpus, SEED)
    full_songs = full_length(split, full) if full else ()
    config = _config(corpus, preset, chosen, labels, full, split, device)
    if run:
        check_folder(run)
        _check(run, config)
    needed = plan.jobs(set(asked), chosen, split)
    done = {j.name for stage in needed for j in stage if run and is_done(j, run)}
    say(_wrapped(_songs(corpus, split, full)))
    at_once = 1 if scheduler else processes or os.cpu_count() or 1
    say(_wrapped(plan.describe(preset, asked, split, done, at_once, device)))
    if not run:
        return
    material, all_done = None, len(done) == sum(map(len, needed))
    try:
        with nullcontext(one_a_core) if all_done else workers(processes, scheduler) as distribute:
            if not from_labels:
                material = prepare(split, chosen.preset.limit, full_songs)
                config["rows"] = fingerprint(split, material)
                _check(run, config)
            _begin(run, config)
            if material:
                checkpoints = None if scheduler else run
                _work(needed, split, material, chosen, run, checkpoints, device, distribute)
        for text in write_tables(asked, run, corpus, split, material, chosen, full):
            say("\n" + text)
    except Unfinished as error:
        kept = f"what is done is kept in {run}: start the same command again to go on"
        raise Unfinished(f"{error}; {kept}") from None
    for line in _given_up(needed, run):
        say(line)
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
    corpus: Corpus,
    preset: str,
    chosen: Recipe,
    labels: str,
    full: Path | None,
    split: Split,
    device: str,
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
        "device": device.partition(":")[0],  # which of several GPUs does not matter
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
        # runs of before there was a choice are all of the processor
        before = {"device": "cpu", **json.loads(path.read_text(encoding="utf-8"))}
        if not any([*run.glob("networks/*.npz"), *run.glob("under_way/*.npz")]):
            before["device"] = config["device"]  # nobody has trained on it
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
    _clear(run)
    with replacing(run / "config.json") as path:
        path.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _clear(run: Path) -> None:
    """Delete what a run or a worker that was killed has left half-written."""
    for part in [*run.glob(".*.part*"), *run.glob("*/.*.part*")]:
        part.unlink()


def _work(
    stages: Sequence[Sequence[Job]],
    split: Split,
    material: Material,
    chosen: Recipe,
    run: Path,
    checkpoints: Path | None,
    device: str,
    distribute: Distribute,
) -> None:
    """Do what is not done yet, the longest tasks of a stage first."""
    clock = plan.Clock(chosen, split)
    left = [[job for job in stage if not is_done(job, run)] for stage in stages]
    costs = {job: clock.seconds(job)[0] for stage in left for job in stage}
    shape = "{desc}{percentage:3.0f}% |{bar}| {elapsed} gone, {remaining} left"
    start, total = f"0/{len(costs)} jobs", sum(costs.values())
    with tqdm(desc=start, total=total, bar_format=shape, disable=None, leave=False) as bar:
        count = 0
        for stage in left:
            ordered = sorted(
                plan.together(stage, device),
                key=lambda jobs: (-sum(costs[job] for job in jobs), jobs[0].name),
            )
            tasks = (task(jobs, chosen, run) for jobs in ordered)
            for (jobs, _), found in distribute(_do, tasks, material, chosen, checkpoints, device):
                for job, done in zip(jobs, found, strict=True):
                    write(job, done, run)
                    count += 1
                    bar.set_description_str(f"{count}/{len(costs)} jobs", refresh=False)
                    bar.update(costs[job])
    _clear(run)


def _do(
    task: Task, material: Material, chosen: Recipe, checkpoints: Path | None, device: str
) -> list[Done]:
    one_thread()
    return do(task, material, chosen, checkpoints, device, SEED)


def _given_up(needed: Sequence[Sequence[Job]], run: Path) -> list[str]:
    """The networks whose training was given up, and why."""
    reasons = {job.name: given_up(job, run) for stage in needed for job in stage}
    return [f"given up: {name}: {reason}" for name, reason in reasons.items() if reason]
