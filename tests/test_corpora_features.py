import os
import re

import numpy as np
import pytest

from moodcurve.corpora import feature_files
from moodcurve.corpora.feature_files import read_features
from moodcurve.errors import InputError
from moodcurve.export.csv import write_features
from moodcurve.features import FEATURE_NAMES

ROWS = (np.arange(3 * 260).reshape(3, 260) / 7 - 20).astype(np.float32)


def table(names=FEATURE_NAMES, starts=(0, 0.5, 1), rows=ROWS, separator=";", extra=()):
    """A feature file's text; extra: (name, cell) of further columns, put first."""
    lines = [separator.join([*(name for name, _ in extra), "frameTime", *names])]
    for start, row in zip(starts, rows, strict=True):
        cells = [f"{start:.6f}", *(f"{value:.8e}" for value in row)]
        lines.append(separator.join([*(cell for _, cell in extra), *cells]))
    return "\n".join(lines) + "\n"


def read(tmp_path, text, song=""):
    path = tmp_path / "2.csv"
    path.write_text(text, newline="")
    return read_features(path, song)


def test_our_own_files(tmp_path):
    path = tmp_path / "x.csv"
    with path.open("w") as file:
        write_features(ROWS, file)
    starts, rows = read_features(path)
    np.testing.assert_array_equal(starts, [0, 0.5, 1])
    np.testing.assert_allclose(rows, ROWS, rtol=1e-6)
    assert (starts.dtype, rows.dtype, rows.shape) == (np.float64, np.float32, (3, 260))


@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_columns_are_found_by_name(tmp_path, separator):
    order = np.random.default_rng(0).permutation(260)
    names = [FEATURE_NAMES[k] for k in order]
    text = table(names, (15, 15.5, 16), ROWS[:, order], separator, extra=[("class", "?")])
    starts, rows = read(tmp_path, text)
    np.testing.assert_array_equal(starts, [15, 15.5, 16])
    np.testing.assert_array_equal(rows, ROWS)


def test_the_names_of_pmemo(tmp_path):
    names = [n.replace("_amean", "_mean").replace("_stddev", "_std") for n in FEATURE_NAMES]
    np.testing.assert_array_equal(read(tmp_path, table(names))[1], ROWS)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: "\ufeff" + t.replace("\n", "\r\n"),
        lambda t: t.replace("\n", ";;\n") + ";;\n\n",
        lambda t: re.sub(r"[^;\n]+", r'"\g<0>"', t),
    ],
    ids=["windows", "padded", "quoted"],
)
def test_what_a_spreadsheet_leaves_readable(tmp_path, change):
    text = change(table()).removesuffix(";;\n\n") + "\n"
    np.testing.assert_array_equal(read(tmp_path, text)[1], ROWS)


def two_songs(text):
    """The rows twice, as songs 7 and 12, alternating."""
    header, *lines = text.splitlines()
    both = [f"{song};{line}" for line in lines for song in (7, 12)]
    return "\n".join([f"musicId;{header}", *both])


def test_songs_of_one_file(tmp_path):
    text = two_songs(table()).replace("12;1.000000", "12;1.000000;9", 1)
    path = tmp_path / "all.csv"
    path.write_text(text)
    for song in ("7", "12"):
        starts, rows = read_features(path, song)
        np.testing.assert_array_equal(starts, [0, 0.5, 1])
        assert len(rows) == 3
    np.testing.assert_array_equal(read_features(path, "7")[1], ROWS)
    assert read_features(path, "12")[1][2, 0] == 9
    with pytest.raises(InputError, match=r"all\.csv: no rows of song 1; "):
        read_features(path, "1")


def test_one_file_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "all.csv"
    path.write_text(two_songs(table()))
    calls = []
    numbers = feature_files._numbers
    monkeypatch.setattr(
        feature_files, "_numbers", lambda *given: calls.append(0) or numbers(*given)
    )
    for song in ("7", "12", "7"):
        read_features(path, song)
    assert len(calls) == 1


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "2.csv"
    path.write_text(table())
    assert len(read_features(path)[1]) == 3
    changed = path.stat().st_mtime + 10
    path.write_text(table(starts=(0, 0.5), rows=ROWS[:2]))
    os.utime(path, (changed, changed))
    assert len(read_features(path)[1]) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", r"2\.csv:1: 261 of 261 columns missing \(frameTime, F0final_sma_stddev, "),
        (
            table(FEATURE_NAMES[:255], rows=ROWS[:, :255]),
            r"2\.csv:1: 5 of 261 columns missing \(\S+, \S+, \S+, \.\.\.\); ",
        ),
        (
            table([*FEATURE_NAMES[:259], FEATURE_NAMES[0]]),
            r"2\.csv:1: two columns F0final_sma_stddev; ",
        ),
        (table().splitlines()[0] + "\n", r"2\.csv: no rows below the header; "),
        (
            table().replace("-2.00000000e+01", "nan"),
            r'2\.csv:2: \S+ "nan" is not a finite number; take',
        ),
        (table().replace("-2.00000000e+01", "-inf"), r'2\.csv:2: \S+ "-inf" is not a finite'),
        (table().replace("-2.00000000e+01", ""), r'2\.csv:2: \S+ "" is not a finite number; '),
        (
            table().replace(".", ",").replace("25,0", "25.0").replace("50,0_sma", "50.0_sma"),
            r"2\.csv:1: .* columns missing",
        ),
        (
            table().replace("1.000000;", "1,000000;"),
            r'2\.csv:4: frameTime "1,000000" is not a finite number; write decimal points',
        ),
        (
            table().replace("\n1.000000;", "\n\nx;"),
            r'2\.csv:5: frameTime "x" is not a finite number; ',
        ),
        (
            "\n".join([*table().splitlines()[:3], "1.0;3;4"]),
            r"2\.csv:4: 3 cells under a header of 261; ",
        ),
        (table(starts=(0, 0.5, 1.5)), r"2\.csv: row 3: frameTime 1\.5 s comes after 0\.5 s; "),
        (table(starts=(0, 0.5, 0.5)), r"2\.csv: row 3: frameTime 0\.5 s comes after 0\.5 s; "),
        (table(starts=(0, 1, 2)), r"2\.csv: row 2: .* rows must be 0\.5 s apart, "),
        (table().replace("-2.00000000e+01", "1e99"), r"2\.csv: numbers that cannot be read; "),
    ],
)
def test_each_problem(tmp_path, text, expected):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert re.match(re.escape(f"{tmp_path}/") + expected, str(caught.value))
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)


def test_not_text(tmp_path):
    (tmp_path / "2.csv").write_bytes(b"frameTime;\xff\xfe\n")
    with pytest.raises(InputError, match=r"2\.csv: not UTF-8 text; "):
        read_features(tmp_path / "2.csv")


def test_no_file(tmp_path):
    with pytest.raises(InputError, match=r"2\.csv: cannot be read \(No such file"):
        read_features(tmp_path / "2.csv")
