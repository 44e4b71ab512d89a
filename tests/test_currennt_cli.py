"""`moodcurve currennt`, through the command line: known answers, and an oracle for the rest."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

import soundfile  # noqa: E402

from conftest import tone  # noqa: E402
from moodcurve.audio import SAMPLE_RATE, read_blocks  # noqa: E402
from moodcurve.cli import main  # noqa: E402
from moodcurve.currennt import (  # noqa: E402
    Data,
    NamedLayer,
    NamedNetwork,
    read_data,
    write_data,
    write_named_network,
)
from moodcurve.network import Dense, Recurrent  # noqa: E402
from moodcurve.rows import rows_of  # noqa: E402

ANSWERS = Path(__file__).resolve().parents[2] / "shared" / "currennt"
CASES = json.loads((ANSWERS / "cases.json").read_text()) if ANSWERS.exists() else {}
needs_answers = pytest.mark.skipif(not CASES, reason=f"no known answers in {ANSWERS}")

HEADER = [
    " Epoch | Duration |  Training error  | Validation error |    Test error    | New best ",
    "-------+----------+------------------+------------------+------------------+----------",
]
MAXIMUM = "Maximum number of training epochs reached. Training stopped."


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setenv("MOODCURVE_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def run(capsys):
    """Run a sub-command in this process: (exit code, standard output, standard error)."""

    def call(*arguments):
        capsys.readouterr()
        try:
            code = main(["currennt", *map(str, arguments)])
        except SystemExit as stop:
            code = stop.code
        return (code, *capsys.readouterr())

    return call


@pytest.fixture
def train(run, tmp_path):
    """Train; returns the network's lists, the errors of each epoch, and the last lines printed."""

    def call(net, data, val=None, **options):
        named = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
        stochastic = ["--stochastic"] if named.pop("--stochastic", False) else []
        arguments = [word for pair in named.items() for word in pair]
        held_out = ["--val", val] if val else []
        out = tmp_path / "trained.jsn"
        code, text, error = run("train", net, data, *held_out, *arguments, *stochastic, "-o", out)
        assert (code, error) == (0, "")
        lines = text.splitlines()
        assert lines[:2] == HEADER
        rows = [line.split("|") for line in lines[2:] if "|" in line]
        assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1))
        for line in lines[2 : 2 + len(rows)]:
            assert [len(cell) for cell in line.split("|")] == [7, 10, 18, 18, 18, 8]
        errors = [(float(row[2]), float(row[3]) if row[3].strip() else None) for row in rows]
        return lists(out), errors, [row[5].strip() for row in rows], lines[2 + len(rows) :]

    return call


def lists(path):
    weights = json.loads(path.read_text())["weights"]
    return {(name, key): np.array(v) for name, w in weights.items() for key, v in w.items()}


def assert_same(ours, theirs, tolerance):
    assert list(ours) == list(theirs)
    for key, values in theirs.items():
        np.testing.assert_allclose(ours[key], values, rtol=0, atol=tolerance, err_msg=str(key))


# CURRENNT's own answers


@needs_answers
@pytest.mark.parametrize("case", CASES.get("forward", []), ids=lambda case: case["out"])
def test_forward(case, run, tmp_path):
    out = tmp_path / "out.csv"
    code, _, error = run("forward", ANSWERS / case["net"], ANSWERS / case["data"], "-o", out)
    assert (code, error) == (0, "")
    ours, theirs = (
        [line.split(";") for line in path.read_text().splitlines()]
        for path in (out, ANSWERS / case["out"])
    )
    assert [line[0] for line in ours] == [line[0] for line in theirs]
    for our_line, their_line in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(
            np.array(our_line[1:], float), np.array(their_line[1:], float), atol=case["tol"]
        )


@needs_answers
@pytest.mark.parametrize("case", CASES.get("train", []), ids=lambda case: case["out"])
def test_train(case, train):
    trained, errors, best, last = train(
        ANSWERS / case["net"],
        ANSWERS / case["data"],
        ANSWERS / case["val"],
        learning_rate=case["lr"],
        momentum=case["momentum"],
        parallel_sequences=case["parallel"],
        max_epochs=case["epochs"],
        max_epochs_no_best=case["no_best"],
        truncate_seq=case["truncate"],
        stochastic=case["stochastic"],
    )
    assert_same(trained, lists(ANSWERS / case["out"]), case["tol"])
    np.testing.assert_allclose(errors, case["errors"], rtol=0, atol=case["error_tol"])
    assert best == ["yes"] * case["epochs"]
    assert last[:2] == [MAXIMUM, f"Lowest validation error: {errors[-1][1]:.9f}"]
    assert last[2].startswith("Storing the trained network in ")


# Feedforward networks against steepest descent written out in float64


def draw(rng, *shape):
    return rng.normal(0, 0.5, shape).astype(np.float32)


def dense_network(path, rates=(None, None), biases=(1.0, 1.0)):
    rng = np.random.default_rng(1)
    layers = (
        NamedLayer("hidden", Dense(draw(rng, 4, 3), draw(rng, 4), "logistic"), biases[0]),
        NamedLayer("out", Dense(draw(rng, 2, 4), draw(rng, 2), "identity"), biases[1]),
    )
    write_named_network(NamedNetwork(layers), path)
    content = json.loads(path.read_text())
    for layer, rate in zip(content["layers"][1:3], rates, strict=True):
        if rate is not None:
            layer["learningRate"] = rate
    path.write_text(json.dumps(content))
    return path


def data_file(path, lengths, seed=2):
    rng = np.random.default_rng(seed)
    inputs, targets = ([draw(rng, rows, n) for rows in lengths] for n in (3, 2))
    write_data(Data([f"song {n}" for n in range(len(lengths))], inputs, targets), path)
    return path


class SteepestDescent:
    """A network of two feedforward layers; `weights` are W1, b1, W2, b2."""

    def __init__(self, path, learning_rate, momentum):
        content = json.loads(path.read_text())
        layers = content["layers"][1:3]
        self.values = [layer["bias"] for layer in layers]
        self.momentum = momentum
        self.rates = [layer.get("learningRate", learning_rate) for layer in layers for _ in "Wb"]
        w1, b1, w2, b2 = (
            np.array(content["weights"][name][key])
            for name in ("hidden", "out")
            for key in ("input", "bias")
        )
        self.weights = [w1.reshape(4, 3), b1, w2.reshape(2, 4), b2]
        self.steps = [np.zeros_like(weight) for weight in self.weights]

    def gradient(self, x, targets):
        w1, b1, w2, b2 = self.weights
        hidden = 1 / (1 + np.exp(-(x @ w1.T + self.values[0] * b1)))
        delta = hidden @ w2.T + self.values[1] * b2 - targets
        below = delta @ w2 * hidden * (1 - hidden)
        self.error = 0.5 * (delta**2).sum()
        return [
            below.T @ x,
            self.values[0] * below.sum(0),
            delta.T @ hidden,
            self.values[1] * delta.sum(0),
        ]

    def update(self, gradient):
        for n, part in enumerate(gradient):
            self.steps[n] = self.momentum * self.steps[n] - self.rates[n] * part
            self.weights[n] = self.weights[n] + self.steps[n]

    def epoch(self, mini_batches):
        """Update after each of `mini_batches`, lists of (inputs, targets); return the errors."""
        total = 0.0
        for batch in mini_batches:
            x, targets = (np.concatenate(part) for part in zip(*batch, strict=True))
            gradient = self.gradient(x, targets)
            total += self.error
            self.update(gradient)
        return total / sum(map(len, mini_batches))

    def error_on(self, sequences):
        total = 0.0
        for x, targets in sequences:
            self.gradient(x, targets)
            total += self.error
        return total / len(sequences)

    def lists(self):
        names = [(layer, key) for layer in ("hidden", "out") for key in ("input", "bias")]
        return {name: w.ravel() for name, w in zip(names, self.weights, strict=True)}


def sequences(path):
    data = read_data(path)
    pairs = zip(data.inputs, data.targets, strict=True)
    return [(x.astype(float), y.astype(float)) for x, y in pairs]


def assert_dense(trained, expected):
    assert_same({key: v for key, v in trained.items() if key[1] != "internal"}, expected, 2e-6)


LENGTHS = (5, 2, 5, 2, 9, 5, 1)
SORTED = [[6, 1], [3, 0], [2, 5], [4]]  # mini-batches of two, sorted by length, stably


@pytest.mark.parametrize("stochastic", [True, False])
@pytest.mark.parametrize(
    ("rates", "biases"),
    [
        ((None, None), (1.0, 1.0)),
        ((0.05, None), (0.5, 3.0)),
        ((None, 0), (-2.0, 0.0)),
        ((0, 0.004), (1.0, 0.1)),
    ],
)
def test_steepest_descent(stochastic, rates, biases, train, tmp_path):
    net = dense_network(tmp_path / "net.jsn", rates, biases)
    data = data_file(tmp_path / "data.nc", LENGTHS)
    oracle = SteepestDescent(net, 0.01, 0.8)
    songs = sequences(data)
    batches = [[songs[n] for n in batch] for batch in SORTED]
    if not stochastic:
        batches = [[pair for batch in batches for pair in batch]]
    expected = [oracle.epoch(batches) for _ in range(6)]
    trained, errors, best, last = train(
        net,
        data,
        learning_rate=0.01,
        momentum=0.8,
        parallel_sequences=2,
        max_epochs=6,
        stochastic=stochastic,
    )
    assert_dense(trained, oracle.lists())
    np.testing.assert_allclose([error for error, _ in errors], expected, rtol=2e-6)
    assert best == [""] * 6  # without validation data there is no best: the last weights
    assert [error for _, error in errors] == [None] * 6
    assert last[0] == MAXIMUM
    assert len(last) == 2


@pytest.mark.parametrize("epochs", [30, 6, None])
def test_early_stopping_restores_the_best_weights(epochs, train, tmp_path):
    net = dense_network(tmp_path / "net.jsn")
    data = data_file(tmp_path / "data.nc", (4, 5))
    val = data_file(tmp_path / "val.nc", (3, 4, 2), seed=3)
    oracle = SteepestDescent(net, 0.05, 0.9)
    errors, weights = [], []
    while len(errors) != epochs and len(errors) - np.argmin([math.inf, *errors]) < 4:
        oracle.epoch([sequences(data)])
        errors.append(oracle.error_on(sequences(val)))
        weights.append(oracle.lists())
    best = int(np.argmin(errors))
    assert 0 < best < len(errors) - 1  # or there is nothing to restore
    limit = {} if epochs is None else {"max_epochs": epochs}
    trained, found, marks, last = train(
        net, data, val, learning_rate=0.05, max_epochs_no_best=4, parallel_sequences=2, **limit
    )
    np.testing.assert_allclose([error for _, error in found], errors, rtol=1e-5)
    lowest = np.minimum.accumulate([math.inf, *errors])[:-1]
    assert marks == ["yes" if e < low else "no" for e, low in zip(errors, lowest, strict=True)]
    assert_dense(trained, weights[best])
    assert (last[0] == MAXIMUM) == (len(errors) == epochs)
    assert last[1] == f"Lowest validation error: {found[best][1]:.9f}"


def test_truncation(train, tmp_path):
    """L = 4: what is longer than 6 loses pieces of 4; only in training, and before sorting."""
    net = dense_network(tmp_path / "net.jsn")
    data = data_file(tmp_path / "data.nc", (11, 6, 7))
    first, second, third = sequences(data)
    pieces = [
        *((x[part], y[part]) for x, y in [first] for part in (slice(4), slice(4, 8), slice(8, 11))),
        second,
        *((x[part], y[part]) for x, y in [third] for part in (slice(4), slice(4, 7))),
    ]
    assert [len(x) for x, _ in pieces] == [4, 4, 3, 6, 4, 3]
    batches = [[pieces[2], pieces[5]], [pieces[0], pieces[1]], [pieces[4], pieces[3]]]
    oracle = SteepestDescent(net, 0.002, 0.9)
    expected = [(oracle.epoch(batches), oracle.error_on(sequences(data))) for _ in range(3)]
    trained, errors, *_ = train(
        net,
        data,
        data,
        learning_rate=0.002,
        parallel_sequences=2,
        max_epochs=3,
        truncate_seq=4,
        stochastic=True,
    )
    assert expected[0][1] > expected[1][1] > expected[2][1]  # the last weights are the best
    assert_dense(trained, oracle.lists())
    np.testing.assert_allclose(errors, expected, rtol=2e-6)


# Recurrent networks


def blstm_network(path, bias=1.0, bias_weights=1.0):
    rng = np.random.default_rng(5)
    layers = (
        NamedLayer(
            "memory",
            Recurrent(
                draw(rng, 2, 8, 3),
                draw(rng, 2, 8) * np.float32(bias_weights),
                draw(rng, 2, 8, 2),
                draw(rng, 2, 3, 2),
            ),
            bias,
        ),
        NamedLayer("out", Dense(draw(rng, 2, 4), draw(rng, 2), "tanh")),
    )
    write_named_network(NamedNetwork(layers, "sound", "error"), path)
    return path


def test_bias_value_of_a_blstm(train, tmp_path):
    """Twice the value at half the weights is the same network; its bias moves twice as far."""
    data = data_file(tmp_path / "data.nc", LENGTHS)
    plain = blstm_network(tmp_path / "plain.jsn")
    twice = blstm_network(tmp_path / "twice.jsn", bias=2.0, bias_weights=0.5)
    options = {"learning_rate": 0.01, "max_epochs": 1, "parallel_sequences": 3}
    expected, errors, *_ = train(plain, data, **options)
    found, same_errors, *_ = train(twice, data, **options)
    assert errors == same_errors
    key = ("memory", "bias")
    step = expected.pop(key) - lists(plain)[key]
    assert np.abs(step).max() > 1e-3
    np.testing.assert_allclose(found.pop(key) - lists(twice)[key], 2 * step, atol=1e-7)
    assert_same(found, expected, 1e-7)


def test_memory_ends_with_a_piece(train, tmp_path):
    """Truncated training is training on a file that was cut by hand."""
    net = blstm_network(tmp_path / "net.jsn")
    whole = data_file(tmp_path / "whole.nc", (7, 3))
    data = read_data(whole)
    cut = Data(
        ["a", "b", "c"],
        *([rows[0][:4], rows[0][4:], rows[1]] for rows in (data.inputs, data.targets)),
    )
    write_data(cut, tmp_path / "cut.nc")
    options = {"learning_rate": 0.01, "max_epochs": 3, "stochastic": True}
    assert_same(
        train(net, whole, truncate_seq=4, **options)[0],
        train(net, tmp_path / "cut.nc", **options)[0],
        0,
    )


def test_names_stay_and_the_input_has_the_datas_size(train, tmp_path):
    """In training CURRENNT takes the size of the input layer from the data."""
    net = blstm_network(tmp_path / "net.jsn", bias=0.25)
    net.write_text(
        net.read_text().replace('"type": "input", "size": 3', '"type": "input", "size": 9')
    )
    train(net, data_file(tmp_path / "data.nc", (4,)), max_epochs=1)
    content = json.loads((tmp_path / "trained.jsn").read_text())
    assert content["layers"] == [
        {"name": "sound", "type": "input", "size": 3},
        {"name": "memory", "type": "blstm", "size": 4, "bias": 0.25},
        {"name": "out", "type": "feedforward_tanh", "size": 2, "bias": 1.0},
        {"name": "error", "type": "sse", "size": 2},
    ]


def test_what_a_trained_network_is_worth_can_be_read_again(train, run, tmp_path):
    """The outputs of `forward` have the validation error that `train` printed."""
    net = blstm_network(tmp_path / "net.jsn")
    data = data_file(tmp_path / "data.nc", LENGTHS)
    _, errors, *_ = train(net, data, data, max_epochs=2, learning_rate=0.01)
    assert run("forward", tmp_path / "trained.jsn", data, "-o", tmp_path / "o.csv")[0] == 0
    rows = [line.split(";") for line in (tmp_path / "o.csv").read_text().splitlines()]
    outputs = np.concatenate([np.array(row[1:], float) for row in rows]).reshape(-1, 2)
    targets = np.concatenate([y for _, y in sequences(data)])
    error = 0.5 * ((outputs - targets) ** 2).sum() / len(LENGTHS)
    assert error == pytest.approx(errors[-1][1], rel=1e-6)
    assert [row[0] for row in rows] == [f"song {n}" for n in range(7)]  # the file's order


# Mistakes


@pytest.fixture
def paths(tmp_path):
    dense_network(tmp_path / "net.jsn")
    data_file(tmp_path / "data.nc", (4, 5))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "max-epochs or validation data"),
        (("--max-epochs", 0), "max-epochs is 0; it must be at least 1"),
        (("--max-epochs-no-best", 0), "max-epochs-no-best is 0"),
        (("--parallel-sequences", 0), "parallel-sequences is 0; it must be at least 1"),
        (("--truncate-seq", -3), "truncate-seq is -3"),
        (("--learning-rate", -0.1), "learning-rate is -0.1; it must be at least 0"),
        (("--learning-rate", "nan"), "learning-rate is nan"),
        (("--momentum", 1), "momentum is 1.0; it must be at least 0 and below 1"),
        (("--learning-rate", "much"), "invalid float value: 'much'"),
        (("--val", "none.nc"), "No such file"),
        (("--max-epochs", 9, "--learning-rate", 1e9), "give a smaller learning-rate"),
        (("--max-epochs", 9, "--learning-rate", 1e30, "--val", "data.nc"), "smaller learning-rate"),
    ],
)
def test_odd_options(arguments, said, run, paths, monkeypatch):
    monkeypatch.chdir(paths)
    code, _, error = run("train", "net.jsn", "data.nc", *arguments, "-o", "out/o.jsn")
    assert code == 2
    assert said in error.splitlines()[-1]
    assert not (paths / "out" / "o.jsn").exists()


@pytest.mark.parametrize("command", ["forward", "train"])
def test_missing_and_broken_files(command, run, paths):
    limit = ("--max-epochs", 1) if command == "train" else ()
    net, data, out = paths / "net.jsn", paths / "data.nc", paths / "o"
    (paths / "folder").mkdir()
    for files, output, wrong in (
        ((paths / "none.jsn", data), out, paths / "none.jsn"),
        ((net, paths / "none.nc"), out, paths / "none.nc"),
        ((data, data), out, data),
        ((net, net), out, net),
        ((net, data), paths / "folder", paths / "folder"),
        ((net, data), net / "o", net),
    ):
        code, text, error = run(command, *files, *limit, "-o", output)
        assert (code, text) == (2, "")
        assert error.startswith(f"moodcurve: error: {wrong}")
        assert len(error.splitlines()) == 1


def test_data_for_another_network(run, paths):
    net, data, other = (paths / name for name in ("net.jsn", "data.nc", "other.nc"))
    known = read_data(data)
    wide = [np.zeros((4, 7), np.float32)]
    one = [np.zeros((4, 1), np.float32)]
    nan = [np.full((4, 2), np.nan, np.float32)]
    infinite = [np.full((4, 3), np.inf, np.float32)]
    fits = known.inputs[:1], known.targets[:1]
    for inputs, targets, said in (
        (wide, fits[1], "7 inputs"),
        (fits[0], one, "has 1 targets a frame, but the network gives 2"),
        (fits[0], None, "has no targetPatterns"),
        (fits[0], nan, "sequence 'a' holds values that are not numbers"),
        (infinite, fits[1], "sequence 'a'"),
    ):
        write_data(Data(["a"], inputs, targets), other)
        limit = ("--max-epochs", 1, "-o", paths / "o.jsn")
        for files in ((other,), (data, "--val", other)):
            code, _, error = run("train", net, *files, *limit)
            assert code == 2
            assert said in error
    write_data(Data(["a"], wide, None), other)
    code, _, error = run("forward", net, other, "-o", paths / "o.csv")
    assert (code, error.startswith(f"moodcurve: error: {other}: has 7 inputs")) == (2, True)
    write_data(Data(["a"], fits[0], None, np.float32([1]), np.float32([1])), other)
    code, _, error = run("forward", net, other, "-o", paths / "o.csv")
    assert (code, "1 outputMeans" in error) == (2, True)


def test_train_without_torch(run, paths, monkeypatch):
    monkeypatch.delitem(sys.modules, "moodcurve.training.currennt", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, error = run("train", paths / "net.jsn", paths / "data.nc", "-o", paths / "o")
    assert code == 2
    assert "training needs torch; run: pip install 'moodcurve[train]'" in error


@pytest.mark.parametrize("command", ["", "forward", "train", "export"])
def test_help(command, run):
    code, text, error = run(*command.split(), "--help")
    assert (code, error) == (0, "")
    assert max(map(len, text.splitlines())) <= 80


# Export


def test_export(run, train, tmp_path):
    audio = tmp_path / "corpus" / "audio"
    audio.mkdir(parents=True)
    for name, pitch in (("static", 220), ("dynamic", 330)):
        soundfile.write(audio / f"{name}.wav", tone(3, pitch), SAMPLE_RATE)
    (audio.parent / "static.csv").write_text("song,valence,arousal\nstatic,0.5,-0.25\n")
    (audio.parent / "dynamic.csv").write_text(
        "song,time_s,valence,arousal\ndynamic,1.0,0.1,0.2\ndynamic,1.5,0.3,0.4\n"
    )
    out = tmp_path / "data.nc"
    code, text, error = run("export", audio.parent, "-o", out)
    assert (code, error) == (0, "")
    assert "2 songs, 2 sequences, 8 half-seconds" in text
    assert "nc-standardize" in text
    data = read_data(out)
    assert data.tags == ["dynamic", "static"]
    np.testing.assert_allclose(data.targets[0], [[0.1, 0.2], [0.3, 0.4]], rtol=1e-6)
    np.testing.assert_array_equal(data.targets[1], [[0.5, -0.25]] * 6)
    for name, rows, part in zip(data.tags, data.inputs, (slice(2, 4), slice(6)), strict=True):
        np.testing.assert_array_equal(rows, rows_of(read_blocks(audio / f"{name}.wav"))[part])

    zeros = NamedLayer("out", Dense(np.zeros((2, 260), np.float32), np.float32([0, 0]), "identity"))
    write_named_network(NamedNetwork((zeros,)), tmp_path / "net.jsn")
    _, errors, *_ = train(tmp_path / "net.jsn", out, max_epochs=1)
    squares = 0.1**2 + 0.2**2 + 0.3**2 + 0.4**2 + 6 * (0.5**2 + 0.25**2)
    assert errors[0][0] == pytest.approx(squares / 2 / 2)
