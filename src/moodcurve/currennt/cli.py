"""`moodcurve currennt`: parse, call, print."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodcurve.errors import InputError, training_parts

if TYPE_CHECKING:
    from moodcurve.training.checkpoint import Epoch

_HEADER = (
    " Epoch | Duration |  Training error  | Validation error |    Test error    | New best \n"
    "-------+----------+------------------+------------------+------------------+----------"
)


def add_commands(commands: Any) -> None:
    """Add the command `currennt` and its three sub-commands to argparse's `commands`."""
    text = "Run and train networks of CURRENNT, the paper's trainer; give it data."
    currennt = commands.add_parser("currennt", help=text, description=text)
    kinds = currennt.add_subparsers(title="commands", metavar="COMMAND", required=True)

    text = "Predict the sequences of a data file, in the file's order (single_csv)."
    forward = kinds.add_parser("forward", help=text, description=text)
    forward.set_defaults(run=_forward)
    _add_paths(forward, "network", "data", output="OUT.csv")

    text = "Train a network further, from the weights in its file, as CURRENNT would."
    train = kinds.add_parser("train", help=text, description=text)
    train.set_defaults(run=_train)
    _add_paths(train, "network", "training", output="OUT.jsn")
    train.add_argument("--val", metavar="VAL.nc", type=Path, help="keep the best weights for it")
    for name, kind, metavar, default, help in (
        ("learning-rate", float, "R", 1e-5, "step size (1e-5); a layer's own learningRate wins"),
        ("momentum", float, "M", 0.9, "share of the last step (0.9)"),
        ("parallel-sequences", int, "P", 1, "sequences in a mini-batch (1)"),
        ("max-epochs", int, "N", None, "end after N epochs; needed without --val"),
        ("max-epochs-no-best", int, "N", 20, "or after N without a new best (20)"),
        ("truncate-seq", int, "L", 0, "cut training sequences longer than 1.5 L to L"),
    ):
        train.add_argument(f"--{name}", type=kind, metavar=metavar, default=default, help=help)
    train.add_argument(
        "--stochastic", action="store_true", help="update after each mini-batch, not each epoch"
    )

    text = "Write a corpus of labelled songs as a data file."
    export = kinds.add_parser("export", help=text, description=text)
    export.set_defaults(run=_export)
    _add_paths(export, "corpus", output="DATA.nc")


_PATHS = {
    "network": ("NET.jsn", "a network with its weights"),
    "data": ("DATA.nc", "sequences to predict (NetCDF-3)"),
    "training": ("TRAIN.nc", "sequences to train on (NetCDF-3)"),
    "corpus": ("CORPUS", "a corpus folder"),
}


def _add_paths(parser: argparse.ArgumentParser, *names: str, output: str) -> None:
    for name in names:
        metavar, text = _PATHS[name]
        parser.add_argument(name, metavar=metavar, type=Path, help=text)
    parser.add_argument("-o", "--output", metavar=output, type=Path, required=True)


def _forward(options: argparse.Namespace) -> int:
    from moodcurve.currennt.data import check_fit, read_data
    from moodcurve.currennt.networks import read_network
    from moodcurve.currennt.predictions import predict, write_predictions

    network, data = read_network(options.network), read_data(options.data)
    check_fit(options.data, data, network)
    write_predictions(options.output, data.tags, predict(network, data))
    _say(f"wrote {options.output}: the outputs of {len(data.tags)} sequences")
    return 0


def _train(options: argparse.Namespace) -> int:
    from moodcurve.currennt.data import check_fit, read_data
    from moodcurve.currennt.networks import read_named_network, write_named_network

    with training_parts():
        from moodcurve.training.currennt import Settings, train

    names = Settings.__dataclass_fields__
    settings = Settings(**{name: getattr(options, name) for name in names})
    training = read_data(options.training)
    validation = read_data(options.val) if options.val else None
    network = read_named_network(options.network, inputs=training.inputs[0].shape[1])
    check_fit(options.training, training, network.folded(), training=True)
    if validation:
        check_fit(options.val, validation, network.folded(), training=True)
    _check_output(options.output)

    log: list[Epoch] = []

    def on_epoch(epoch: Epoch) -> None:
        if not log:
            _say(_HEADER)
        log.append(epoch)
        _say(_row(epoch))

    trained = train(network, training, validation, settings, on_epoch)
    if len(log) == settings.max_epochs:
        _say("Maximum number of training epochs reached. Training stopped.")
    else:
        _say(
            "No new lowest validation error within "
            f"{settings.max_epochs_no_best} epochs. Training stopped."
        )
    if validation:
        lowest = [epoch["validation_error"] for epoch in log if epoch["new_best"]][-1]
        _say(f"Lowest validation error: {lowest:.9f}")
    write_named_network(trained, options.output)
    _say(f"Storing the trained network in '{options.output}'... done.")
    return 0


def _check_output(path: Path) -> None:
    """Raise InputError where a file cannot be written, before there is work to lose."""
    from moodcurve.files import check_folder

    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file to write")
    check_folder(path.parent)


def _row(epoch: Epoch) -> str:
    """An epoch as CURRENNT prints it; without validation data there is no best."""
    validation = epoch["validation_error"]
    error, best = " " * 16, "   "
    if validation is not None:
        error, best = f"{validation:16.9f}", "yes" if epoch["new_best"] else "no "
    return (
        f"{epoch['epoch']:6} | {epoch['seconds']:8.1f} | {epoch['training_error']:16.9f} | "
        f"{error} | {'':16} |  {best}   "
    )


def _export(options: argparse.Namespace) -> int:
    from moodcurve.corpora.layouts import open_corpus
    from moodcurve.corpora.rows import labelled_rows
    from moodcurve.currennt.data import write_data
    from moodcurve.currennt.export import as_data

    _check_output(options.output)
    songs = labelled_rows(open_corpus(options.corpus).songs, official_only=True)
    data = as_data(songs)
    write_data(data, options.output)
    frames = sum(map(len, data.inputs))
    _say(
        f"wrote {options.output}: {len(songs)} songs, {len(data.tags)} sequences, {frames} "
        "half-seconds; the features are as extracted: CURRENNT's nc-standardize is the next step"
    )
    return 0


def _say(text: str) -> None:
    print(text, flush=True)
