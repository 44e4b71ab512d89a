"""The whole experiment, tiny: run once, its tables read by many tests; then stopped and resumed."""

import csv
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dask_cluster import LOOPBACK, own_address, scheduler, worker
from deam_folder import make_deam

pytest.importorskip("torch", reason="training needs moodcurve[train]")

from moodcurve import InputError, Rows2Curve, cluster
from moodcurve.cli import main
from moodcurve.corpora.feature_files import read_features
from moodcurve.corpora.layouts import open_corpus
from moodcurve.metrics import rmse
from moodcurve.model import DIMENSIONS
from moodcurve.predict import scale_outputs
from moodcurve.reproduce import further_tables, jobs, plan, published, run
from moodcurve.reproduce.findings import FIGURE_COLUMNS, Findings
from moodcurve.reproduce.jobs import NetworkJob, checkpoint_of, network_of, path_of, training_songs
from moodcurve.reproduce.paper_tables import table2
from moodcurve.reproduce.recipes import RECIPES
from moodcurve.reproduce.split import TRAINING, prepare, pretraining_labels, split_songs
from moodcurve.reproduce.systems import Results
from moodcurve.training import loop
from moodcurve.training.ensemble import sequences

PAPER = Path(__file__).resolve().parents[2] / "shared" / "docs" / "paper.txt"
SMOKE = RECIPES["smoke"]
SCALES = (10, 20, 30, 60)
CLIPS, TESTS = (*range(2, 9), *range(1001, 1007)), (2001, 2002, 2003)


@pytest.fixture(scope="module", autouse=True)
def here():
    """Train in this process: it need not import torch again."""

    @contextmanager
    def workers(jobs, scheduler):
        yield lambda function, jobs, *shared: ((job, function(job, *shared)) for job in jobs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "workers", workers)
        yield


def reproduce(corpus, folder, *options):
    """Run the command; return its exit code and what it printed."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = main(["reproduce", str(corpus), "-o", str(folder), "--preset", "smoke", *options])
    return code, printed.getvalue()


@pytest.fixture(scope="module")
def deam(tmp_path_factory):
    """A DEAM folder and its labels, {id: (n, 2)}."""
    folder = tmp_path_factory.mktemp("corpus") / "deam"
    return folder, make_deam(folder, CLIPS, TESTS)


@pytest.fixture(scope="module")
def finished(deam, tmp_path_factory):
    """A finished run of everything, and what it printed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    code, printed = reproduce(deam[0], folder)
    assert code == 0
    return folder, printed


@pytest.fixture(scope="module")
def findings(deam, finished):
    """The songs of the run, their rows, and its networks."""
    split = split_songs(open_corpus(deam[0]), 0)
    material = prepare(split, SMOKE.preset.limit)
    return Findings(Results(material, SMOKE, finished[0]), split, pretraining_labels(split, None))


def table(folder, name):
    with (folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def one(rows, **wanted):
    (row,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return row


def close(cell, expected, tolerance=1e-5):
    assert float(cell) == pytest.approx(expected, abs=tolerance)


# What the paper prints

TABLE1 = {
    10: (0.181, 0.157, 0.364, 0.231),
    20: (0.188, 0.152, 0.360, 0.241),
    30: (0.180, 0.148, 0.363, 0.240),
    60: (0.162, 0.151, 0.333, 0.279),
}
TABLE2 = {
    "AVG(431x30, 58-full)": (0.331, 0.230),
    "AVG(431-full)": (0.331, 0.233),
    "ELM(431x30, 58-full)": (0.308, 0.234),
    "ELM(431-full)": (0.318, 0.239),
}
TABLE3 = {
    "MLR": (0.366, 0.270),
    "SVR": (0.366, 0.255),
    "RNN + smoothing": (0.365, 0.247),
    "LSTM": (0.373, 0.242),
}


def test_the_published_figures():
    assert {
        scale: (*validation, *test) for scale, (validation, test) in published.SINGLE.items()
    } == TABLE1
    assert list(published.FUSED.values()) == list(TABLE2.values())
    assert list(published.FUSED) == [
        (fusion, seen) for fusion in ("AVG", "ELM") for seen in ("with-test", "training")
    ]
    assert dict(published.OTHERS) == TABLE3


@pytest.mark.skipif(not PAPER.exists(), reason="needs ../shared/docs/paper.txt")
def test_the_published_figures_are_in_the_paper():
    lines = [line.split("\t") for line in PAPER.read_text().splitlines()]
    found = {cells[0]: tuple(map(float, cells[1:])) for cells in lines if cells[-1][:2] == "0."}
    expected = {str(scale): figures for scale, figures in TABLE1.items()} | TABLE2
    for name, figures in TABLE3.items():
        number = {"MLR": 19, "SVR": 20, "RNN + smoothing": 21, "LSTM": 22}[name]
        expected[f"{name.replace(' + smoothing', '+smooth')} [{number}]"] = figures
    assert found == expected


# The tables


def test_every_table_is_written_three_times_and_printed(finished):
    folder, printed = finished
    for name in plan.TABLES:
        text = (folder / f"{name}.txt").read_text()
        assert text in printed
        assert all(len(line) <= 80 for line in text.splitlines())
        assert len(table(folder, name)) > 1
        tex = (folder / f"{name}.tex").read_text()
        assert rf"\label{{tab:{name}}}" in tex
        assert tex.count("{") == tex.count("}")
    assert "13 development songs (validation sets of 1 + 1 + 1 + 1 + 1), 3 test songs" in printed
    assert "8 autoencoder, 20 lstm, 20 rnn, 2 mlr, 2 svr, 324 blstm" in printed
    assert not list(folder.rglob("*.part*"))
    assert not list((folder / "under_way").glob("*"))


def test_the_rows_of_table_1(finished):
    rows = table(finished[0], "table1")
    assert [(int(r["sequence_length"]), r["set"], r["dimension"]) for r in rows] == [
        (scale, where, dimension)
        for scale in SCALES
        for where in ("validation", "test")
        for dimension in DIMENSIONS
    ]
    for row, figure in zip(rows, np.ravel(list(TABLE1.values())), strict=True):
        close(row["published_rmse"], figure)
    text = (finished[0] / "table1.txt").read_text().splitlines()
    assert " ".join(text[2].split()) == "length V validation A validation V test A test"
    assert text[6].split() == ["paper", "0.181", "0.157", "0.364", "0.231"]


def test_the_rows_of_table_2(finished):
    rows = table(finished[0], "table2")
    sets = ("13x30, 3-full", "13-full (45 s)")
    names = [f"{fusion} ({seen})" for fusion in ("AVG", "ELM") for seen in sets]
    assert [(r["fusion"], r["dimension"]) for r in rows] == [
        (name, dimension) for name in names for dimension in DIMENSIONS
    ]
    for row, figure in zip(rows, np.ravel(list(TABLE2.values())), strict=True):
        close(row["published_rmse"], figure)
    assert "deviation: the release has no full-length" in (finished[0] / "table2.txt").read_text()


def test_the_rows_of_table_3(finished):
    rows = table(finished[0], "table3")
    names = ["constant", *TABLE3, "BLSTM AVG", "BLSTM ELM"]
    assert [r["model"] for r in rows] == [name for name in names for _ in DIMENSIONS]
    shown = [TABLE3.get(name) for name in names]
    shown[-2:] = TABLE2["AVG(431-full)"], TABLE2["ELM(431-full)"]
    for row, figure in zip(rows[2:], np.ravel(shown[1:]), strict=True):
        close(row["published_rmse"], figure)
    assert {row["published_rmse"] for row in rows[:2]} == {"n/a"}


def test_tables_agree_with_one_another(finished):
    """The same figure wherever it is shown."""
    tables = {name: table(finished[0], name) for name in plan.TABLES}
    for d in DIMENSIONS:
        for scale in SCALES:
            row = one(tables["table1"], sequence_length=str(scale), set="test", dimension=d)
            same = one(tables["measures"], system=f"BLSTM {scale}", dimension=d, measure="rmse")
            assert row["pooled_rmse"] == same["value"]
            own = {"trained_at": str(scale), "tested_at": str(scale), "dimension": d}
            assert row["rmse"] == one(tables["lengths"], **own)["rmse"]
        for fusion in ("AVG", "ELM"):
            row = one(tables["table2"], fusion=f"{fusion} (13-full (45 s))", dimension=d)
            same = one(tables["table3"], model=f"BLSTM {fusion}", dimension=d)
            assert {key: row[key] for key in FIGURE_COLUMNS} == {
                key: same[key] for key in FIGURE_COLUMNS
            }
        for claim in (row for row in tables["tests"] if row["dimension"] == d):
            first, second = (
                one(tables["measures"], system=claim[side], dimension=d, measure="rmse_songs")
                for side in ("first", "second")
            )
            expected = float(first["value"]) - float(second["value"])
            close(claim["difference"], expected)
            assert float(claim["p_holm"]) >= float(claim["p"])
            assert claim["holds"] == "open"  # of three songs no test can say anything


def test_intervals_hold_their_figures(finished):
    for name in ("constant", "table1", "table2", "table3", "lengths"):
        for row in table(finished[0], name):
            for figure, low, high in (("rmse", "low", "high"), FIGURE_COLUMNS[3:]):
                if row[low] != "nan":
                    assert float(row[low]) <= float(row[figure]) <= float(row[high])
    for row in table(finished[0], "nested"):
        expected = float(row["nested_rmse"]) - float(row["paper_scheme_rmse"])
        close(row["optimism"], expected)
        assert float(row["optimism_low"]) <= expected + 1e-6
        assert float(row["optimism_high"]) >= expected - 1e-6


# The figures


def labels_of_tests(deam, d):
    """Of the half-seconds that have features: 14 in each song, from 15 s on."""
    return [deam[1][number][:14, d] for number in TESTS]


def check_figures(row, labels, curves):
    """Both kinds of RMSE of curves that cover the labels."""
    close(row["rmse"], np.mean([rmse(x, y) for x, y in zip(labels, curves, strict=True)]), 2e-5)
    close(row["pooled_rmse"], rmse(np.concatenate(labels), np.concatenate(curves)), 2e-5)


@pytest.mark.parametrize("d", [0, 1])
def test_baselines_from_their_files(deam, finished, d):
    rows = table(finished[0], "table3")
    labels = labels_of_tests(deam, d)
    for family in ("mlr", "svr"):
        with np.load(finished[0] / "networks" / f"{family}-{DIMENSIONS[d]}.npz") as file:
            curves = [np.clip(curve[30:44], -1, 1) for curve in np.split(file["test"], 3)]
        row = one(rows, model=family.upper(), dimension=DIMENSIONS[d])
        check_figures(row, labels, curves)
    mean = np.mean([deam[1][number][:11, d] for number in CLIPS])
    row = one(rows, model="constant", dimension=DIMENSIONS[d])
    check_figures(row, labels, [np.full(14, mean)] * 3)


@pytest.mark.parametrize("d", [0, 1])
def test_the_constant_predictor_by_hand(deam, finished, d):
    """Of labels alone: 12 a clip; 15 a test song, but 14 of the first, whose valence is shorter."""
    rows = [row for row in table(finished[0], "constant") if row["dimension"] == DIMENSIONS[d]]
    clips = [deam[1][number][:, d] for number in CLIPS]
    mean = np.mean(clips)
    assert [row["set"] for row in rows] == [
        "development",
        *(f"validation set {p}" for p in range(1, 6)),
        "test",
    ]
    assert [row["songs"] for row in rows] == ["13", *"11111", "3"]
    check_figures(rows[0], clips, [np.full(12, mean)] * 13)
    tests = [deam[1][number][:15, d] for number in TESTS]
    tests[0] = tests[0][:14]
    check_figures(rows[-1], tests, [np.full(len(x), mean) for x in tests])
    assert all(float(row["says"]) == pytest.approx(mean, abs=1e-5) for row in rows)


@pytest.mark.parametrize("d", [0, 1])
def test_table_1_is_of_the_best_networks(deam, finished, findings, d):
    """The lowest pooled error among all files of a scale; on one validation song, no interval."""
    found = findings.results
    for scale in SCALES:
        errors = {}
        pattern = f"blstm-3x4-T{scale}-{DIMENSIONS[d]}-p?-t?-training.npz"
        for path in (finished[0] / "networks").glob(pattern):
            (song,) = found.members(int(path.name.split("-p")[1][0]))
            with np.load(path) as file:
                errors[rmse(song.labels[:, d], file["validation"])] = np.split(file["test"], 3)
        assert len(errors) == 5 * SMOKE.trials
        rows = table(finished[0], "table1")
        key = {"sequence_length": str(scale), "dimension": DIMENSIONS[d]}
        row = one(rows, set="validation", **key)
        close(row["rmse"], min(errors))
        assert row["low"] == row["pooled_high"] == "nan"
        curves = [np.clip(curve[30:44], -1, 1) for curve in errors[min(errors)]]
        check_figures(one(rows, set="test", **key), labels_of_tests(deam, d), curves)


@pytest.mark.parametrize("d", [0, 1])
def test_the_search_by_hand(finished, findings, d):
    rows = [row for row in table(finished[0], "search") if row["dimension"] == DIMENSIONS[d]]
    assert [(row["layers"], row["units"]) for row in rows] == [("1", "2"), ("2", "2")]
    (song,) = findings.results.members(0)
    for row in rows:
        name = f"blstm-{row['layers']}x2-T30-{DIMENSIONS[d]}-p0-t0.npz"
        with np.load(finished[0] / "networks" / name) as file:
            close(row["pooled_rmse"], rmse(song.labels[:, d], file["validation"]))
    lowest = min(rows, key=lambda row: float(row["pooled_rmse"]))
    assert [row["lowest"] == "true" for row in rows] == [row is lowest for row in rows]


def test_the_model_says_what_the_elm_said(deam, finished):
    """The bundle, given the official features of the test songs, has the error of Table 2."""
    rows2curve = Rows2Curve(finished[0] / "model")
    curves = []
    for number in TESTS:
        _, rows = read_features(deam[0] / "features" / f"{number}.csv")
        curves.append(rows2curve(rows))
    for d, dimension in enumerate(DIMENSIONS):
        said = [getattr(curve, dimension)[30:44] for curve in curves]
        name = "ELM (13-full (45 s))"
        row = one(table(finished[0], "table2"), fusion=name, dimension=dimension)
        check_figures(row, labels_of_tests(deam, d), said)


def test_the_partitions_table(finished, findings):
    rows = table(finished[0], "partitions")
    *genres, distance = [list(row.values()) for row in rows]
    shares = np.array([row[1:] for row in genres], float)
    np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-5)
    assert all(sorted(shares[:, column])[-1] == 1 for column in range(1, 6))  # sets of one song
    expected = np.abs(shares - shares[:, :1]).sum(axis=0) / 2
    np.testing.assert_allclose(np.array(distance[1:], float), expected, atol=1e-5)
    test = findings.split.test
    for row in genres:
        close(row[1], np.mean([song.genre == row[0] for song in test]))


def test_without_official_test_songs_rows_are_not_available(findings):
    split = replace(findings.split, official=False)
    other = Findings(findings.results, split, pretraining_labels(split, None))
    data, view = table2(other)
    shown = {(row[0], row[1]): row[2:] for row in data.rows}
    for fusion in ("AVG", "ELM"):
        for d, dimension in enumerate(DIMENSIONS):
            *figures, paper = shown[f"{fusion} (431x30, 58-full)", dimension]
            assert figures == [None] * 6
            assert paper == TABLE2[f"{fusion}(431x30, 58-full)"][d]
            assert None not in shown[f"{fusion} (13 training songs)", dimension]
    assert any(note.startswith("n/a: only with the official test songs") for note in view.notes)
    assert all("test audio" not in row[1] for row in further_tables.all_measures(other)[0].rows)
    assert all("test audio" not in row[1] for row in further_tables.tests(other)[0].rows)


# The jobs


@pytest.mark.parametrize(
    "job",
    [
        NetworkJob("blstm", 3, 4, 10, 0, 2, 1, pretraining="with-test"),
        NetworkJob("blstm", 3, 4, 60, 1, 3, 0, 1, "training"),
        NetworkJob("lstm", 1, 4, 60, 0, 4, 1),
        NetworkJob("rnn", 1, 3, 60, 1, 0, 0),
    ],
)
def test_a_file_has_what_its_network_says(finished, findings, job):
    results = findings.results
    network = network_of(job, finished[0])
    sets = {"test": results.material.test, "validation": results.members(job.partition)}
    if job.without is not None:
        sets["without"] = results.members(job.without)
    with np.load(path_of(job, finished[0])) as file:
        assert {name for name in file.files if "/" not in name} == set(sets)
        for name, songs in sets.items():
            said = [scale_outputs((network,), (job.scale,), song.rows)[0] for song in songs]
            np.testing.assert_allclose(file[name], np.concatenate(said), atol=1e-6)
    lines = path_of(job, finished[0]).with_suffix(".jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_what_a_network_starts_from_and_is_trained_on(finished, findings, monkeypatch, tmp_path):
    material = findings.results.material
    shutil.copytree(finished[0] / "networks", tmp_path / "networks")
    recipe = replace(SMOKE, baseline=replace(SMOKE.baseline, epochs=7))
    calls = []

    def train_many(tasks, settings, device):
        assert str(device) == "cpu"
        calls.extend((t.network, t.training, t.validation, settings) for t in tasks)
        return [(t.network, []) for t in tasks]

    monkeypatch.setattr(jobs, "train_many", train_many)
    job = NetworkJob("blstm", 3, 4, 20, 1, 2, 0, 4, TRAINING)
    lstm = NetworkJob("lstm", 1, 4, 60, 1, 2)
    autoencoder = NetworkJob("autoencoder", 2, 4, 20, pretraining=TRAINING)
    for seed, each in enumerate([job, job, lstm, autoencoder]):
        jobs.do(jobs.task((each,), recipe, tmp_path), material, recipe, tmp_path, "cpu", seed)
    (start, training, validation, settings), (other, *_), lstm, autoencoder = calls
    lower = network_of(NetworkJob("autoencoder", 2, 4, 20, pretraining=TRAINING), finished[0])
    for name in ("weights", "bias", "recurrent", "peepholes"):
        first, second, third = (getattr(layer, name) for layer in start.layers[:3])
        np.testing.assert_array_equal(first, getattr(lower.layers[0], name))
        np.testing.assert_array_equal(second, getattr(lower.layers[1], name))
        assert not np.array_equal(third, getattr(other.layers[2], name))  # another seed
    expected = sequences(training_songs(job, material), 1, 20)
    np.testing.assert_array_equal(training.inputs, expected.inputs)
    np.testing.assert_array_equal(training.targets, expected.targets)
    held = sequences(findings.results.members(2), 1, 20)
    np.testing.assert_array_equal(validation.targets, held.targets)
    assert settings == recipe.preset.settings
    assert lstm[3] == recipe.baseline
    assert autoencoder[2:] == (None, recipe.pretraining)
    assert len(autoencoder[1]) == 13 * 3  # 41 half-seconds of each clip in pieces of 20


# Several networks at once


def arrays_of(path):
    with np.load(path) as file:
        return {key: file[key] for key in file.files}


def assert_close(folder, finished, count):
    """`count` networks that differ from those trained alone by rounding only."""
    paths = list((folder / "networks").glob("*.npz"))
    assert len(paths) == count
    for path in paths:
        found, alone = arrays_of(path), arrays_of(finished[0] / "networks" / path.name)
        assert found.keys() == alone.keys()
        for key in found:
            if found[key].dtype.kind == "f":
                np.testing.assert_allclose(found[key], alone[key], atol=1e-4)
        logs = [place / "networks" / f"{path.stem}.jsonl" for place in (folder, finished[0])]
        lines = [list(map(json.loads, log.read_text().splitlines())) for log in logs]
        for line, other in zip(*lines, strict=True):
            assert line["epoch"] == other["epoch"]
            assert line["training_error"] == pytest.approx(other["training_error"], rel=1e-4)


@pytest.fixture
def sizes(monkeypatch):
    """How many networks each call trains."""
    found = []

    def train_many(tasks, settings, device):
        assert str(device) == "cpu"
        found.append(len(tasks))
        return loop.train_many(tasks, settings)

    monkeypatch.setattr(jobs, "train_many", train_many)
    return found


def test_many_at_once_come_to_what_each_comes_to_alone(
    deam, finished, sizes, monkeypatch, tmp_path
):
    """An autoencoder of each scale, then its 20 networks, 16 at most at once."""
    monkeypatch.setattr(plan, "AT_ONCE", 16)
    assert reproduce(deam[0], tmp_path / "run", "--only", "table1")[0] == 0
    assert sorted(sizes) == sorted(4 * [1, 4, 16])
    assert_close(tmp_path / "run", finished, 4 + 80)
    rows = zip(table(tmp_path / "run", "table1"), table(finished[0], "table1"), strict=True)
    for row, expected in rows:
        close(row["rmse"], float(expected["rmse"]), 1e-4)


def test_done_under_way_and_not_begun_at_once(findings, finished, sizes, monkeypatch, tmp_path):
    """Of 20 networks, killed in their second epoch, one is then ended alone, one loses its file.

    All but the first go on together, each from where it was.
    """
    material, split, saved = findings.results.material, findings.split, []
    networks = [
        job
        for d in range(2)
        for of_size in plan.baseline(SMOKE, "rnn", d).values()
        for job in of_size.values()
    ]

    def work(needed):
        def here(function, tasks, *shared):
            return ((each, function(each, *shared)) for each in tasks)

        run._work([needed], split, material, SMOKE, tmp_path, tmp_path, "cpu", here)

    def save(progress, path):
        if len(saved) == 20 + 3:
            raise KeyboardInterrupt
        saved.append(path.stem)
        real_save(progress, path)

    real_save = loop.save
    monkeypatch.setattr(plan, "AT_ONCE", 30)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "save", save)
        with pytest.raises(KeyboardInterrupt):
            work(networks)
    assert sizes == [20]
    assert not (tmp_path / "networks").exists()
    twice, once = networks[:3], networks[3:]
    assert saved == [job.name for job in (*networks, *twice)]
    work(once[:1])
    checkpoint_of(once[1], tmp_path).unlink()
    saved[:] = []
    monkeypatch.setattr(loop, "save", lambda progress, path: saved.append(path.stem))
    work(networks)
    assert sizes == [20, 1, 19]
    assert sorted(saved) == sorted(job.name for job in (once[1], *once[1:]))
    assert_close(tmp_path, finished, 20)
    assert not list((tmp_path / "under_way").iterdir())


@pytest.mark.parametrize("at_once", [1, 30])
def test_a_network_that_is_given_up_is_named(deam, finished, monkeypatch, tmp_path, at_once):
    """One that leaves the range of numbers is kept as it began; the others are as they were."""
    folder, lost = tmp_path / "run", NetworkJob("blstm", 1, 2, 30, 0, 0)
    initial = jobs._initial

    def start(job, *rest):
        network = initial(job, *rest)
        if job == lost:
            network.layers[-1].bias[:] = 1e30
        return network

    monkeypatch.setattr(plan, "AT_ONCE", at_once)
    monkeypatch.setattr(jobs, "_initial", start)
    code, printed = reproduce(deam[0], folder, "--only", "search")
    assert code == 0
    said = f"given up: {lost.name}: the error left the range of numbers in epoch 1; its weights"
    assert said in printed
    assert printed.count("given up") == 1
    path_of(lost, folder).rename(tmp_path / "lost.npz")
    assert_close(folder, finished, 3)
    (tmp_path / "lost.npz").rename(path_of(lost, folder))
    again = reproduce(deam[0], folder, "--only", "search")
    assert again[0] == 0
    assert said in again[1]  # though nothing was trained now


# Stopped and begun again


def same_table(folder, finished, name):
    assert (folder / f"{name}.csv").read_bytes() == (finished[0] / f"{name}.csv").read_bytes()


def test_interrupted_between_networks(deam, finished, monkeypatch, tmp_path):
    """After two of four: the other two are trained then, and the table is that of the whole run."""
    started = []

    def do(task, *arguments):
        if len(started) == 2:
            raise KeyboardInterrupt
        started.append(str(task))
        return jobs.do(task, *arguments)

    monkeypatch.setattr(run, "do", do)
    assert reproduce(deam[0], tmp_path / "run", "--only", "search")[0] == 130
    assert not (tmp_path / "run" / "search.csv").exists()
    first, started[:] = set(started), []
    code, printed = reproduce(deam[0], tmp_path / "run", "--only", "search")
    assert code == 0
    assert "2 of 4 are done" in printed
    assert len(first | set(started)) == 4
    assert len(started) == 2
    same_table(tmp_path / "run", finished, "search")


@pytest.mark.parametrize("saved", [True, False])
def test_interrupted_within_a_network(deam, finished, monkeypatch, tmp_path, saved):
    """No epoch that was saved is trained again, and at most one was lost."""
    epochs = []
    save = loop.save

    def interrupted(progress, path):
        epochs.append(path.stem)
        if len(epochs) == 3 and not saved:
            raise KeyboardInterrupt
        save(progress, path)
        if len(epochs) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save", interrupted)
    monkeypatch.setattr(loop, "SAVE_EVERY", 0)
    assert reproduce(deam[0], tmp_path / "run", "--only", "search")[0] == 130
    assert len(list((tmp_path / "run" / "under_way").glob("*.npz"))) == saved
    assert reproduce(deam[0], tmp_path / "run", "--only", "search")[0] == 0
    assert len(epochs) == 4 * 2 + (not saved)
    same_table(tmp_path / "run", finished, "search")
    for path in (tmp_path / "run" / "networks").glob("*.npz"):
        with np.load(path) as one, np.load(finished[0] / "networks" / path.name) as two:
            assert one.files == two.files
            assert all(np.array_equal(one[key], two[key]) for key in one.files)


def test_what_is_deleted_is_repeated_and_nothing_else(deam, finished, monkeypatch, tmp_path):
    """An autoencoder, two networks, a regression, some tables; half-written files are cleared."""
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    names = [
        "autoencoder-2x4-T20-training",
        "blstm-3x4-T20-arousal-p1-t1-training",
        "blstm-3x4-T60-valence-p0-t0-without3-training",
        "mlr-valence",
    ]
    for name in names:
        (folder / "networks" / f"{name}.npz").unlink()
    for path in folder.glob("*.csv"):
        path.unlink()
    (folder / "networks" / ".123.part.npz").write_bytes(b"half")
    (folder / ".456.part.csv").write_bytes(b"half")
    before = {path: path.stat().st_mtime_ns for path in (folder / "networks").glob("*.npz")}
    done = []
    monkeypatch.setattr(
        run, "do", lambda task, *rest: done.append(str(task)) or jobs.do(task, *rest)
    )
    assert reproduce(deam[0], folder)[0] == 0
    assert sorted(done) == sorted(names)
    assert all(p.stat().st_mtime_ns == t for p, t in before.items() if ".123" not in p.name)
    assert not list(folder.rglob("*.part*"))
    for name in plan.TABLES:
        same_table(folder, finished, name)


def test_what_is_cut_short_is_repeated(deam, finished, monkeypatch, tmp_path, capsys):
    """As by a power cut; what is damaged elsewhere is named as it is read."""
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    networks = folder / "networks"
    names = {"autoencoder-2x4-T20-training": 0, "blstm-3x4-T20-arousal-p1-t1-training": 500}
    for name, size in names.items():
        os.truncate(networks / f"{name}.npz", size)
        os.truncate(networks / f"{name}.jsonl", 7)
    done = []
    monkeypatch.setattr(
        run, "do", lambda task, *rest: done.append(str(task)) or jobs.do(task, *rest)
    )
    assert reproduce(deam[0], folder)[0] == 0
    assert sorted(done) == sorted(names)
    same_table(folder, finished, "table1")
    path = networks / "mlr-valence.npz"
    content = path.read_bytes()
    path.write_bytes(content[:-700] + bytes(200) + content[-500:])  # what it says of test songs
    for table in folder.glob("*.csv"):
        table.unlink()
    capsys.readouterr()
    assert reproduce(deam[0], folder)[0] == 2
    message = f"moodcurve: error: {path}: damaged; delete it, and the same command makes it again\n"
    assert capsys.readouterr().err == message


def test_a_device_that_nobody_trained_on_does_not_count(finished, tmp_path):
    """A worker may not have it: then nothing is done, and the next start is free."""
    config = json.loads((finished[0] / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"device": "cuda"}))
    run._check(tmp_path, dict(config))
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "one.npz").touch()
    with pytest.raises(InputError, match=r"\(device: cuda, now cpu\)"):
        run._check(tmp_path, dict(config))


def test_killed_and_begun_again_with_other_jobs(deam, finished, tmp_path):
    """`kill -9` of the real program with two processes; then one process."""
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "moodcurve", "reproduce", str(deam[0]), "-o", str(folder)]
    command += ["--preset", "smoke", "--only", "table1", "--jobs"]
    source = str(Path(run.__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, "2"], env=environment, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if len(list((folder / "networks").glob("[!.]*.npz"))) >= 5:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "table1.csv").exists()
    time.sleep(0.3)  # its processes end by themselves
    before = {path: path.stat().st_mtime_ns for path in (folder / "networks").glob("[!.]*.npz")}
    assert 5 <= len(before) < 84
    assert reproduce(deam[0], folder, "--only", "table1", "--jobs", "1")[0] == 0
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())
    same_table(folder, finished, "table1")
    assert (folder / "table1.txt").read_bytes() == (finished[0] / "table1.txt").read_bytes()


# On workers that die, a cluster that goes away, a disk that is full

real_do = run._do


def deadly(task, *shared):
    """Do a task; kill the worker at the one named, always or while the file is not there."""
    once = os.environ.get("DEADLY_ONCE")
    if str(task) == os.environ["DEADLY"] and not (once and Path(once).exists()):
        if once:
            Path(once).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return real_do(task, *shared)


@pytest.fixture
def on_workers(monkeypatch):
    """Train by workers, as the program does; there is a job that can kill them."""
    name = next(iter(plan.search(SMOKE, 0).values())).name
    monkeypatch.setattr(run, "workers", cluster.workers)
    monkeypatch.setattr(run, "_do", deadly)
    monkeypatch.setenv("DEADLY", name)
    return name


def test_a_killed_worker_changes_nothing(on_workers, deam, finished, monkeypatch, tmp_path):
    monkeypatch.setenv("DEADLY_ONCE", str(tmp_path / "died"))
    code, _ = reproduce(deam[0], tmp_path / "run", "--only", "search", "--jobs", "2")
    assert (code, (tmp_path / "died").exists()) == (0, True)
    same_table(tmp_path / "run", finished, "search")


def test_a_job_that_kills_its_workers_is_named(on_workers, deam, finished, tmp_path, capsys):
    """The other jobs' networks are kept; where it does no harm the run goes on."""
    folder = tmp_path / "run"
    assert reproduce(deam[0], folder, "--only", "search", "--jobs", "1")[0] == 1
    message = capsys.readouterr().err
    assert message.startswith(f"moodcurve: error: {on_workers}: killed each worker")
    assert f"what is done is kept in {folder}: start the same command again" in message
    assert message.count("\n") == 1
    names = {path.stem for path in (folder / "networks").glob("*.npz")}
    assert len(names) == 3
    assert on_workers not in names
    assert not (folder / "search.csv").exists()
    os.environ["DEADLY"] = ""
    code, printed = reproduce(deam[0], folder, "--only", "search", "--jobs", "1")
    assert code == 0
    assert "3 of 4 are done" in printed
    same_table(folder, finished, "search")


def test_a_scheduler_that_goes_away(on_workers, deam, finished, monkeypatch, tmp_path, capsys):
    """After the first network; the workers of another do the rest, over the machine's network."""
    folder, host = tmp_path / "run", own_address() or LOOPBACK
    monkeypatch.setenv("DEADLY", "")
    with scheduler(tmp_path, host) as (address, process), worker(address, tmp_path):

        def write_once(*arguments):
            jobs.write(*arguments)
            process.kill()

        with monkeypatch.context() as patch:
            patch.setattr(run, "write", write_once)
            options = ("--only", "search", "--scheduler", address)
            assert reproduce(deam[0], folder, *options)[0] == 1
    message = capsys.readouterr().err
    assert message == (
        f"moodcurve: error: the Dask scheduler {address} has gone away; what is done is kept in "
        f"{folder}: start the same command again to go on\n"
    )
    assert len(list((folder / "networks").glob("*.npz"))) == 1
    assert not (folder / "under_way").exists()  # workers elsewhere do not see the folder
    before = snapshot(folder)
    assert reproduce(deam[0], folder, *options)[0] == 2
    assert "no Dask scheduler answers (Connection refused)" in capsys.readouterr().err
    assert snapshot(folder) == before
    with scheduler(tmp_path, host) as (address, _), worker(address, tmp_path):
        assert reproduce(deam[0], folder, "--only", "search", "--scheduler", address)[0] == 0
    same_table(folder, finished, "search")


@pytest.mark.parametrize("what", ["network", "checkpoint"])
def test_a_full_disk(deam, finished, monkeypatch, tmp_path, capsys, what):
    """Full at the second network, or at the third epoch; with room the run goes on."""
    folder = tmp_path / "run"
    saved, full = np.savez, []

    def savez(path, **arrays):
        if (path.parent.name == "under_way") == (what == "checkpoint"):
            full.append(path)
            if len(full) == 3:
                path.write_bytes(b"half")
                raise OSError(errno.ENOSPC, "No space left on device")
        saved(path, **arrays)

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", savez)
        assert reproduce(deam[0], folder, "--only", "search")[0] == 1
    message = capsys.readouterr().err
    assert "cannot be written (No space left on device); make room; what is done is" in message
    assert message.count("\n") == 1
    assert not list(folder.rglob("*.part*"))
    count = len(list((folder / "networks").glob("*.npz")))
    assert count == (2 if what == "network" else 1)
    code, printed = reproduce(deam[0], folder, "--only", "search")
    assert code == 0
    assert f"{count} of 4 are done" in printed
    same_table(folder, finished, "search")


def test_a_disk_that_is_full_at_the_end(deam, finished, monkeypatch, tmp_path, capsys):
    """Everything is trained; the tables are written, the model cannot be."""
    folder, write = tmp_path / "run", Path.write_bytes
    shutil.copytree(finished[0], folder)
    shutil.rmtree(folder / "model")

    def full(path, content):
        if path.name == "weights.npz":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert reproduce(deam[0], folder, "--only", "table2")[0] == 1
    message = capsys.readouterr().err
    assert message == (
        f"moodcurve: error: {folder}/model: cannot be written (No space left on device); make room;"
        f" what is done is kept in {folder}: start the same command again to go on\n"
    )
    assert not (folder / "model").exists()
    assert reproduce(deam[0], folder, "--only", "table2")[0] == 0
    same_table(folder, finished, "table2")
    for name in ("manifest.json", "weights.npz"):
        assert (folder / "model" / name).stat().st_size > 0


# Refused


def snapshot(folder):
    return {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


def refused(capsys, folder, corpus, *options):
    """The message; the run's folder is as it was."""
    before = snapshot(folder)
    code, printed = reproduce(corpus, folder, *options)
    assert code == 2
    assert "wrote" not in printed
    assert snapshot(folder) == before
    message = capsys.readouterr().err
    assert str(folder) in message
    assert message.startswith("moodcurve: error: ")
    assert message.count("\n") == 1
    return message


def test_another_preset_is_refused(deam, finished, capsys):
    message = refused(capsys, finished[0], deam[0], "--preset", "quick")
    assert "preset: smoke, now quick" in message
    assert "give another folder with -o" in message


def test_another_scale_of_labels_is_refused(deam, finished, capsys):
    message = refused(capsys, finished[0], deam[0], "--labels", "me2015")
    assert "labels: release, now me2015" in message


def test_another_corpus_is_refused(finished, capsys, tmp_path):
    make_deam(tmp_path / "other", CLIPS, TESTS)
    message = refused(capsys, finished[0], tmp_path / "other")
    assert "corpus: deam, now other" in message


def test_other_labels_are_refused(finished, capsys, tmp_path):
    make_deam(tmp_path / "deam", CLIPS, TESTS, seed=1)
    assert "other songs or labels" in refused(capsys, finished[0], tmp_path / "deam")


def test_other_features_are_refused(deam, finished, capsys, tmp_path):
    shutil.copytree(deam[0], tmp_path / "deam")
    path = tmp_path / "deam" / "features" / "1003.csv"
    path.write_text(path.read_text().rstrip()[:-1] + "7\n")  # the exponent of the last feature
    assert "other features" in refused(capsys, finished[0], tmp_path / "deam")


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda c: c | {"moodcurve": "0.0"}, "moodcurve: 0.0, now"),
        (lambda c: c | {"features": 99}, "features: 99, now"),
        (lambda c: c | {"recipe": c["recipe"] | {"trials": 7}}, "(recipe)"),
        (lambda c: c | {"full": True}, "full: True, now False"),
        (lambda c: c | {"seed": 5}, "seed: 5, now 0"),
        (lambda c: {k: v for k, v in c.items() if k != "seed"}, "config.json: not a run's"),
        (lambda c: [c], "config.json: not a run's"),
        (lambda c: "\ud800", "config.json: not a run's"),
        (None, "config.json: not a run's"),
    ],
)
def test_an_edited_config_is_refused(deam, finished, capsys, tmp_path, edit, what):
    config = json.loads((finished[0] / "config.json").read_text())
    text = json.dumps(edit(config)) if edit else "{"
    (tmp_path / "config.json").write_text(text)
    assert what in refused(capsys, tmp_path, deam[0])


def test_a_folder_of_something_else_is_refused(deam, capsys, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    message = refused(capsys, tmp_path, deam[0], "--only", "partitions")
    assert "not empty and not a run; choose another folder" in message


def test_a_run_killed_while_it_wrote_its_config_can_begin(deam, tmp_path):
    (tmp_path / ".0123.part.json").write_text("{")
    assert reproduce(deam[0], tmp_path, "--only", "partitions")[0] == 0
    assert not list(tmp_path.glob(".*"))


# Parts of it


def test_a_dry_run_writes_nothing(deam, tmp_path, capsys):
    for options in (["-o", str(tmp_path / "run")], []):
        code = main(["reproduce", str(deam[0]), *options, "--preset", "smoke", "--dry-run"])
        assert code == 0
        printed = capsys.readouterr().out
        assert "preset smoke: 8 autoencoder, 20 lstm, 20 rnn, 2 mlr, 2 svr, 324 blstm" in printed
        assert "estimated:" in printed
        assert "note: 13 of the 431 clips of 2015 (a deviation)" in printed
        assert "wrote" not in printed
    assert not list(tmp_path.iterdir())


def test_labels_alone_give_the_tables_about_labels(tmp_path, capsys):
    """And are refused before anything is trained where more is asked for."""
    make_deam(tmp_path / "deam", CLIPS, TESTS, features_of=())
    for name in plan.FROM_LABELS:
        assert reproduce(tmp_path / "deam", tmp_path / "run", "--only", name)[0] == 0
        assert {path.stem for path in (tmp_path / "run").glob("*.csv")} >= {name}
    assert not (tmp_path / "run" / "networks").exists()
    before = snapshot(tmp_path / "run")
    for options in ([], ["--only", "table1"]):
        assert reproduce(tmp_path / "deam", tmp_path / "run", *options)[0] == 2
        message = capsys.readouterr().err
        assert "features.zip" in message
        assert "Traceback" not in message
    assert snapshot(tmp_path / "run") == before


def test_a_run_begun_with_labels_goes_on_with_networks(deam, finished, tmp_path):
    """The features are unknown at first, then noted and kept."""
    folder = tmp_path / "run"
    assert reproduce(deam[0], folder, "--only", "constant")[0] == 0
    assert json.loads((folder / "config.json").read_text())["rows"] is None
    assert reproduce(deam[0], folder, "--only", "search")[0] == 0
    noted = json.loads((folder / "config.json").read_text())
    assert noted == json.loads((finished[0] / "config.json").read_text())
    assert reproduce(deam[0], folder, "--only", "partitions")[0] == 0
    assert json.loads((folder / "config.json").read_text()) == noted
    for name in ("constant", "search", "partitions"):
        same_table(folder, finished, name)


def test_wrong_arguments(deam, tmp_path, capsys):
    assert reproduce(deam[0], tmp_path / "run", "--only", "table9")[0] == 2
    assert "--only table9: no such table" in capsys.readouterr().err
    assert reproduce(deam[0], tmp_path / "run", "--jobs", "0")[0] == 2
    assert "--jobs 0" in capsys.readouterr().err
    cluster = ("--scheduler", "tcp://127.0.0.1:1", "--device", "bogus")
    assert reproduce(deam[0], tmp_path / "run", *cluster)[0] == 2
    assert "--device bogus: give cpu, cuda" in capsys.readouterr().err
    assert main(["reproduce", str(deam[0])]) == 2
    assert "give -o RUN" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
