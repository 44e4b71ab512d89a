import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import netcdf_file

from moodcurve.corpora.folder import Song
from moodcurve.corpora.rows import LabelledRows
from moodcurve.currennt import (
    Data,
    predict,
    read_data,
    read_named_network,
    read_network,
    write_data,
    write_named_network,
    write_network,
    write_predictions,
)
from moodcurve.currennt.export import as_data
from moodcurve.errors import InputError
from moodcurve.network import Dense, Elman, Network, Recurrent, forward, to_arrays

ANSWERS = Path(__file__).resolve().parents[2] / "shared" / "currennt"
CASES = ANSWERS / "cases.json"
FORWARD = json.loads(CASES.read_text())["forward"] if CASES.exists() else []

needs_answers = pytest.mark.skipif(not FORWARD, reason=f"no known answers in {ANSWERS}")


def read_csv(path):
    lines = [line.split(";") for line in path.read_text().splitlines()]
    return {tag: np.array(values, float) for tag, *values in lines}


@needs_answers
@pytest.mark.parametrize("case", FORWARD, ids=lambda case: case["out"])
def test_known_answers(case, tmp_path):
    data = read_data(ANSWERS / case["data"])
    outputs = predict(read_network(ANSWERS / case["net"]), data)
    write_predictions(tmp_path / "out.csv", data.tags, outputs)
    ours, theirs = read_csv(tmp_path / "out.csv"), read_csv(ANSWERS / case["out"])
    assert list(ours) == list(theirs)
    for tag, values in theirs.items():
        np.testing.assert_allclose(ours[tag], values, rtol=0, atol=case["tol"])


@needs_answers
def test_known_answers_in_one_padded_batch():
    data, theirs = read_data(ANSWERS / "small.nc"), read_csv(ANSWERS / "a_forward_parallel4.csv")
    lengths = np.array([len(rows) for rows in data.inputs])
    mask = np.arange(lengths.max()) < lengths[:, None]
    x = np.zeros((*mask.shape, 11), np.float32)
    x[mask] = np.concatenate(data.inputs)
    out = forward(read_network(ANSWERS / "a_blstm8.jsn"), x, mask)
    np.testing.assert_allclose(out[mask][:, 0], np.concatenate(list(theirs.values())), atol=5e-6)


@needs_answers
@pytest.mark.parametrize("name", ["a_blstm8.jsn", "a2_clip.jsn", "c_lstm9_blstm6_tanh5.jsn"])
def test_a_rewritten_network_has_currennts_lists(name, tmp_path):
    write_network(read_network(ANSWERS / name), tmp_path / name)
    ours, theirs = (
        json.loads((tmp_path / name).read_text()),
        json.loads((ANSWERS / name).read_text()),
    )
    for our_layer, their_layer in zip(ours["layers"], theirs["layers"], strict=True):
        assert {**our_layer, "name": ""} == {**their_layer, "name": ""}
    for our_layer, their_layer in zip(
        ours["weights"].values(), theirs["weights"].values(), strict=True
    ):
        for key in ("input", "bias", "internal"):
            np.testing.assert_array_equal(np.float32(our_layer[key]), np.float32(their_layer[key]))


@pytest.fixture
def network():
    rng = np.random.default_rng(2)

    def draw(*shape):
        return rng.normal(0, 1, shape).astype(np.float32)

    return Network(
        (
            Recurrent(draw(1, 12, 4), draw(1, 12), draw(1, 12, 3), draw(1, 3, 3)),
            Recurrent(draw(2, 8, 3), draw(2, 8), draw(2, 8, 2), draw(2, 3, 2)),
            Dense(draw(3, 4), draw(3), "logistic"),
            Dense(draw(2, 3), draw(2), "identity"),
        )
    )


def test_network_round_trip_is_exact(network, tmp_path):
    write_network(network, tmp_path / "net.jsn")
    ours, again = to_arrays(network), to_arrays(read_network(tmp_path / "net.jsn"))
    assert list(ours) == list(again)
    for key in ours:
        assert np.array_equal(ours[key], again[key]), key
    assert [path.name for path in tmp_path.iterdir()] == ["net.jsn"]


def test_layout_of_a_blstm(tmp_path):
    """Every weight names its place: gate, direction, unit, source."""
    places = [
        gate * 1000 + direction * 100 + unit * 10 + source
        for gate in range(4) for direction in range(2) for unit in range(2) for source in range(3)
    ]  # fmt: skip
    write_content(tmp_path / "net.jsn", weights_of_h={"input": places})
    weights = read_network(tmp_path / "net.jsn").layers[0].weights
    assert weights.shape == (2, 8, 3)
    assert weights[1, 2 * 2 + 1, 2] == 2112  # backward, gate f, unit 1, source 2
    assert weights[0, 3 * 2 + 0, 1] == 3001


def write_content(path, weights_of_h=None, **layer_h):
    """A 3 -> blstm 4 -> identity 1 network, with changes."""
    h = {"input": [0.0] * 48, "bias": [1.0] * 16, "internal": [0.0] * 44, **(weights_of_h or {})}
    layers = [
        {"name": "input", "type": "input", "size": 3},
        {"name": "h", "type": "blstm", "size": 4, "bias": 1.0, **layer_h},
        {"name": "out", "type": "feedforward_identity", "size": 1, "bias": 1.0},
        {"name": "postoutput", "type": "sse", "size": 1},
    ]
    out = {"input": [1.0] * 4, "bias": [0.0], "internal": []}
    path.write_text(json.dumps({"layers": layers, "weights": {"h": h, "out": out}}))


def test_bias_value_is_folded_in(tmp_path):
    path = tmp_path / "net.jsn"
    write_content(path, bias=0.25)
    path.write_text(path.read_text().replace('"bias": [0.0]', '"bias": [8.0]'))
    assert (read_network(path).layers[0].bias == 0.25).all()
    path.write_text(path.read_text().replace('"size": 1, "bias": 1.0', '"size": 1, "bias": 0.5'))
    assert read_network(path).layers[1].bias == 4.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "softmax"}, "type 'softmax'"),
        ({"type": "feedforward_softplus"}, "type 'feedforward_softplus'"),
        ({"size": 5}, "odd size 5"),
        ({"size": 6}, "'internal' of layer 'h' is not a list of 90 numbers"),
        ({"name": "elsewhere"}, "layer 'elsewhere' has no weights"),
        ({"name": "out"}, "the same name"),
        ({"learningRate": -1}, "'learningRate' of layer 'h' is -1.0"),
        ({"learningRate": float("nan")}, "'learningRate' of layer 'h'"),
        ({"size": "many"}, "many"),
        ({"bias": None}, "'bias' value of layer 'h'"),
        ({"weights_of_h": {"input": [0.0] * 47}}, "'input' of layer 'h'"),
        ({"weights_of_h": {"bias": [float("nan")] * 16}}, "'bias' of layer 'h'"),
        ({"weights_of_h": {"internal": "none"}}, "cannot be read"),
    ],
)
def test_bad_networks(change, said, tmp_path):
    path = tmp_path / "bad.jsn"
    write_content(path, **change)
    check_message(lambda: read_network(path), path, said)


def test_an_untrained_network_is_refused(tmp_path):
    path = tmp_path / "bad.jsn"
    write_content(path)
    content = json.loads(path.read_text())
    for left in ({"layers": content["layers"]}, {**content, "weights": []}):
        path.write_text(json.dumps(left))
        check_message(lambda: read_network(path), path, "layer 'h' has no weights")


def test_names_bias_values_and_rates_are_kept(tmp_path):
    path, again = tmp_path / "net.jsn", tmp_path / "again.jsn"
    write_content(path, bias=0.1, learningRate=0)
    named = read_named_network(path)
    assert [layer.learning_rate for layer in named.layers] == [0, None]
    write_named_network(named, again)
    ours, theirs = json.loads(again.read_text()), json.loads(path.read_text())
    del theirs["layers"][1]["learningRate"]  # CURRENNT does not write it
    assert ours == theirs


def test_currennt_has_no_elman_layer(tmp_path):
    one = np.ones((1, 1, 1), np.float32)
    network = Network((Elman(one, one[0], one),))
    check_message(
        lambda: write_network(network, tmp_path / "net.jsn"), tmp_path / "net.jsn", "Elman"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"layers": []}', '{"layers": [1, 2], "weights": {}}', "\xff"]
)
def test_files_that_are_no_network(text, tmp_path):
    path = tmp_path / "bad.jsn"
    path.write_text(text, encoding="latin-1")
    check_message(lambda: read_network(path), path, "CURRENNT network")


def test_other_post_output(tmp_path):
    path = tmp_path / "bad.jsn"
    write_content(path)
    path.write_text(path.read_text().replace('"sse"', '"ce"'))
    check_message(lambda: read_network(path), path, "not input to sse")


def test_missing_files(tmp_path):
    for read in (read_network, read_data):
        path = tmp_path / "none"
        check_message(lambda read=read, path=path: read(path), path, "No such file")


def check_message(call, path, said):
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert str(path) in message
    assert said in message
    assert "\n" not in message


def write_file(path, lengths=(3, 1, 2), rows=6, leave_out=(), means=False):
    rng = np.random.default_rng(0)
    with netcdf_file(path, "w") as file:
        for name, size in {"numSeqs": 3, "numTimesteps": rows, "inputPattSize": 2,
                           "maxSeqTagLength": 4, "targetPattSize": 1}.items():  # fmt: skip
            file.createDimension(name, size)
        tags = np.array([list(b"a\0\0\0"), list(b"bcde"), list(b"fg\0\0")], np.uint8).view("S1")
        contents = {
            "seqTags": ("c", ("numSeqs", "maxSeqTagLength"), tags),
            "seqLengths": ("i", ("numSeqs",), lengths),
            "inputs": ("f", ("numTimesteps", "inputPattSize"), rng.normal(0, 1, (rows, 2))),
            "targetPatterns": ("f", ("numTimesteps", "targetPattSize"), np.arange(rows)[:, None]),
        }
        if means:
            contents["outputMeans"] = ("f", ("targetPattSize",), [0.5])
            contents["outputStdevs"] = ("f", ("targetPattSize",), [2.0])
        for name, (kind, dimensions, values) in contents.items():
            if name not in leave_out:
                file.createVariable(name, kind, dimensions)[:] = values


def test_data(tmp_path):
    write_file(tmp_path / "data.nc")
    data = read_data(tmp_path / "data.nc")
    assert data.tags == ["a", "bcde", "fg"]
    assert [rows.shape for rows in data.inputs] == [(3, 2), (1, 2), (2, 2)]
    assert [rows.ravel().tolist() for rows in data.targets] == [[0, 1, 2], [3], [4, 5]]
    assert data.inputs[0].dtype == np.dtype(np.float32)
    assert data.output_means is None


def test_predictions_are_put_back_in_the_targets_units(tmp_path):
    network = Network((Dense(np.float32([[1, 0]]), np.float32([0]), "identity"),))
    write_file(tmp_path / "data.nc", means=True)
    data = read_data(tmp_path / "data.nc")
    np.testing.assert_allclose(predict(network, data)[2], data.inputs[2][:, :1] * 2 + 0.5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"leave_out": ["inputs"]}, "no variable 'inputs'"),
        ({"leave_out": ["seqTags"]}, "no variable 'seqTags'"),
        ({"lengths": (3, 1, 1)}, "add up to 5"),
        ({"lengths": (3, 4, -1)}, "a sequence without a row"),
    ],
)
def test_bad_data(change, said, tmp_path):
    path = tmp_path / "bad.nc"
    write_file(path, **change)
    check_message(lambda: read_data(path), path, said)


def test_data_without_targets_can_be_predicted(tmp_path):
    write_file(tmp_path / "data.nc", leave_out=["targetPatterns"])
    data = read_data(tmp_path / "data.nc")
    assert data.targets is None
    assert [len(rows) for rows in data.inputs] == [3, 1, 2]


def test_broken_data(tmp_path):
    path = tmp_path / "bad.nc"
    write_file(path)
    whole = path.read_bytes()
    for kept in range(0, len(whole) - 4, 7):
        path.write_bytes(whole[:kept])
        check_message(lambda: read_data(path), path, "CURRENNT data")
    path.write_bytes(b"\x89HDF" + whole[4:])
    check_message(lambda: read_data(path), path, "nccopy")


def test_single_csv(tmp_path):
    outputs = [np.float32([[0.1, -2], [1e-9, 4]]), np.float32([[1 / 3, 0]])]
    write_predictions(tmp_path / "out.csv", ["a", "b"], outputs)
    text = (tmp_path / "out.csv").read_text()
    assert text == "a;0.100000001;-2;9.99999972e-10;4\nb;0.333333343;0\n"


def some_data(**changes):
    rng = np.random.default_rng(4)

    def draw(rows, columns):
        return rng.normal(0, 1, (rows, columns)).astype(np.float32)

    lengths = (3, 1, 4)
    data = {
        "tags": ["Motörhead", "b", ""],
        "inputs": [draw(rows, 5) for rows in lengths],
        "targets": [draw(rows, 2) for rows in lengths],
        "output_means": np.float32([0.1, 0.2]),
        "output_stdevs": np.float32([1.5, 2.5]),
    }
    return Data(**{**data, **changes})


@pytest.mark.parametrize(
    "data",
    [
        some_data(),
        some_data(targets=None, output_means=None, output_stdevs=None),
        some_data(tags=["a\udcff", "b", "c" * 40]),  # a byte that is not UTF-8
    ],
)
def test_data_round_trip_is_exact(data, tmp_path):
    path = tmp_path / "data.nc"
    write_data(data, path)
    again = read_data(path)
    assert again.tags == data.tags
    for ours, theirs in ((data.inputs, again.inputs), (data.targets, again.targets)):
        assert (ours is None) == (theirs is None)
        for rows, others in zip(ours or (), theirs or (), strict=True):
            assert np.array_equal(rows, others)
    for name in ("output_means", "output_stdevs"):
        ours, theirs = getattr(data, name), getattr(again, name)
        assert theirs is None if ours is None else np.array_equal(ours, theirs)
    assert [item.name for item in tmp_path.iterdir()] == ["data.nc"]


def test_data_has_currennts_names(tmp_path):
    data = some_data()
    write_data(data, tmp_path / "data.nc")
    with netcdf_file(tmp_path / "data.nc", mmap=False) as file:
        assert file.version_byte == 1
        assert file.dimensions == {
            "numSeqs": 3,
            "maxSeqTagLength": 11,
            "numTimesteps": 8,
            "targetPattSize": 2,
            "inputPattSize": 5,
        }
        found = {name: (v.typecode(), v.dimensions) for name, v in file.variables.items()}
        assert found == {
            "seqTags": ("c", ("numSeqs", "maxSeqTagLength")),
            "seqLengths": ("i", ("numSeqs",)),
            "inputs": ("f", ("numTimesteps", "inputPattSize")),
            "targetPatterns": ("f", ("numTimesteps", "targetPattSize")),
            "outputMeans": ("f", ("targetPattSize",)),
            "outputStdevs": ("f", ("targetPattSize",)),
        }
        assert file.variables["seqLengths"].data.tolist() == [3, 1, 4]
        assert file.variables["inputs"].data[3].tolist() == data.inputs[1][0].tolist()
        assert file.variables["seqTags"].data[0].tobytes() == b"Mot\xc3\xb6rhead\0"


@needs_answers
def test_data_of_currennts_own_shape(tmp_path):
    """What we write for known data is CURRENNT's file, variable by variable."""
    write_data(read_data(ANSWERS / "small_means.nc"), tmp_path / "data.nc")
    with (
        netcdf_file(tmp_path / "data.nc", mmap=False) as ours,
        netcdf_file(ANSWERS / "small_means.nc", mmap=False) as theirs,
    ):
        assert dict(ours.dimensions) == dict(theirs.dimensions)
        assert set(ours.variables) == set(theirs.variables)
        for name, variable in theirs.variables.items():
            assert ours.variables[name].dimensions == variable.dimensions
            np.testing.assert_array_equal(ours.variables[name].data, variable.data)


def test_stretches_of_labels_become_sequences(tmp_path):
    nan = np.nan
    gaps = np.float32([[nan, nan], [1, 2], [3, 4], [nan, 5], [6, nan], [7, 8]])
    whole = np.float32([[1, -1], [0.5, 0]])

    def song(name, labels):
        rows = np.arange(len(labels) * 3, dtype=np.float32).reshape(-1, 3)
        return LabelledRows(Song(name, tmp_path, np.empty(0), np.zeros((1, 2))), rows, labels)

    data = as_data([song("gaps", gaps), song("a;b", whole)])
    assert data.tags == ["gaps#1", "gaps#2", "a,b"]
    assert [rows[:, 0].tolist() for rows in data.inputs] == [[3, 6], [15], [0, 3]]
    assert [rows.tolist() for rows in data.targets] == [
        [[1, 2], [3, 4]],
        [[7, 8]],
        [[1, -1], [0.5, 0]],
    ]
