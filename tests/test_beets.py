"""The beets plugin, in a scratch library of beets itself."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from conftest import tone
from moodcurve import File2Curve
from moodcurve.audio import SAMPLE_RATE
from moodcurve.model import save

pytest.importorskip("beets", reason="the plugin needs beets")


@pytest.fixture
def beet(model, tmp_path):
    """Run beets in a library of its own; gives what it prints, or its error."""
    save(model, tmp_path / "bundle")
    config = tmp_path / "beets" / "config.yaml"

    def configure(**options):
        config.parent.mkdir(exist_ok=True)
        options = {"model": tmp_path / "bundle"} | options
        lines = "".join(f"  {name}: {value}\n" for name, value in options.items())
        config.write_text(
            f"directory: {tmp_path / 'library'}\nlibrary: {tmp_path / 'beets' / 'library.db'}\n"
            "plugins: moodcurve\ncreate_backup_before_migrations: no\n"
            f"import:\n  autotag: no\n  copy: yes\nmoodcurve:\n{lines}"
        )

    def call(*arguments):
        environment = os.environ | {"BEETSDIR": str(config.parent), "HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-m", "beets", *map(str, arguments)],
            capture_output=True,
            text=True,
            env=environment,
        )
        assert "Traceback" not in done.stderr
        return done

    configure()
    call.configure = configure
    return call


@pytest.fixture
def songs(tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    for name, pitch in (("low", 110.0), ("high", 880.0)):
        path = folder / f"{name} ä.flac"
        with soundfile.SoundFile(path, "w", SAMPLE_RATE, channels=1) as file:
            file.title = name
            file.write(tone(1, pitch))
    return sorted(folder.iterdir())


def listed(beet, *query):
    found = beet("ls", "-f", "$valence $arousal", *query).stdout.split("\n")[:-1]
    return sorted(found)


def means(tmp_path, songs):
    curves = [File2Curve(tmp_path / "bundle")(song) for song in songs]
    return np.array([[curve.valence.mean(), curve.arousal.mean()] for curve in curves])


def test_imported_songs_have_values_that_can_be_asked_for(beet, songs, tmp_path):
    assert beet("import", "-q", songs[0].parent).returncode == 0
    expected = means(tmp_path, songs)
    assert listed(beet) == sorted(f"{v:.4f} {a:.4f}" for v, a in expected)
    between = expected[:, 0].mean()
    for query, wanted in (
        (f"valence:{between}..", expected[:, 0] >= between),
        (f"valence:..{between}", expected[:, 0] < between),
        ("valence:-1..1", [True, True]),
        ("valence:1.1..", [False, False]),
        ("arousal:-1.5..-1.1", [False, False]),
    ):
        assert len(listed(beet, query)) == np.sum(wanted), query


def test_the_command_traces_what_has_no_values(beet, songs, tmp_path):
    beet.configure(auto="no")
    beet("import", "-q", songs[0].parent)
    assert listed(beet) == ["$valence $arousal"] * 2
    done = beet("moodcurve", "title:low")
    assert (done.returncode, done.stdout) == (0, "")
    assert len(listed(beet, "valence:-1..1")) == 1
    # Traced once: now the file may be gone, and is not missed.
    for path in (tmp_path / "library").rglob("*low.flac"):
        path.unlink()
    assert "no such file" not in beet("moodcurve").stderr
    assert len(listed(beet, "valence:-1..1")) == 2
    done = beet("moodcurve", "--force")
    assert done.returncode == 0
    assert done.stderr.count("no such file") == 1
    assert len(listed(beet, "valence:-1..1")) == 2


def test_a_bad_file_does_not_stop_the_others(beet, songs, tmp_path):
    beet.configure(auto="no")
    beet("import", "-q", songs[0].parent)
    bad = next((tmp_path / "library").rglob("*high.flac"))
    bad.write_bytes(bad.read_bytes()[:9_000])
    done = beet("moodcurve")
    assert done.returncode == 0
    assert "cut off" in done.stderr
    assert len(listed(beet, "valence:-1..1")) == 1


def test_no_such_model(beet, songs):
    beet.configure(auto="no")
    beet("import", "-q", songs[0].parent)
    beet.configure(auto="no", model="nosuch")
    done = beet("moodcurve")
    assert done.returncode == 1
    assert "nosuch: no such model" in done.stderr
