"""Cross-validate a preset: every song predicted by a model that saw neither it nor its series.

    python benchmarks/cross_validation.py CORPUS... [--preset default] [--folds 7] [--json FILE]
                                          [--predictions FILE.npz] [--seed N] [--live]
                                          [--leave-genre-out]

Songs are dealt to folds by whole groups (series); songs without group one by one, evenly by genre.
Within a fold's training songs the preset draws its own validation sets, so what stops the networks
and trains the ELM is never what is scored. Beside the model, on the same rows: the constant
predictor (mean of the training labels), ridge regression on single rows (its strength chosen by
grouped cross-validation within the training songs), each scale's networks alone, their average,
and the ELM alone. Then how often the band holds the label, overall and by the label's quadrant,
how wide it is beside the constant predictor's, and how many songs are flagged as unfamiliar. The
predictions are kept for `benchmarks/comparison.py`. With --live, on every eighth half-second of
songs over 30 s, what the model says of it when the music was heard up to 0 and 5 s after it. With
--leave-genre-out, the folds are the genres of the songs that have one, each predicted by a model
that heard no song of it.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from tqdm import tqdm

from moodcurve.corpora.folder import read_corpus
from moodcurve.corpora.rows import LabelledRows, labelled_rows
from moodcurve.curve import Band
from moodcurve.evaluate import compare, constant, coverage, table
from moodcurve.familiarity import STRANGE
from moodcurve.metrics import ccc, rmse
from moodcurve.model import DIMENSIONS, Model
from moodcurve.predict import Rows2Curve, fuse, network_outputs
from moodcurve.spread import LEVEL
from moodcurve.training.ensemble import train_on_songs
from moodcurve.training.partitions import validation_sets
from moodcurve.training.presets import Preset, preset

Estimates = dict[str, list[NDArray[np.float64]]]
LOOK_AHEADS = (0, 10)  # half-seconds
LIVE_FROM = 60  # half-seconds; shorter songs are not followed live
STRENGTHS = (1e2, 1e3, 1e4, 1e5)  # of the ridge


class Banded(NamedTuple):
    """The band around a song's curve, the constant predictor's, and how strange the song is."""

    band: Band
    constant: NDArray[np.float64]  # (2,), width of a band of the same level around the constant
    percentile: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--folds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0, help="of the training, not of the folds")
    parser.add_argument("--live", action="store_true", help="also follow the songs live")
    parser.add_argument("--leave-genre-out", action="store_true", help="a fold a genre")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--predictions", type=Path, help="also keep every system's curves there")
    options = parser.parse_args()

    corpora = [read_corpus(folder) for folder in options.corpora]
    songs = labelled_rows([song for corpus in corpora for song in corpus.songs])
    start = time.perf_counter()
    genres = genre_sets(songs) if options.leave_genre_out else {}
    sets = list(genres.values()) or fold_sets(songs, options.folds)
    estimates, bands = cross_validate(
        songs, preset(options.preset), sets, options.seed, options.live
    )
    if options.leave_genre_out:
        show_genres(songs, genres, estimates)
        return
    heard = [i for i, song in enumerate(songs) if options.live and len(song.rows) > LIVE_FROM]
    if heard:
        show_live([songs[i] for i in heard], estimates, heard)
        estimates = {name: values for name, values in estimates.items() if "live" not in name}
    if options.predictions:
        keep(options.predictions, songs, estimates, bands)
    figures = {}
    for corpus in corpora:
        members = [i for i, song in enumerate(songs) if song.song in corpus.songs]
        own = {name: [values[i] for i in members] for name, values in estimates.items()}
        figures[corpus.name] = {
            "model": f"preset {options.preset}, {options.folds} folds",
            "corpus": corpus.name,
            **compare([songs[i] for i in members], own),
            "band": coverage([songs[i] for i in members], [bands[i].band for i in members]),
        }
        print(table(figures[corpus.name]), end="\n\n")
        flat = np.mean([bands[i].constant for i in members], axis=0)
        strange = sum(bands[i].percentile > STRANGE for i in members)
        figures[corpus.name] |= {"constant_width": flat.tolist(), "unfamiliar_songs": int(strange)}
        print("width of a band around the constant: {:.2f}, {:.2f}".format(*flat))
        print(f"songs flagged as unfamiliar: {strange}", end="\n\n")
    print(f"{(time.perf_counter() - start) / 60:.0f} minutes")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def fold_sets(songs: list[LabelledRows], folds: int) -> list[NDArray[np.int64]]:
    """The test songs of each fold."""
    rng = np.random.default_rng(1)
    return validation_sets([song.song for song in songs], folds, 1 / folds, rng)


def genre_sets(songs: list[LabelledRows]) -> dict[str, NDArray[np.int64]]:
    """The songs of each genre."""
    genres = [song.song.genre for song in songs]
    return {
        genre: np.array([i for i, one in enumerate(genres) if one == genre])
        for genre in sorted({one for one in genres if one})
    }


def show_genres(
    songs: list[LabelledRows], genres: dict[str, NDArray[np.int64]], estimates: Estimates
) -> None:
    """Print each genre's figures by the models that heard none of it."""
    print(f"{'':16}{'':8}{'valence RMSE':>16}{'arousal RMSE':>16}")
    print(f"{'genre left out':16}{'songs':>8}" + f"{'model':>8}{'const':>8}" * 2)
    for genre, members in {**genres, "all": np.concatenate([*genres.values()])}.items():
        cells = ""
        for d in range(len(DIMENSIONS)):
            labels = np.concatenate([songs[i].labels[:, d] for i in members])
            there = ~np.isnan(labels)
            for name in ("model", "constant"):
                said = np.concatenate([estimates[name][i][:, d] for i in members])
                cells += f"{rmse(labels[there], said[there]):8.3f}"
        print(f"{genre:16}{len(members):8}{cells}")


def cross_validate(
    songs: list[LabelledRows],
    chosen: Preset,
    sets: list[NDArray[np.int64]],
    seed: int = 0,
    live: bool = False,
) -> tuple[Estimates, dict[int, Banded]]:
    """Estimates (n, 2) of every song by every system, none of which was trained on it.

    And the band around the model's. `sets` are the folds' test songs; a song that is in none has
    no estimates.
    """
    estimates: Estimates = {}
    bands: dict[int, Banded] = {}
    for test in tqdm(sets, "folds", disable=None):
        held = set(test.tolist())
        training = [song for i, song in enumerate(songs) if i not in held]
        model = train_on_songs(training, chosen, "fold", [], seed=seed)
        predicted, around = curves(model, training, [songs[i] for i in test])
        for i, band in zip(test, around, strict=True):
            bands[i] = band
        found = {
            "model": predicted,
            "constant": constant([songs[i] for i in test], model.about["training"]["constant"]),
            "ridge": ridge(model, training, [songs[i] for i in test], chosen),
            **single_scales(model, [songs[i] for i in test]),
            **(live_curves(model, [songs[i] for i in test]) if live else {}),
        }
        for name, values in found.items():
            filled = estimates.setdefault(name, [np.empty((0, 2))] * len(songs))
            for i, value in zip(test, values, strict=True):
                filled[i] = value
    return estimates, bands


def curves(
    model: Model, training: list[LabelledRows], songs: list[LabelledRows]
) -> tuple[list[NDArray[np.float64]], list[Banded]]:
    rows2curve = Rows2Curve(model)
    constant = constant_width(training, model.about["training"]["constant"])
    values, bands = [], []
    for song in songs:
        curve = rows2curve(song.rows)
        values.append(np.column_stack([curve.valence, curve.arousal]))
        bands.append(Banded(curve.band, constant, curve.about["familiarity"]["percentile"]))
    return values, bands


def live_curves(model: Model, songs: list[LabelledRows]) -> Estimates:
    """As `live.StreamCurve` does: each half-second from the rows up to it and some after it.

    (n, 2) a song, NaN but for every eighth half-second of songs long enough. A stream's last rows
    are those of audio that ends there; here they are the song's own.
    """
    rows2curve, longest = Rows2Curve(model), max(model.scales)
    found: Estimates = {}
    for ahead in LOOK_AHEADS:
        curves = found.setdefault(f"live {ahead / 2:.0f} s", [])
        for song in songs:
            curve = np.full((len(song.rows), 2), np.nan)
            for k in range(0, len(song.rows) if len(song.rows) > LIVE_FROM else 0, 8):
                first = max(0, (k - 240) // longest * longest)
                part = rows2curve(song.rows[first : k + 1 + ahead])
                curve[k] = part.valence[k - first], part.arousal[k - first]
            curves.append(curve)
    return found


def show_live(songs: list[LabelledRows], estimates: Estimates, heard: list[int]) -> None:
    """Print what is lost by not knowing how the song goes on."""
    print(f"every eighth half-second of {len(songs)} songs; look-ahead, pooled RMSE and CCC")
    names = [f"live {ahead / 2:.0f} s" for ahead in LOOK_AHEADS]
    for name in (*names, "model"):
        cells = ""
        for d, dimension in enumerate(DIMENSIONS):
            y, x = ([], [])
            for song, i in zip(songs, heard, strict=True):
                there = ~np.isnan(estimates[names[0]][i][:, 0]) & ~np.isnan(song.labels[:, d])
                y.append(song.labels[there, d])
                x.append(estimates[name][i][there, d])
            pair = np.concatenate(y), np.concatenate(x)
            cells += f"   {dimension} {rmse(*pair):.3f} {ccc(*pair):.3f}"
        print(f"  {name if name != 'model' else 'offline':10}{cells}")
    print()


def constant_width(training: list[LabelledRows], value: list[float]) -> NDArray[np.float64]:
    """Width of the band around the constant that holds `LEVEL` of the training songs' labels."""
    errors = [np.abs(song.labels - value) for song in training]
    errors = [e[~np.isnan(e[:, 0])] for e in errors]
    weights = np.concatenate([np.full(len(e), 1 / len(e) / len(errors)) for e in errors])
    widths = []
    for column in np.concatenate(errors).T:
        order = np.argsort(column)
        inside = np.searchsorted(np.cumsum(weights[order]), LEVEL)
        widths.append(2 * column[order][min(inside, len(order) - 1)])
    return np.array(widths)


def keep(path: Path, songs: list[LabelledRows], estimates: Estimates, bands: list[Banded]) -> None:
    """Write the curves of all systems, and the bands, under the songs' names."""
    arrays = {}
    for i, song in enumerate(songs):
        name = song.song.name
        arrays |= {f"{name}/{system}": values[i] for system, values in estimates.items()}
        arrays[f"{name}/labels"] = song.labels
        arrays |= {f"{name}/{edge}": values for edge, values in vars(bands[i].band).items()}
    np.savez_compressed(path, **arrays)


def single_scales(model: Model, songs: list[LabelledRows]) -> Estimates:
    """Each scale's networks, averaged over the groups; the average of all scales (AVG); the ELM."""
    found: Estimates = {f"scale {scale}": [] for scale in model.scales}
    found |= {"average of scales": [], "ELM": []}
    elms = {d: replace(f, elm_share=1.0, smoothing=1) for d, f in model.fusions.items()}
    for song in songs:
        rows = model.inputs(song.rows)
        outputs = network_outputs(model, rows)
        both = np.stack(  # (S, n, 2)
            [outputs[dimension].mean(axis=0) for dimension in DIMENSIONS],
            axis=2,
        )
        for scale, output in zip(model.scales, both, strict=True):
            found[f"scale {scale}"].append(output)
        found["average of scales"].append(both.mean(axis=0))
        fused = [fuse(elms[dimension], outputs[dimension]) for dimension in DIMENSIONS]
        found["ELM"].append(np.column_stack(fused))
    return found


def ridge(
    model: Model, training: list[LabelledRows], test: list[LabelledRows], chosen: Preset
) -> list[NDArray[np.float64]]:
    """Ridge regression on single rows, its strength chosen on the model's kind of partitions."""
    rng = np.random.default_rng(0)
    sets = validation_sets([s.song for s in training], chosen.partitions, chosen.share, rng)

    def fit(songs: list[LabelledRows], strength: float) -> Ridge:
        rows = np.concatenate([model.inputs(song.rows) for song in songs])
        labels = np.concatenate([song.labels for song in songs])
        there = ~np.isnan(labels[:, 0])
        return Ridge(strength).fit(rows[there], labels[there])

    def error(strength: float) -> float:
        total = 0.0
        for held in sets:
            inside = set(held.tolist())
            fitted = fit([s for i, s in enumerate(training) if i not in inside], strength)
            for song in (training[i] for i in held):
                difference = fitted.predict(model.inputs(song.rows)) - song.labels
                total += float(np.nansum(difference**2))
        return total

    best = fit(training, min(STRENGTHS, key=error))
    return [best.predict(model.inputs(song.rows)) for song in test]


if __name__ == "__main__":
    main()
