import csv
import io
import math
import re

import pytest

from moodcurve.errors import InputError
from moodcurve.intervals import Interval
from moodcurve.reproduce.tables import (
    Table,
    as_csv,
    as_latex,
    as_text,
    interval_text,
    write_table,
)

NAN = math.nan
INTERVAL = interval_text(Interval(0.2311, 0.2009, 0.2621))
VIEW = Table(
    "fusion",
    "How the scales are fused",
    ("system", "songs", "valence RMSE", "p"),
    (
        ("ELM", 58, INTERVAL, 0.01234),
        ("average of the networks", 58, "-", None),
        ("constant", 7, interval_text(Interval(-0.1, -0.2, NAN)), NAN),
    ),
    ("A note.",),
)


def view(first, more=(), title="t", notes=(), name="n"):
    """A table of one row."""
    columns = ("system", *(f"c{i}" for i in range(len(more))))
    return Table(name, title, columns, ((first, *more),), notes)


def test_the_text_by_hand():
    assert as_text(VIEW) == (
        "How the scales are fused\n"
        "-----------------------------------------------------------\n"
        "system                   songs          valence RMSE      p\n"
        "-----------------------------------------------------------\n"
        "ELM                         58  0.231 [0.201, 0.262]  0.012\n"
        "average of the networks     58                     -    n/a\n"
        "constant                     7    -0.100 [-0.200, -]      -\n"
        "-----------------------------------------------------------\n"
        "A note.\n"
    )


def test_words_to_the_left_figures_to_the_right():
    table = Table("n", "t", ("a", "words", "last"), (("x", "long word", -1.5), ("yy", "w", 20)))
    header, _, first, second = as_text(table).splitlines()[2:6]
    assert [line.index("w") for line in (header, second)] == [4, 4]
    assert first == "x   long word  -1.500"
    assert second == "yy  w              20"
    assert header == "a   words        last"
    last = Table("n", "t", ("a", "b"), ((1, "x"), (2, "longer")))
    assert as_text(last).splitlines()[2:5] == ["a  b", "-" * 9, "1  x"]


@pytest.mark.parametrize("columns", [2, 3])
def test_the_text_is_at_most_80_columns_wide(columns):
    first = "networks of five layers read in pieces of ten half-seconds, averaged, then smoothed"
    wide = view(
        first, (INTERVAL,) * columns, "a far too long-winded title " * 9, ("a long note " * 20, "b")
    )
    lines = as_text(wide).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any(line != line.rstrip() for line in lines)
    rules = [i for i, line in enumerate(lines) if set(line) == {"-"}]
    assert len(rules) == 3
    assert " ".join(lines[: rules[0]]) == wide.title.strip()
    assert " ".join(lines[rules[2] + 1 :]) == "a long note " * 20 + "b"
    row = lines[rules[1] + 1 : rules[2]]
    figures = " ".join([INTERVAL] * columns)
    assert row[0].endswith(figures)
    assert len(row) > 1
    assert all(line.startswith("  ") for line in row[1:])
    wrapped = [row[0].removesuffix(figures), *row[1:]]
    assert " ".join(line.strip() for line in wrapped).replace("half- ", "half-") == first


@pytest.mark.parametrize(("length", "gap"), [(34, 2), (35, 1), (36, 1)])
def test_columns_are_set_closer_before_anything_is_wrapped(length, gap):
    """34 + 2 + 20 + 2 + 22 = 80; one more would not fit."""
    negative = interval_text(Interval(-0.2, -0.3, 0.1)).rjust(22)
    line = as_text(view("x" * length, (INTERVAL, negative))).splitlines()[4]
    assert line == (" " * gap).join(["x" * length, INTERVAL, negative])


def test_a_long_word_is_broken_rather_than_refused():
    lines = as_text(view("song" * 30, (INTERVAL,) * 3)).splitlines()[4:-1]
    assert max(map(len, lines)) <= 80
    assert "".join(line.split("0.231")[0].strip() for line in lines) == "song" * 30


def test_a_table_that_cannot_fit_is_refused(tmp_path):
    # 80 - 3 * 21 - 9 = 8 columns are left to the first, and then 7
    fits = view("x" * 20, (INTERVAL, INTERVAL, INTERVAL, "12345678"))
    assert max(map(len, as_text(fits).splitlines())) == 80
    wide = view("x" * 20, (INTERVAL, INTERVAL, INTERVAL, "123456789"))
    with pytest.raises(ValueError, match="n: wider than 80 columns"):
        as_text(wide)
    with pytest.raises(ValueError, match="wider"):
        write_table(tmp_path, wide, wide)
    assert not list(tmp_path.iterdir())
    # what is narrow anyway needs no more room than it has
    narrow = Table("n", "t", ("a", *"bcde"), (("x", *fits.rows[0][1:4], "123456789"),))
    assert max(map(len, as_text(narrow).splitlines())) <= 80


def test_rows_must_fill_the_columns():
    with pytest.raises(ValueError, match="n: 1 cells for 2 columns"):
        Table("n", "t", ("a", "b"), (("x", 1), ("y",)))


def test_the_csv_read_back():
    rows = (
        ("a, b", 'say "x"', 0.1234567891, 7),
        ("é_%&", None, -0.00001234, 0),
        ("line\nbreak", "", NAN, 1744),
        ("", "n", -0.0, -1),
    )
    text = as_csv(Table("n", "t", ("song", "word", "value", "count"), rows, ("not in it",)))
    header, *found = csv.reader(io.StringIO(text, newline=""))
    assert header == ["song", "word", "value", "count"]
    assert [row[0] for row in found] == [row[0] for row in rows]
    assert [row[1] for row in found] == ['say "x"', "n/a", "", "n"]
    assert [row[2] for row in found] == ["0.123457", "-1.234e-05", "nan", "0"]
    assert [int(row[3]) for row in found] == [7, 0, 1744, -1]
    assert "\r" not in text and text.endswith("\n")


def unescaped(text):
    """What LaTeX sets: the inverse of the escapes, from LaTeX's own definitions."""
    marks = {"textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^"}
    marks |= {"textless": "<", "textgreater": ">", "textbar": "|"}
    return re.sub(
        r"\\(?:([_%&#${}])|([a-z]+)\{\})",
        lambda match: match[1] or marks[match[2]],
        text,
    )


def test_the_latex_by_hand():
    assert as_latex(VIEW).splitlines() == [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        r"  \caption{How the scales are fused}",
        r"  \label{tab:fusion}",
        r"  \begin{tabular}{lrrr}",
        r"    \toprule",
        r"    system & songs & valence RMSE & p \\",
        r"    \midrule",
        r"    ELM & 58 & 0.231 [0.201, 0.262] & 0.012 \\",
        r"    average of the networks & 58 & - & n/a \\",
        r"    constant & 7 & $-$0.100 [$-$0.200, -] & - \\",
        r"    \bottomrule",
        r"  \end{tabular}",
        "",
        r"  \medskip",
        r"  {\footnotesize A note.\par}",
        r"\end{table}",
    ]


def test_whatever_is_special_to_latex_is_escaped():
    special = r"a_b % c & d # e $ f ~ g ^ h \ i { j } k < l > m | n \textbf{o}"
    table = Table("n", special, ("system", special), ((special, special),), (special,))
    lines = as_latex(table).splitlines()
    rows = [line for line in lines if line.endswith(r"\\")]
    assert len(rows) == 2
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == 1
    body = rows[1].strip().removesuffix(r" \\")
    assert [unescaped(cell) for cell in re.split(r" (?<!\\)& ", body)] == [special, special]
    assert not re.search(r"[{}]", re.sub(r"\\[{}]|\\[a-z]+\{\}", "", body))
    caption = next(line for line in lines if r"\caption" in line)
    assert unescaped(caption.strip().removeprefix(r"\caption{").removesuffix("}")) == special
    note = next(line for line in lines if r"\footnotesize" in line)
    assert unescaped(note.strip()[len(r"{\footnotesize ") : -len(r"\par}")]) == special
    for line in lines[1:]:
        assert not re.search(r"(?<!\\)[_%#$~^<>|]", line)
        bare = re.sub(r"\\[\\{}]", "", line)
        assert bare.count("{") == bare.count("}")


def test_a_row_is_no_argument_of_the_line_break_before_it():
    for start in ("[x]", "*"):
        row = next(line for line in as_latex(view(start)).splitlines() if start in line)
        assert row == rf"    {{}}{start} \\"


def test_only_figures_get_a_minus_sign():
    latex = as_latex(view("scale -1 to 1", (-0.25, "2013-2015", -3)))
    assert r"    scale -1 to 1 & $-$0.250 & 2013-2015 & $-$3 \\" in latex.splitlines()


def test_a_table_without_notes():
    table = view("x", (1,))
    assert as_text(table) == "t\n----------\nsystem  c0\n----------\nx        1\n----------\n"
    assert r"\footnotesize" not in as_latex(table) and r"\medskip" not in as_latex(table)


def test_intervals_as_cells():
    assert INTERVAL == "0.231 [0.201, 0.262]"
    assert interval_text(Interval(-0.0001, -0.2, 0.1)) == "0.000 [-0.200, 0.100]"
    assert interval_text(Interval(0.5, NAN, NAN)) == "0.500 [-, -]"
    assert interval_text(Interval(NAN, NAN, NAN)) == "-"


def test_three_files(tmp_path):
    data = Table("fusion", "", ("song", "value"), (("é", 0.5),))
    write_table(tmp_path / "new", data, VIEW)
    found = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    assert found == {
        "fusion.csv": "song,value\né,0.5\n".encode(),
        "fusion.txt": as_text(VIEW).encode(),
        "fusion.tex": as_latex(VIEW).encode(),
    }


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match=r"fusion\.csv: cannot be written"):
        write_table(tmp_path / "taken", VIEW, VIEW)
