import contextlib
import csv
import io
import json
import math
import os
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import moodcurve
from conftest import tone
from moodcurve import File2Curve, cli, predict
from moodcurve import model as bundles
from moodcurve.audio import SAMPLE_RATE, read
from moodcurve.cli import main
from moodcurve.errors import InputError, Unfinished
from moodcurve.features import FEATURE_NAMES
from moodcurve.model import load, save
from moodcurve.moods import moods
from moodcurve.rows import rows_of

COMMANDS = ("predict", "live", "train", "evaluate", "reproduce", "export", "features", "models")
COMMANDS += ("currennt", "library")


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("MOODCURVE_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def bundle(model, tmp_path):
    save(model, tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "curves"


def start(*arguments, **options):
    """Start a command as a user does."""
    return subprocess.Popen(
        [sys.executable, "-m", "moodcurve", *map(str, arguments)],
        stdout=options.pop("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def wav(path, seconds=1.0, pitch=220.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(seconds, pitch), SAMPLE_RATE)
    return path


def files(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


BAND = ["valence_low", "valence_high", "arousal_low", "arousal_high"]


def table(path, *further):
    """A curve's CSV as (n, 4 + further columns), its header checked."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["start_s", "end_s", "valence", "arousal", *further]
    return np.array(rows, float)


def complains(error, *patterns):
    """One line for each error, and nothing else."""
    lines = error.splitlines()
    assert len(lines) == len(patterns)
    for line, pattern in zip(lines, patterns, strict=True):
        assert line.startswith("moodcurve: error: ")
        assert pattern in line


# The program


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(run, command):
    code, text, error = run(*command.split(), "--help")
    assert (code, error) == (0, "")
    assert text.startswith(f"usage: {' '.join(['moodcurve', *command.split()])} ")
    assert max(map(len, text.splitlines())) <= 80
    if not command:
        assert all(name in text for name in COMMANDS)


def test_version_of_the_module():
    with start("--version") as process:
        assert process.communicate() == (f"moodcurve {moodcurve.__version__}\n", "")
    assert process.returncode == 0


LOADED = """
import sys
from moodcurve.cli import main
try:
    code = main({arguments})
except SystemExit as stop:
    code = stop.code
assert code == 0, code
names = {{name.split(".")[0] for name in sys.modules}}
print(sorted(names & {{"numpy", "scipy", "soundfile", "torch", "sklearn", "matplotlib", "pandas"}}))
"""


def imported(*arguments):
    script = LOADED.format(arguments=[str(argument) for argument in arguments])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()[-1]


def test_what_help_imports():
    assert imported("--help") == "[]"
    assert imported("predict", "--help") == "[]"


def test_what_predict_imports(bundle, song, out):
    found = imported("predict", song, "--model", bundle, "-o", out)
    assert found == "['numpy', 'scipy', 'soundfile']"
    assert files(out) == ["tone.csv", "tone.json"]


@pytest.mark.parametrize(
    "arguments",
    [[], ["predcit"], ["predict"], ["predict", "x.wav", "--nosuch"], ["train", "x"], ["evaluate"]],
)
def test_wrong_arguments(run, arguments):
    code, text, error = run(*arguments)
    assert (code, text) == (2, "")
    assert error.startswith("usage: moodcurve")
    assert ": error: " in error.splitlines()[-1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_full_disk_or_a_closed_pipe_is_no_traceback(bundle, song):
    with Path("/dev/full").open("w") as full, start("features", song, stdout=full) as process:
        complains(process.stderr.read(), "standard output: No space left on device")
    assert process.returncode == 1
    with start("features", song) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


# moodcurve predict


def test_predict_writes_a_curve_and_what_made_it(run, bundle, song, out):
    code, text, error = run("predict", song, "-o", out, "--model", bundle)
    assert (code, text, error) == (0, f"wrote {out / 'tone.csv'}\n", "")
    assert files(out) == ["tone.csv", "tone.json"]
    rows = table(out / "tone.csv")
    curve = File2Curve(bundle)(song)
    np.testing.assert_array_equal(rows[:, 0], np.arange(20) / 2)
    np.testing.assert_array_equal(rows[:, 1], np.arange(1, 21) / 2)
    np.testing.assert_allclose(rows[:, 2], curve.valence, atol=5.01e-5)
    np.testing.assert_allclose(rows[:, 3], curve.arousal, atol=5.01e-5)
    about = json.loads((out / "tone.json").read_text())
    summary = about["summary"]
    assert about.items() >= json.loads(json.dumps(curve.about)).items()
    np.testing.assert_array_equal(np.array(about["rows"]), rows)
    assert about["sample_rate"] == SAMPLE_RATE
    assert summary["valence"]["mean"] == pytest.approx(curve.valence.mean(), abs=5.01e-5)
    assert summary["arousal"]["max"] == pytest.approx(curve.arousal.max(), abs=5.01e-5)
    assert summary["turning_points_s"] == list(curve.turning_points)
    assert {"model", "scale", "features", "moodcurve", "licence", "file"} <= about.keys()


def test_predict_without_output_prints_a_summary(run, bundle, song, tmp_path):
    before = files(tmp_path)
    code, text, error = run("predict", song, "--model", bundle)
    assert (code, error) == (0, "")
    first, *lines, blank, last = text.splitlines()
    assert first == str(song)
    assert lines == [f"  {line}" for line in File2Curve(bundle)(song).summary().splitlines()]
    assert (blank, last[:10]) == ("", "Add -o DIR")
    assert files(tmp_path) == before


def test_predict_a_folder(run, bundle, tmp_path, out):
    music = tmp_path / "music"
    for name in ("b.wav", "sub/a.wav", ".hidden/c.wav"):
        wav(music / name)
    (music / "cover.jpg").touch()
    code, _, error = run("predict", music, music / "b.wav", "-o", out, "--model", bundle)
    assert (code, error) == (0, "")
    assert files(out) == ["a.csv", "a.json", "b.csv", "b.json"]


@pytest.mark.parametrize(
    "name", ["two words", "Übermütig äöü", "new\nline", "-dash", "a.b.c", "A$AP", "x" * 246, "夜"]
)
def test_predict_with_any_name(run, bundle, tmp_path, out, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    wav(Path(f"{name}.wav"), 0.5)
    code, _, error = run("predict", "-o", out, "--model", bundle, "--", f"{name}.wav")
    assert (code, error) == (0, "")
    assert files(out) == sorted([f"{name}.csv", f"{name}.json"])
    assert json.loads((out / f"{name}.json").read_text(encoding="utf-8"))["song"] == name


@pytest.mark.skipif(sys.platform != "linux", reason="file names are Unicode")
def test_predict_with_a_name_that_is_no_unicode(bundle, tmp_path, out):
    path = wav(tmp_path / "x.wav", 0.5).rename(tmp_path / os.fsdecode(b"\xff.wav"))
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    with start("predict", path, "-o", out, "--model", bundle, env=environment) as process:
        text, error = process.communicate()
    assert (process.returncode, error) == (0, "")
    assert text == f"wrote {out}/\\udcff.csv\n"
    assert files(out) == [os.fsdecode(b"\xff.csv"), os.fsdecode(b"\xff.json")]
    assert json.loads((out / os.fsdecode(b"\xff.json")).read_text())["file"] == path.name


def test_two_songs_of_one_name_get_two_names(run, bundle, tmp_path, out):
    names = ["1/x.wav", "2/x.wav", "3/X.wav", "4/x-2.wav"]
    paths = [wav(tmp_path / name, 0.5 + number / 2) for number, name in enumerate(names)]
    code, _, _ = run("predict", *paths, "-o", out, "--model", bundle)
    assert code == 0
    lengths = {path.stem: len(table(path)) for path in out.glob("*.csv")}
    assert lengths == {"x": 1, "x-2": 2, "X-3": 3, "x-2-2": 4}


def test_skip_existing(run, bundle, tmp_path, out):
    a, b = wav(tmp_path / "a.wav"), wav(tmp_path / "b.wav")
    run("predict", a, "-o", out, "--model", bundle)
    (out / "a.csv").write_text("mine")
    code, text, error = run("predict", a, b, "-o", out, "--model", bundle, "--skip-existing")
    assert (code, text) == (0, f"wrote {out / 'b.csv'}\n")
    assert error == "moodcurve: 1 of 2 songs have a curve already\n"
    assert (out / "a.csv").read_text() == "mine"
    run("predict", a, b, "-o", out, "--model", bundle)
    assert len(table(out / "a.csv")) == 2


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--plot"], "--plot: "),
        (["--skip-existing"], "--skip-existing: "),
        (["--scale", "0..1", "--moods"], "--moods, --scale: "),
    ],
)
def test_options_that_need_a_folder(run, bundle, song, options, named):
    code, text, error = run("predict", song, "--model", bundle, *options)
    assert (code, text) == (2, "")
    complains(error, f"{named}only for curves that are written to files; give -o DIR")


def test_scale_and_moods(run, bundle, song, out):
    """The same curve as the one in -1 .. 1, with its words, and a JSON that says the scale."""
    arguments = ("--model", bundle, "--moods", "--scale", "1..9")
    code, text, error = run("predict", song, "-o", out, *arguments)
    assert (code, text, error) == (0, f"wrote {out / 'tone.csv'}\n", "")
    curve = File2Curve(bundle)(song)
    with (out / "tone.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["start_s", "end_s", "valence", "arousal", "quadrant", "mood"]
    np.testing.assert_allclose(
        [float(row["arousal"]) for row in rows], 5 + 4 * curve.arousal, atol=5.01e-5
    )
    assert [row["mood"] for row in rows] == moods(curve.valence, curve.arousal).tolist()
    about = json.loads((out / "tone.json").read_text())
    assert about["scale"]["valence"] == "1 unpleasant .. 9 pleasant, 5 neutral"
    assert about["summary"]["valence"]["mean"] == pytest.approx(
        5 + 4 * curve.valence.mean(), abs=5.01e-5
    )


def test_the_default_scale_written_out(run, bundle, song, out):
    run("predict", song, "-o", out, "--model", bundle)
    code, _, error = run("predict", song, "-o", out / "b", "--model", bundle, "--scale=-1..1")
    assert (code, error) == (0, "")
    for name in files(out / "b"):
        assert (out / "b" / name).read_bytes() == (out / name).read_bytes()


@pytest.mark.parametrize("scale", ["0-1", "", "1..7"])
def test_a_wrong_scale(run, bundle, song, out, scale):
    code, text, error = run("predict", song, "-o", out, "--model", bundle, "--scale", scale)
    assert (code, text) == (2, "")
    complains(error, f"scale {scale}: no such scale; use one of: -1..1, 0..1, 1..9")
    assert not out.exists()


def test_an_unfamiliar_song_is_said(run, bundle, song, out, monkeypatch):
    call = predict.Rows2Curve.__call__

    def unfamiliar(self, rows, about=None):
        curve = call(self, rows, about)
        curve.about["familiarity"] = {"percentile": 99.4, "familiar": False}
        return curve

    monkeypatch.setattr(predict.Rows2Curve, "__call__", unfamiliar)
    code, text, error = run("predict", song, "-o", out, "--model", bundle)
    assert (code, text) == (0, f"wrote {out / 'tone.csv'}\n")
    assert error.startswith("moodcurve: tone.wav: unlike the music the model learned from (beyond ")
    assert error.endswith(" may be far off\n")
    assert error.count("\n") == 1
    assert json.loads((out / "tone.json").read_text())["familiarity"]["familiar"] is False
    code, text, error = run("predict", song, "--model", bundle)
    assert (code, error) == (0, "")
    assert "  unlike the music the model learned from (beyond 99 % of it);\n" in text


def test_plot(run, bundle, song, out):
    pytest.importorskip("matplotlib", reason="pictures need moodcurve[plot]")
    code, text, _ = run("predict", song, "-o", out, "--model", bundle, "--plot")
    assert code == 0
    assert files(out) == ["tone.csv", "tone.json", "tone.png"]
    assert text == f"wrote {out / 'tone.csv'}, {out / 'tone.png'}\n"


def test_plot_without_matplotlib(run, bundle, song, out, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, text, error = run("predict", song, song, "-o", out, "--model", bundle, "--plot")
    assert (code, text) == (2, "")
    complains(error, "pip install 'moodcurve[plot]'")
    assert not out.exists()


def test_one_bad_file_does_not_stop_the_others(run, bundle, tmp_path, out):
    a, c = wav(tmp_path / "a.wav"), wav(tmp_path / "c.wav")
    b = tmp_path / "b.wav"
    b.write_text("no sound")
    none = tmp_path / "none.wav"
    code, text, error = run("predict", none, a, b, c, "-o", out, "--model", bundle)
    assert code == 1
    complains(error, f"{none}: no such file", f"{b}: not a sound file")
    assert text == f"wrote {out / 'a.csv'}\nwrote {out / 'c.csv'}\n"
    assert files(out) == ["a.csv", "a.json", "c.csv", "c.json"]


def no_sound(path):
    path.write_text("no sound")


def cut_off(path):
    wav(path, 3)
    path.write_bytes(path.read_bytes()[:100_000])


def damaged(path):
    soundfile.write(path, tone(5), SAMPLE_RATE, format="FLAC")
    path.write_bytes(path.read_bytes()[:20_000])


def with_nan(path):
    sound = tone(2)
    sound[SAMPLE_RATE] = np.nan
    soundfile.write(path, sound, SAMPLE_RATE, subtype="FLOAT")


BAD = {
    "missing": (lambda path: None, "no such file"),
    "empty": (Path.touch, "empty (0 bytes)"),
    "no sound": (no_sound, "not a sound file that can be decoded"),
    "0.2 seconds": (lambda path: wav(path, 0.2), "shorter than half a second (0.20 s)"),
    "cut off": (cut_off, "cut off"),
    "damaged": (damaged, "cut off"),
    "NaN": (with_nan, "NaN or infinity at 1.00 s"),
    "folder without songs": (Path.mkdir, "no song in this folder"),
}


@pytest.mark.parametrize("command", ["predict", "predict -o", "features", "features -o"])
@pytest.mark.parametrize("kind", BAD)
def test_bad_files(run, bundle, tmp_path, out, command, kind):
    make, pattern = BAD[kind]
    path = tmp_path / "song.wav"
    make(path)
    before = files(tmp_path)
    if command.startswith("predict"):
        code, text, error = run(
            *command.split()[:1], path, "--model", bundle, *["-o", out][: 2 * command.count("-o")]
        )
        assert code == 1
    else:
        code, text, error = run("features", path, *["-o", out / "x.csv"][: 2 * command.count("-o")])
        assert code == 2
        if kind == "folder without songs":
            pattern = "a folder, not a sound file"
    assert text == ""
    complains(error, f"{path}: {pattern}")
    assert "; " in error
    assert files(out) == []
    assert set(files(tmp_path)) - set(before) <= {"curves"}


@pytest.mark.parametrize("kind", ["8 kHz", "192 kHz", "5.1", "8 bit"])
def test_unusual_files_are_fine(run, bundle, tmp_path, out, kind):
    rate = {"8 kHz": 8_000, "192 kHz": 192_000}.get(kind, SAMPLE_RATE)
    sound = 0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)
    if kind == "5.1":
        sound = np.stack([sound] * 6, axis=1)
    subtype = "PCM_U8" if kind == "8 bit" else "PCM_16"
    soundfile.write(tmp_path / "x.wav", sound, rate, subtype=subtype)
    code, _, error = run("predict", tmp_path / "x.wav", "-o", out, "--model", bundle)
    assert (code, error) == (0, "")
    rows = table(out / "x.csv")
    assert rows.shape == (4, 4)
    assert np.abs(rows[:, 2:]).max() <= 1


def test_silence_is_said(run, bundle, tmp_path, out):
    soundfile.write(tmp_path / "x.wav", np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    code, _, error = run("predict", tmp_path / "x.wav", "-o", out, "--model", bundle)
    assert code == 0
    assert error == "moodcurve: x.wav: silent from end to end; its curve is neutral (0)\n"
    np.testing.assert_array_equal(table(out / "x.csv")[:, 2:], np.zeros((2, 2)))


def test_m4a(run, bundle, tmp_path, out):
    av = pytest.importorskip("av", reason="m4a needs moodcurve[m4a]")
    with av.open(str(tmp_path / "x.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=SAMPLE_RATE)
        stream.layout = "mono"
        sound = tone(3)
        for first in range(0, len(sound), 1024):
            frame = av.AudioFrame.from_ndarray(sound[None, first : first + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    code, _, error = run("predict", tmp_path / "x.m4a", "-o", out, "--model", bundle)
    assert (code, error) == (0, "")
    assert 6 <= len(table(out / "x.csv")) <= 7


@pytest.mark.parametrize("place", ["", "sub"])
def test_a_folder_that_cannot_be_written(run, bundle, song, monkeypatch, place):
    """Found before any song is worked on."""
    monkeypatch.setattr(predict.File2Curve, "__call__", None)
    code, text, error = run("predict", song, "-o", song / place, "--model", bundle)
    assert (code, text) == (2, "")
    complains(error, f"{song / place}: cannot be written")


def test_a_full_disk_leaves_no_file(run, bundle, song, out, monkeypatch):
    def full(*rest, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("moodcurve.export.csv.csv.writer", full)
    code, text, error = run("predict", song, "-o", out, "--model", bundle)
    assert (code, text) == (1, "")
    complains(error, f"{out / 'tone.csv'}: cannot be written (No space left on device)")
    assert files(out) == ["tone.json"]


@pytest.mark.parametrize("model", ["nosuch", "x" * 300])
def test_no_such_model(run, song, out, model):
    code, text, error = run("predict", song, "-o", out, "--model", model)
    assert code in (1, 2)
    assert text == ""
    complains(error, model)
    assert not out.exists()


def test_a_corrupt_model(run, bundle, song, out):
    (bundle / "weights.npz").write_bytes(b"other")
    code, text, error = run("predict", song, "-o", out, "--model", bundle)
    assert (code, text) == (2, "")
    complains(error, "corrupt (sha256 differs)")
    assert not out.exists()


def test_ctrl_c_keeps_what_is_done(run, bundle, tmp_path, out, monkeypatch):
    paths = [wav(tmp_path / f"{name}.wav", 0.5) for name in "abc"]
    blocks = predict.read_blocks

    def interrupted(path):
        yield from blocks(path)
        if path.stem == "b":
            raise KeyboardInterrupt

    monkeypatch.setattr(predict, "read_blocks", interrupted)
    code, text, error = run("predict", *paths, "-o", out, "--model", bundle)
    assert (code, text, error) == (130, f"wrote {out / 'a.csv'}\n", "moodcurve: stopped\n")
    assert files(out) == ["a.csv", "a.json"]


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
def test_a_real_ctrl_c(bundle, tmp_path, out):
    for number in range(200):
        wav(tmp_path / "music" / f"{number}.wav", 0.5)
    with start("predict", tmp_path / "music", "-o", out, "--model", bundle) as process:
        assert process.stdout.readline().startswith("wrote ")
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=20)
    assert (process.returncode, error) == (130, "moodcurve: stopped\n")
    found = files(out)
    assert 0 < len(found) < 400
    assert {Path(name).suffix for name in found} <= {".csv", ".json"}
    assert all(len(table(path)) == 1 for path in out.glob("*.csv"))


# moodcurve features


def test_features_on_standard_output_is_the_table_only(run, song):
    code, text, error = run("features", song)
    assert (code, error) == (0, "")
    header, *lines = text.splitlines()
    assert header.split(";") == ["frameTime", *FEATURE_NAMES]
    found = np.array([[float(cell) for cell in line.split(";")] for line in lines])
    assert found.shape == (18, 261)  # whole windows of 1 s in the 995 frames of 10 s
    np.testing.assert_array_equal(found[:, 0], np.arange(18) / 2)
    expected = rows_of([read(song)])[:18]
    np.testing.assert_allclose(found[:, 1:], expected, rtol=1e-6)


def test_features_into_a_file(run, song, out):
    _, expected, _ = run("features", song)
    code, text, error = run("features", song, "-o", out / "new" / "x.csv")
    assert (code, error) == (0, "")
    assert text == f"wrote {out / 'new' / 'x.csv'}: 18 rows of 260 features\n"
    assert (out / "new" / "x.csv").read_text() == expected
    assert files(out / "new") == ["x.csv"]


def test_features_that_cannot_be_written(run, song):
    code, text, error = run("features", song, "-o", song / "x.csv")
    assert (code, text) == (2, "")
    complains(error, f"{song / 'x.csv'}: cannot be written")


def test_features_into_a_string(song):
    """Any text stream will do."""
    with redirect_stdout(io.StringIO()) as text:
        assert main(["features", str(song)]) == 0
    assert text.getvalue().count("\n") == 19


# moodcurve evaluate, train, models


@pytest.fixture
def corpus(tmp_path):
    """Six songs in two corpora, one of them with labels along the song."""
    one, two = tmp_path / "one", tmp_path / "two"
    for number in range(6):
        wav(((one, two)[number % 2]) / "audio" / f"{number}.wav", 1.5, 110 * (1 + number))
    rows = [f"{number},{number / 5 - 0.4},{0.5 - number / 5}" for number in (0, 2, 4)]
    (one / "static.csv").write_text("\n".join(["song,valence,arousal", *rows, ""]))
    rows = [f"{number},{t / 2},{number / 5 - 0.4},0.{t}" for number in (1, 3, 5) for t in range(3)]
    (two / "dynamic.csv").write_text("\n".join(["song,time_s,valence,arousal", *rows, ""]))
    (one / "songs.csv").write_text("song,group\n0,x\n2,y\n")
    return one, two


@contextlib.contextmanager
def workers_here(jobs, scheduler):
    yield lambda function, jobs, *shared: ((job, function(job, *shared)) for job in jobs)


@pytest.fixture
def here(monkeypatch):
    """Work in this process, which is quicker than to start others."""

    def run(function, jobs, initializer=None, shared=()):
        if initializer:
            initializer(*shared)
        return map(function, jobs)

    monkeypatch.setattr("moodcurve.corpora.rows.in_processes", run)
    with contextlib.suppress(ImportError):
        import moodcurve.cluster

        monkeypatch.setattr(moodcurve.cluster, "workers", workers_here)


@pytest.mark.parametrize(
    ("problem", "code"),
    [(Unfinished("the Dask scheduler has gone away"), 1), (InputError("too few songs"), 2)],
)
def test_training_that_stops_half_way(run, corpus, out, here, monkeypatch, problem, code):
    cluster = pytest.importorskip("moodcurve.cluster", reason="needs moodcurve[train]")
    ensemble = pytest.importorskip("moodcurve.training.ensemble", reason="needs moodcurve[train]")
    given = []

    @contextlib.contextmanager
    def workers(*arguments):
        given.append(arguments)
        yield None

    def train_model(*arguments):
        raise problem

    monkeypatch.setattr(cluster, "workers", workers)
    monkeypatch.setattr(ensemble, "train_model", train_model)
    found = run("train", corpus[0], "-o", out / "model", "--scheduler", "tcp://head:8786")
    assert (found[0], found[1]) == (code, "")
    assert given == [(None, "tcp://head:8786")]
    assert found[2].count("\n") == 1
    assert str(problem) in found[2]
    assert ("nothing is written yet: start the same command again" in found[2]) == (code == 1)
    assert not (out / "model").exists()


def test_training_where_the_disk_is_full(run, bundle, corpus, out, here, monkeypatch):
    """Before it begins; and, filled by others meanwhile, at its end."""
    ensemble = pytest.importorskip("moodcurve.training.ensemble", reason="needs moodcurve[train]")
    (out / "temporary").mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(out / "temporary"))
    trained = []

    def train_model(*arguments):
        trained.append(arguments)
        (out / "model").write_text("in the way")
        return load(bundle)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ensemble, "train_model", train_model)
    monkeypatch.setattr(ensemble, "learned", lambda model: "figures")
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full, raising=False)
        code, text, error = run("train", corpus[0], "-o", out / "model")
    assert (code, text, trained) == (2, "", [])
    complains(error, f"{out}: no room for 6 MB (No space left on device); make room or choose")
    assert files(out) == ["temporary"]

    code, text, error = run("train", corpus[0], "-o", out / "model")
    assert (code, text) == (1, "figures\n")
    (rescued,) = (out / "temporary").glob("*/model")
    complains(error, f"the model is safe in {rescued}: move it from there")
    assert "start the same command again" not in error
    assert load(rescued).about == load(bundle).about


def test_evaluate(run, bundle, corpus, out, here):
    one, two = corpus
    code, text, error = run("evaluate", bundle, one, "--json", out / "figures.json")
    assert (code, error) == (0, "")
    lines = text.splitlines()
    assert lines[0] == "random on one: 3 songs, 9 labelled half-seconds"
    assert max(map(len, lines)) <= 80
    assert {"all frames pooled", "by song: mean", "x (1)", "y (1)"} <= set(lines)
    figures = json.loads((out / "figures.json").read_text())
    flat = figures["systems"]["constant"]["valence"]["pooled"]
    assert flat["rmse"] == pytest.approx(math.sqrt(np.mean([0.5**2, 0.1**2, 0.3**2])))
    assert figures["groups"].keys() == {"x", "y"}
    code, text, _ = run("evaluate", bundle, two)
    assert code == 0
    assert text.startswith("random on two: 3 songs, 9 labelled half-seconds\n")


def test_evaluate_where_the_figures_cannot_be_written(run, bundle, corpus, song, here):
    code, text, error = run("evaluate", bundle, corpus[0], "--json", song / "x.json")
    assert code == 2
    assert "all frames pooled" in text
    complains(error, "cannot be written")


def test_train_then_predict(run, corpus, song, tmp_path, out, here, monkeypatch):
    pytest.importorskip("torch", reason="training needs moodcurve[train]")
    from moodcurve.training.presets import PRESETS

    default = PRESETS["default"]
    quick = replace(
        default,
        layers=1,
        units=2,
        partitions=2,
        share=0.5,
        settings=replace(default.settings, epochs=1),
    )
    monkeypatch.setitem(PRESETS, "quick", quick)
    new = tmp_path / "new" / "mine"
    code, text, error = run("train", *corpus, "-o", new, "--preset", "quick")
    assert (code, error) == (0, "")
    lines = text.splitlines()
    assert lines[-1] == f"wrote {new}"
    assert "6 songs, 18 labelled half-seconds" in lines[0]
    assert max(map(len, lines)) <= 80
    assert files(new.parent) == ["mine"]
    trained = load(new)
    assert trained.about["name"] == "mine"
    assert trained.about["training"]["corpora"] == ["one", "two"]
    assert len(trained.fusions["valence"].groups) == 2
    assert len(files(tmp_path / ".cache")) == 6

    code, _, _ = run("predict", song, "-o", out, "--model", new)
    assert code == 0
    curve = table(out / "tone.csv", *BAND)
    assert len(curve) == 20
    assert (curve[:, 4] <= curve[:, 2]).all()
    assert (curve[:, 2] <= curve[:, 5]).all()
    assert json.loads((out / "tone.json").read_text())["model"]["name"] == "mine"
    code, text, _ = run("evaluate", new, corpus[1])
    assert text.startswith("mine on two: ")

    # Where it cannot be written is found before anything is trained.
    monkeypatch.setattr("moodcurve.training.ensemble.train_model", None)
    for keep in (corpus[0], song):
        before = files(keep) if keep.is_dir() else keep.read_bytes()
        code, text, error = run("train", *corpus, "-o", keep, "--preset", "quick")
        assert (code, text) == (2, "")
        complains(error, f"{keep}: exists and is not a model")
        assert (files(keep) if keep.is_dir() else keep.read_bytes()) == before
    code, _, error = run("train", *corpus, "-o", song / "x", "--preset", "quick")
    assert code == 2
    complains(error, "cannot be written")


def test_train_with_too_few_songs(run, corpus, tmp_path, here):
    pytest.importorskip("torch", reason="training needs moodcurve[train]")
    code, text, error = run("train", corpus[0], "-o", tmp_path / "m")
    assert (code, text) == (2, "")
    complains(error, "too few for 5 validation sets")
    assert not (tmp_path / "m").exists()


def test_train_with_no_such_preset(run, corpus, tmp_path):
    pytest.importorskip("torch", reason="training needs moodcurve[train]")
    code, _, error = run("train", corpus[0], "-o", tmp_path / "m", "--preset", "nosuch")
    assert code == 2
    complains(error, "--preset nosuch: no such preset; use one of: default, paper-2016")


def test_train_without_torch(run, corpus, tmp_path, monkeypatch):
    import moodcurve.training

    monkeypatch.setattr(moodcurve, "training", moodcurve.training)  # to be put back
    for name in [name for name in sys.modules if name.startswith("moodcurve.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, error = run("train", corpus[0], "-o", tmp_path / "m")
    assert code == 2
    complains(error, "training needs torch; run: pip install 'moodcurve[train]'")


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_all_mistakes_of_a_corpus_at_once(run, bundle, corpus, tmp_path, command):
    if command == "train":
        pytest.importorskip("torch", reason="training needs moodcurve[train]")
    one, _ = corpus
    (one / "static.csv").write_text("song,valence,arousal\n0,5,0\n0,0,0\n9,0,x\n2,0,0\n")
    (one / "songs.csv").write_bytes(b"song,group\n\xff,x\n")
    arguments = ["train", one, "-o", tmp_path / "m"]
    if command == "evaluate":
        arguments = ["evaluate", bundle, one]
    code, text, error = run(*arguments)
    assert (code, text) == (2, "")
    first, *lines = error.splitlines()
    assert first == f"moodcurve: error: {one}: {len(lines)} problems"
    found = {line.split(": ")[0] for line in lines}
    assert found == {f"static.csv:{line}" for line in (2, 3, 4)} | {"songs.csv:2", "audio/4.wav"}
    assert all("; " in line for line in lines)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_all_bad_songs_of_a_corpus_at_once(run, bundle, corpus, tmp_path, here, command):
    if command == "train":
        pytest.importorskip("torch", reason="training needs moodcurve[train]")
    one, two = corpus
    with_nan(two / "audio" / "1.wav")
    no_sound(two / "audio" / "5.wav")
    arguments = ["train", one, two, "-o", tmp_path / "m"]
    if command == "evaluate":
        arguments = ["evaluate", bundle, two]
    code, text, error = run(*arguments)
    assert (code, text) == (2, "")
    first, second = error.splitlines()
    assert first.startswith(f"moodcurve: error: {two / 'audio' / '1.wav'}: NaN or infinity")
    assert second.startswith(f"{two / 'audio' / '5.wav'}: not a sound file")
    assert not (tmp_path / "m").exists()


def test_no_such_corpus(run, bundle, tmp_path):
    code, text, error = run("evaluate", bundle, tmp_path / "none")
    assert (code, text) == (2, "")
    complains(error, f"{tmp_path / 'none'}: no such folder")


def test_models(run, model, tmp_path, monkeypatch):
    monkeypatch.setattr(bundles.resources, "files", lambda package: tmp_path / package)
    assert run("models") == (0, "", "")
    save(model, tmp_path / "moodcurve" / "models" / "zen")
    code, text, error = run("models")
    assert (code, error) == (0, "")
    assert text.splitlines()[0] == "zen"
    assert "MIT" in text
    code, _, error = run("predict", "x.wav", "--model", "nosuch")
    complains(
        error,
        "x.wav: no such file",
        "nosuch: no such model; give the folder of one, or one of: zen",
    )


def test_unique_stems_never_collide():
    songs = [Path(name) for name in ("a.wav", "a.mp3", "A.ogg", "a-2.wav", "a-3.wav", "a.b.wav")]
    stems = cli._unique_stems(songs)
    assert stems == ["a", "a-2", "A-3", "a-2-2", "a-3-2", "a.b"]
