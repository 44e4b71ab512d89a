"""The command line: parse, call, print. What it does is in the modules it calls."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from moodcurve import __version__
from moodcurve.currennt.cli import add_commands as add_currennt
from moodcurve.errors import InputError, Unfinished, training_parts
from moodcurve.export.cli import add_command as add_export
from moodcurve.library.cli import add_commands as add_library

if TYPE_CHECKING:
    import numpy as np

    from moodcurve.curve import Curve
    from moodcurve.export.formats import Format

OK, FAILED, MISUSED = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 some input failed, 2 nothing was done."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that cannot be printed stops nothing
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except InputError as error:
        _complain(error)
        return FAILED if isinstance(error, Unfinished) else MISUSED
    except KeyboardInterrupt:
        _note("stopped")
        return 130
    except OSError as error:  # a full disk, a name too long; or whoever read our output has gone
        if not isinstance(error, BrokenPipeError):
            _complain(InputError(f"{error.filename or 'standard output'}: {error.strerror}"))
        if error.filename is None:  # else Python would try once more as it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="moodcurve",
        description="From a song to its curve of emotion: valence (unpleasant -1 .. 1 pleasant) "
        "and arousal (calm -1 .. 1 excited), every half-second.",
    )
    parser.add_argument("--version", action="version", version=f"moodcurve {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    predict = command("predict", _predict, "Trace songs: one CSV (and what made it, JSON) each.")
    predict.add_argument("paths", nargs="+", metavar="PATH", type=Path, help="songs, folders")
    predict.add_argument("-o", "--output", metavar="DIR", type=Path, help="folder for the curves")
    predict.add_argument("--model", default="default", help="a name (see `models`) or a folder")
    predict.add_argument(
        "--format",
        default="csv",
        metavar="F,...",
        help="of the files: csv (the default; its JSON comes with it) or others, see `export`",
    )
    predict.add_argument("--plot", action="store_true", help="draw each curve as a PNG as well")
    predict.add_argument(
        "--moods", action="store_true", help="add quadrant and mood word to each row"
    )
    predict.add_argument(
        "--scale",
        default="-1..1",
        metavar="LOW..HIGH",
        help="of the values: 0..1 or 1..9; else -1..1 (if written out, --scale=-1..1)",
    )
    predict.add_argument(
        "--skip-existing", action="store_true", help="leave songs that have a curve in DIR"
    )

    live = command(
        "live",
        _live,
        "Trace sound as it comes, from a pipe or a microphone: a CSV line every half-second.",
    )
    live.add_argument(
        "source",
        nargs="?",
        metavar="FILE",
        help="a song; - or nothing: the pipe on standard input, with wav or raw 16-bit PCM",
    )
    live.add_argument("--microphone", action="store_true", help="listen to the default input")
    live.add_argument(
        "--look-ahead",
        metavar="S",
        type=float,
        default=5.0,
        help="seconds heard after a half-second before it is judged (5); 0: at once, less sure",
    )
    live.add_argument("--model", default="default", help="a name (see `models`) or a folder")
    live.add_argument("--rate", metavar="R", type=int, help="of raw PCM, in Hz; wav says its own")
    live.add_argument("--channels", metavar="C", type=int, help="of raw PCM; wav says its own")

    serve = command("serve", _serve, "Look, listen and annotate in the browser, on this machine.")
    serve.add_argument("folder", nargs="?", metavar="FOLDER", type=Path, help="songs to pick from")
    serve.add_argument("--port", metavar="P", type=int, default=8765, help="8765; 0: a free one")
    serve.add_argument("--open", action="store_true", help="open the browser as well")
    serve.add_argument(
        "--host",
        metavar="H",
        default="127.0.0.1",
        help="else only this machine reaches it; 0.0.0.0: the whole network does, with a token",
    )
    serve.add_argument(
        "--corpus", metavar="DIR", type=Path, help="annotate songs; for `train` (made if need be)"
    )
    serve.add_argument(
        "--library", metavar="LIB", type=Path, help="show the map of what `library scan` made"
    )
    serve.add_argument("--model", default="default", help="a name (see `models`) or a folder")

    train = command("train", _train, "Train a model on folders of labelled songs.")
    train.add_argument("corpora", nargs="+", metavar="CORPUS", type=Path, help="corpus folders")
    train.add_argument("-o", "--output", metavar="MODEL", type=Path, required=True)
    train.add_argument("--preset", default="default", help="default, paper-2016, ...")
    _add_workers(train)

    evaluate = command("evaluate", _evaluate, "Measure a model on a corpus.")
    evaluate.add_argument("model", metavar="MODEL", help="a name (see `models`) or a folder")
    evaluate.add_argument("corpus", metavar="CORPUS", type=Path)
    evaluate.add_argument("--json", metavar="FILE", type=Path, help="write all figures there")

    reproduce = command(
        "reproduce",
        _reproduce,
        "Run the experiment of Li et al. 2016, table by table, on a corpus.",
    )
    reproduce.add_argument("corpus", metavar="CORPUS", type=Path, help="DEAM, PMEmo or your own")
    reproduce.add_argument(
        "-o", "--output", metavar="RUN", type=Path, help="folder of the run; goes on if it is there"
    )
    reproduce.add_argument("--preset", default="paper-2016", help="paper-2016, quick or smoke")
    reproduce.add_argument("--only", metavar="TABLE", help="make one table: table1, nested, ...")
    _add_workers(reproduce)
    reproduce.add_argument(
        "--full", metavar="DIR", type=Path, help="full-length development songs to pretrain on"
    )
    reproduce.add_argument(
        "--labels", default="release", help="a DEAM folder's scale: release or me2015"
    )
    reproduce.add_argument(
        "--dry-run", action="store_true", help="print what would be trained, and how long it takes"
    )

    add_export(commands)
    add_library(commands)

    features = command(
        "features", _features, "Extract the 260 features, as official files have them."
    )
    features.add_argument("audio", metavar="AUDIO", type=Path)
    features.add_argument("-o", "--output", metavar="FILE", type=Path, help="else standard output")

    command("models", _models, "List the installed models: trained on what, measured how.")
    add_currennt(commands)
    return parser


def _add_workers(command: argparse.ArgumentParser) -> None:
    command.add_argument("--jobs", metavar="N", type=int, help="processes; else one a core")
    command.add_argument(
        "--scheduler", metavar="ADDRESS", help="use the workers of this Dask cluster instead"
    )
    command.add_argument(
        "--device",
        default="cpu",
        help="what networks are trained on: cpu, or cuda for a GPU, one process then (cpu)",
    )


def _workers_of(options: argparse.Namespace) -> tuple[int | None, str | None]:
    """How many processes train here, or for which scheduler; checked, as is the device.

    Whether a scheduler's workers have such a device is for them to say.
    """
    from moodcurve.cluster import check_workers
    from moodcurve.training.devices import device_of, gpu_number

    check_workers(options.jobs, options.scheduler)
    if gpu_number(options.device) is not None and options.scheduler is None:
        device_of(options.device)
        if options.jobs not in (None, 1):
            raise InputError(
                f"--jobs {options.jobs}: with --device {options.device} one process trains; "
                "leave --jobs out"
            )
        return 1, None
    return options.jobs, options.scheduler


def _predict(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from moodcurve.audio import find_songs
    from moodcurve.export.formats import find_format
    from moodcurve.export.scales import in_words
    from moodcurve.files import check_folder
    from moodcurve.predict import File2Curve

    in_words(options.scale)  # what is wrong is said before any work is done
    names = [*options.format.split(","), *(["png"] if options.plot else [])]
    formats = [find_format(name.strip()) for name in dict.fromkeys(names)]
    for_files = {
        "--format": options.format != "csv",
        "--plot": options.plot,
        "--moods": options.moods,
        "--scale": options.scale != "-1..1",
        "--skip-existing": options.skip_existing,
    }
    if options.output is None and any(for_files.values()):
        given = ", ".join(name for name, used in for_files.items() if used)
        raise InputError(f"{given}: only for curves that are written to files; give -o DIR")
    songs, problems = find_songs(options.paths)
    for problem in problems:
        _complain(problem)
    jobs = [
        (song, paths)
        for song, paths in zip(songs, _file_names(songs, formats, options.output), strict=True)
        if not (options.skip_existing and all(path.exists() for path in paths))
    ]
    if len(jobs) < len(songs):
        _note(f"{len(songs) - len(jobs)} of {len(songs)} songs have a curve already")
    failed = len(problems)
    file2curve = File2Curve(options.model)
    if options.output and jobs:
        check_folder(options.output)
    shape = "{desc}: {n_fmt} s of music in {elapsed}"
    with tqdm(bar_format=shape, delay=2, disable=None, leave=False) as bar:
        for number, (song, paths) in enumerate(jobs, start=1):
            bar.set_description_str(f"{number}/{len(jobs)} {song.name[:30]}", refresh=False)
            try:
                curve = file2curve(song, on_seconds=lambda seconds: bar.update(round(seconds)))
                if options.output is None:
                    _say(f"{song}\n{_indent(curve.summary())}")
                else:
                    _write(curve, formats, paths, options)
            except InputError as error:
                failed += 1
                _complain(error)
    if options.output is None and failed < len(jobs) + len(problems):
        _say("\nAdd -o DIR for the curve as CSV, and --plot for a picture of it.")
    return FAILED if failed else OK


def _write(
    curve: Curve, formats: Sequence[Format], paths: Sequence[Path], options: argparse.Namespace
) -> None:
    from moodcurve.export.table import tabulate

    for kind, path in zip(formats, paths, strict=True):
        kind.write(curve, tabulate(curve, options.scale, moods=options.moods and kind.words), path)
    if curve.about["silent_rows"] == len(curve.valence):
        _note(f"{curve.about['file']}: silent from end to end; its curve is neutral (0)")
    elif curve.caution:
        _note(f"{curve.about['file']}: {curve.caution}")
    _say("wrote " + ", ".join(map(str, paths)))


def _file_names(
    songs: Sequence[Path], formats: Sequence[Format], folder: Path | None
) -> list[list[Path]]:
    """The files of each song, one a format."""
    parent = folder or Path()
    return [[parent / f"{stem}{kind.ending}" for kind in formats] for stem in _unique_stems(songs)]


def _unique_stems(songs: Sequence[Path]) -> list[str]:
    """A file name for each song: its own, or with a number where songs share it."""
    taken: set[str] = set()
    stems = []
    for song in songs:
        stem, number = song.stem, 1
        while stem.casefold() in taken:  # some file systems do not tell "A" from "a"
            number += 1
            stem = f"{song.stem}-{number}"
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def _live(options: argparse.Namespace) -> int:
    from moodcurve.live import StreamCurve

    blocks, stream = _blocks(options), StreamCurve(options.model, options.look_ahead)
    said = False
    try:
        for moment in stream.over(blocks):
            row = [x for x in moment if x is not None]
            if not said:
                _say(",".join(moment._fields[: len(row)]))
            said = True
            _say(",".join([f"{x:.1f}" for x in row[:2]] + [f"{x:z.4f}" for x in row[2:]]))
    except InputError as error:
        if not said:
            raise
        _complain(error)
        return FAILED
    return OK


def _blocks(options: argparse.Namespace) -> Iterator[np.ndarray]:
    """Open what `live` is to listen to: blocks of mono float32 at 44.1 kHz."""
    from moodcurve.audio import convert, read_blocks
    from moodcurve.microphone import read_microphone
    from moodcurve.pipe import read_pipe

    file = None if options.source == "-" else options.source
    if options.microphone and options.source:
        raise InputError(f"--microphone and {options.source}: give one of them")
    if (file or options.microphone) and (options.rate or options.channels):
        raise InputError("--rate, --channels: only for raw PCM on standard input; leave them out")
    if options.microphone:
        return convert("microphone", read_microphone())
    if file:
        return read_blocks(file, block_seconds=0.5)
    if sys.stdin.isatty():
        raise InputError("standard input: a terminal; give FILE or --microphone, or pipe sound in")
    pipe = io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False))
    return convert("standard input", read_pipe(pipe, options.rate, options.channels))


def _serve(options: argparse.Namespace) -> int:
    try:
        from moodcurve.web.serve import serve
    except ImportError as error:
        raise InputError(f"serve needs {error.name}; run: pip install 'moodcurve[web]'") from None
    serve(
        _say,
        model=options.model,
        host=options.host,
        port=options.port,
        open_browser=options.open,
        folder=options.folder,
        corpus=options.corpus,
        library=options.library,
    )
    return OK


def _train(options: argparse.Namespace) -> int:
    from moodcurve.files import reserved
    from moodcurve.model import check_writable, save_or_rescue

    with training_parts():
        from moodcurve.cluster import workers
        from moodcurve.training.ensemble import bundle_bytes, learned, train_model
        from moodcurve.training.presets import preset
    from moodcurve.corpora.doubts import check_labels
    from moodcurve.corpora.layouts import open_corpus

    chosen = preset(options.preset)
    jobs, scheduler = _workers_of(options)
    check_writable(options.output)
    corpora = [open_corpus(folder) for folder in options.corpora]
    for note in (*(note for corpus in corpora for note in corpus.notes), *check_labels(corpora)):
        _note(note)
    size = bundle_bytes(chosen, sum(len(corpus.songs) for corpus in corpora))
    try:
        with (
            reserved(options.output.parent, size),
            workers(jobs, scheduler) as distribute,
        ):
            model = train_model(corpora, chosen, options.output.name, distribute, options.device)
    except Unfinished as error:
        raise Unfinished(f"{error}; nothing is written yet: start the same command again") from None
    _say(learned(model))
    save_or_rescue(model, options.output)
    _say(f"wrote {options.output}")
    return OK


def _reproduce(options: argparse.Namespace) -> int:
    with training_parts():
        from moodcurve.reproduce.run import reproduce
    if options.output is None and not options.dry_run:
        raise InputError("reproduce needs a folder for its run: give -o RUN (or --dry-run)")
    jobs, scheduler = _workers_of(options)
    reproduce(
        options.corpus,
        None if options.dry_run else options.output,
        preset=options.preset,
        only=options.only,
        labels=options.labels,
        full=options.full,
        processes=jobs,
        scheduler=scheduler,
        device=options.device,
        say=_say,
    )
    return OK


def _evaluate(options: argparse.Namespace) -> int:
    from moodcurve.corpora.layouts import open_corpus
    from moodcurve.evaluate import evaluate, table, write_json
    from moodcurve.model import load

    figures = evaluate(load(options.model), open_corpus(options.corpus))
    _say(table(figures))
    if options.json:
        write_json(figures, options.json)
    return OK


def _features(options: argparse.Namespace) -> int:
    from moodcurve.audio import read_blocks
    from moodcurve.export.csv import write_features
    from moodcurve.files import replacing
    from moodcurve.rows import rows_of

    rows = rows_of(read_blocks(options.audio), whole=False)
    if options.output is None:
        write_features(rows, sys.stdout)
    else:
        with replacing(options.output) as part, part.open("w", encoding="utf-8") as file:
            write_features(rows, file)
        _say(f"wrote {options.output}: {len(rows)} rows of 260 features")
    return OK


def _models(options: argparse.Namespace) -> int:
    from moodcurve.model import describe, installed

    for name in installed():
        _say(describe(name))
    return OK


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _say(text: str) -> None:
    from tqdm import tqdm

    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()


def _note(text: str) -> None:
    from tqdm import tqdm

    tqdm.write(f"moodcurve: {text}", file=sys.stderr)


def _complain(error: InputError) -> None:
    from tqdm import tqdm

    tqdm.write(f"moodcurve: error: {error}", file=sys.stderr)
