"""The tables of a run, from its finished jobs.

Each function makes one table twice: `data` for the CSV, one figure a row with its interval, and
`view` for people. The figure shown as RMSE is the mean of the songs' RMSE, as the challenge scored;
intervals are 95 %, by bootstrap over songs.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from moodcurve.corpora.folder import Corpus, Song
from moodcurve.corpora.genres import genre_weights
from moodcurve.intervals import Interval, holm, measures, paired
from moodcurve.model import DIMENSIONS
from moodcurve.reproduce import plan, published, systems
from moodcurve.reproduce.bundle import save_model
from moodcurve.reproduce.recipes import Recipe
from moodcurve.reproduce.split import (
    PARTITIONS,
    TRAINING,
    WITH_TEST,
    Material,
    Split,
    pretraining_labels,
)
from moodcurve.reproduce.systems import AVG, CONSTANT, ELM, LSTM, MLR, RNN, SINGLE, SVR, Results
from moodcurve.reproduce.tables import Cell, Table, as_text, interval_text, write_table
from moodcurve.training.presets import SCALES

Row = tuple[Cell, ...]
Tables = tuple[Table, Table]

_FIGURE = ("rmse", "low", "high", "pooled_rmse", "pooled_low", "pooled_high")
_PUBLISHED = "paper: Li et al. 2016, on the test set and labels of MediaEval 2015"
_OURS = "RMSE: mean of the songs' RMSE; [ ]: 95 % interval, by bootstrap over songs"


def write_tables(
    asked: Sequence[str],
    run: Path,
    corpus: Corpus,
    split: Split,
    material: Material | None,
    recipe: Recipe,
    full: Path | None,
) -> Iterator[str]:
    """Write the tables asked for to the folder of the run, and yield each one's text.

    With Table 2 the networks behind it are written as a model.
    """
    makers: dict[str, Callable[[], Tables]] = {
        "partitions": partial(partitions, split),
        "constant": partial(constant, split),
    }
    if material:
        found = Findings(Results(material, recipe, run), split, pretraining_labels(split, full))
        makers |= {
            "search": partial(search, found),
            "table1": partial(table1, found),
            "table2": partial(table2, found),
            "table3": partial(table3, found),
            "lengths": partial(lengths, found),
            "measures": partial(all_measures, found),
            "tests": partial(tests, found),
            "nested": partial(nested, found),
        }
    for name in asked:
        data, view = makers[name]()
        write_table(run, data, view)
        yield as_text(view)
        if name == "table2":
            save_model(found.fused, found.results, corpus.name, found.elm_figures(corpus.name))


class Findings:
    """What the tables share: labels, and each system's predictions, made when first asked for."""

    def __init__(
        self, results: Results, split: Split, pretraining: Mapping[str, str | None]
    ) -> None:
        self.results = results
        self.split = split
        self.pretraining = pretraining

    @cached_property
    def fused(self) -> list[systems.Fused]:
        """The fused ensemble of each dimension."""
        return [systems.select(self.results, plan.ensemble(self.results.recipe, d)) for d in (0, 1)]

    @cached_property
    def blstm(self) -> list[dict[str, systems.Curves]]:
        """Each dimension's single networks, AVG and ELM on the test songs."""
        return [systems.ensemble_curves(self.results, fused, "test") for fused in self.fused]

    @cached_property
    def with_test(self) -> list[dict[str, systems.Curves]] | None:
        """The same, pretrained on test audio too; None where a corpus has no such set."""
        if self.pretraining[WITH_TEST] is None:
            return None
        results = self.results
        chosen = [
            systems.select(results, plan.ensemble(results.recipe, d, WITH_TEST)) for d in (0, 1)
        ]
        return [systems.ensemble_curves(results, fused, "test") for fused in chosen]

    @cached_property
    def baselines(self) -> list[dict[str, systems.Curves]]:
        """Each dimension's baselines and the constant on the test songs."""
        return [systems.baseline_curves(self.results, d) for d in (0, 1)]

    @cached_property
    def everything(self) -> list[dict[str, systems.Curves]]:
        """Each dimension's systems, all of them, on the test songs."""
        both = [self.baselines[d] | self.blstm[d] for d in (0, 1)]
        if self.with_test:
            for d in (0, 1):
                for name in (AVG, ELM):
                    both[d][f"{name} (test audio seen)"] = self.with_test[d][name]
        return both

    def labels(self, dimension: int) -> list[np.ndarray]:
        """The test songs' labels."""
        return [song.labels[:, dimension] for song in self.results.material.test]

    def elm_figures(self, corpus: str) -> dict[str, Any]:
        """What a model's manifest says of the fused predictions on the test songs."""
        figures = [self.figures(d, self.blstm[d][ELM]) for d in (0, 1)]
        title = f"{corpus}, {len(self.split.test)} songs not trained on"
        return {
            title: {
                dimension: {
                    name: round(figures[d][key].value, 3)
                    for name, key in (("RMSE", "rmse"), ("r", "r"), ("CCC", "ccc"))
                }
                for d, dimension in enumerate(DIMENSIONS)
            }
        }

    def figures(self, dimension: int, curves: systems.Curves) -> dict[str, Interval]:
        """All measures of curves of the test songs."""
        return measures(self.labels(dimension), curves)


def _cells(figures: Mapping[str, Interval]) -> Row:
    return (*figures["rmse_songs"], *figures["rmse"])


_NOTHING: Row = (None,) * len(_FIGURE)


def partitions(split: Split) -> Tables:
    """How near the five validation sets come to the test songs' genres (section 3.2.1)."""
    target = genre_weights(split.test)
    sets = [genre_weights([split.development[n] for n in members]) for members in split.validation]
    rest = genre_weights(split.development)
    genres = sorted({*target, *rest}, key=lambda g: (-target.get(g, 0.0), g))
    columns = ("genre", "test", *(f"set {p + 1}" for p in range(len(sets))), "development")
    rows: list[Row] = [
        (genre, *(float(w.get(genre, 0.0)) for w in (target, *sets, rest))) for genre in genres
    ]
    distance: Row = (
        "distance to test",
        0.0,
        *(_total_variation(target, weights) for weights in (*sets, rest)),
    )
    sizes = ", ".join(str(len(members)) for members in split.validation)
    title = (
        f"Genres of the validation sets ({sizes} songs of {len(split.development)}) beside those "
        f"of the {len(split.test)} test songs"
    )
    if not genres:
        return _pair("partitions", title, columns, [("no genres given", *([None] * 7))])
    notes = (
        "shares; a song of several genres is divided evenly among them; distance: total variation, "
        "0 the same .. 1 nothing in common; sets are disjoint",
    )
    return _pair("partitions", title, columns, [*rows, distance], notes)


def _pair(
    name: str, title: str, columns: Sequence[str], rows: Sequence[Row], notes: Sequence[str] = ()
) -> Tables:
    """A table that is the same for programs and for people."""
    table = Table(name, title, tuple(columns), tuple(rows), tuple(notes))
    return table, table


def _total_variation(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    genres = {*first, *second}
    return float(sum(abs(first.get(g, 0.0) - second.get(g, 0.0)) for g in genres) / 2)


def constant(split: Split) -> Tables:
    """The constant predictor, the mean of the development labels, on each set of songs."""
    labels = np.concatenate([song.labels for song in split.development])
    mean = np.nanmean(labels, axis=0)
    sets: dict[str, Sequence[Song]] = {
        f"validation set {p + 1}": [split.development[n] for n in members]
        for p, members in enumerate(split.validation)
    }
    sets = {"development": split.development, **sets, "test": split.test}
    data: list[Row] = []
    view: list[Row] = []
    for name, songs in sets.items():
        shown: list[Cell] = [f"{name} ({len(songs)})"]
        for d, dimension in enumerate(DIMENSIONS):
            reference = [song.labels[:, d] for song in songs]
            figures = measures(reference, [np.full(len(x), mean[d]) for x in reference])
            data.append((name, len(songs), dimension, float(mean[d]), *_cells(figures)))
            shown += [figures["rmse_songs"].value, figures["rmse"].value]
        view.append(tuple(shown))
    title = f"The constant predictor: valence {mean[0]:.3f}, arousal {mean[1]:.3f} everywhere"
    columns = ("songs", "V-RMSE", "pooled", "A-RMSE", "pooled")
    notes = ("RMSE: mean of the songs' RMSE; pooled: over all labels",)
    return (
        Table("constant", title, ("set", "songs", "dimension", "says", *_FIGURE), tuple(data)),
        Table("constant", title, columns, tuple(view), notes),
    )


def search(found: Findings) -> Tables:
    """The validation error by number of layers and units (section 3.2.2)."""
    recipe = found.results.recipe
    errors = [
        {size: found.results.error(job) for size, job in plan.search(recipe, d).items()}
        for d in (0, 1)
    ]
    data = [
        (DIMENSIONS[d], layers, units, error, error == min(errors[d].values()))
        for d in (0, 1)
        for (layers, units), error in errors[d].items()
    ]
    view: list[Row] = [
        (name, layers, *(errors[d][layers, units] for units in recipe.searched_units))
        for d, name in enumerate(DIMENSIONS)
        for layers in recipe.searched_layers
    ]
    best = [min(errors[d], key=lambda size: errors[d][size]) for d in (0, 1)]
    preset = recipe.preset
    notes = (
        f"pooled RMSE on validation set 1, one network each, sequences of {plan.SEARCH_SCALE}, "
        "no pretraining",
        f"lowest: valence {best[0][0]} x {best[0][1]}, arousal {best[1][0]} x {best[1][1]}; "
        f"the networks of the other tables are {preset.layers} x {preset.units}; the paper's "
        "5 x 250",
    )
    title = "Layers and units: error on validation data"
    columns = ("dimension", "layers", *(f"{units} units" for units in recipe.searched_units))
    return (
        Table(
            "search",
            title,
            ("dimension", "layers", "units", "pooled_rmse", "lowest"),
            tuple((*row[:-1], str(row[-1]).lower()) for row in data),
        ),
        Table("search", title, columns, tuple(view), notes),
    )


def table1(found: Findings) -> Tables:
    """Table 1: the best network of each scale, on its own validation set and on the test songs."""
    data: list[Row] = []
    view: list[Row] = []
    for s, scale in enumerate(SCALES):
        columns: list[tuple[Interval, float]] = []
        for place, where in enumerate(("validation", "test")):
            for d, dimension in enumerate(DIMENSIONS):
                job = found.fused[d].groups[0][s]
                labels = [song.labels[:, d] for song in found.results.songs(job, where)]
                figures = measures(labels, systems.clipped(found.results.said(job, where)))
                paper = published.SINGLE[scale][place][d]
                data.append((scale, where, dimension, *_cells(figures), paper))
                columns.append((figures["rmse_songs"], paper))
        view += [
            (scale, "ours", *(interval.value for interval, _ in columns)),
            ("", "95 %", *(_bounds(interval) for interval, _ in columns)),
            ("", "paper", *(paper for _, paper in columns)),
        ]
    title = "Table 1. RMSE of BLSTM networks by sequence length"
    header = ("length", "", "V validation", "A validation", "V test", "A test")
    notes = (
        _OURS,
        _PUBLISHED,
        "validation: the set that stopped and selected the network, see table nested",
    )
    names = ("sequence_length", "set", "dimension", *_FIGURE, "published_rmse")
    return (
        Table("table1", title, names, tuple(data)),
        Table("table1", title, header, tuple(view), notes),
    )


def _bounds(interval: Interval) -> str:
    return "-" if math.isnan(interval.low) else f"[{interval.low:.3f}, {interval.high:.3f}]"


def table2(found: Findings) -> Tables:
    """Table 2: both fusions, by what the networks were pretrained on."""
    rows: list[tuple[str, list[systems.Curves] | None, tuple[float, float]]] = []
    for fusion in (AVG, ELM):
        for pretraining, official in ((WITH_TEST, "431x30, 58-full"), (TRAINING, "431-full")):
            label = found.pretraining[pretraining]
            source = found.blstm if pretraining == TRAINING else found.with_test
            curves = [source[d][fusion] for d in (0, 1)] if source else None
            name = f"{fusion} ({label or official})"
            rows.append((name, curves, published.FUSED[fusion, pretraining]))
    notes = [_OURS, _PUBLISHED]
    if found.with_test is None:
        notes.append("n/a: only with the official test songs; ours beside 431-full is what is here")
    elif "45 s" in str(found.pretraining[TRAINING]):
        notes.append(
            "deviation: the release has no full-length development songs; (45 s) is every row of "
            "its clips"
        )
    shared = [len(set(fused.groups[0]) & set(fused.groups[1])) for fused in found.fused]
    notes.append(
        "networks in both groups: "
        + ", ".join(
            f"{DIMENSIONS[d]} {shared[d]}, so {len(found.fused[d].unique)} unique" for d in (0, 1)
        )
        + " (paper: 2, so 6)"
    )
    return _beside("table2", "Table 2. RMSE after multi-scale fusion", "fusion", found, rows, notes)


def table3(found: Findings) -> Tables:
    """Table 3: the other systems, the constant, and the fusions again."""
    rows: list[tuple[str, list[systems.Curves] | None, tuple[float, float] | None]] = [
        (name, [found.baselines[d][name] for d in (0, 1)], published.OTHERS.get(name))
        for name in (CONSTANT, MLR, SVR, RNN, LSTM)
    ]
    rows += [
        (f"BLSTM {name}", [found.blstm[d][name] for d in (0, 1)], published.FUSED[name, TRAINING])
        for name in (AVG, ELM)
    ]
    title = "Table 3. RMSE of different regression models"
    return _beside("table3", title, "model", found, rows, [_OURS, _PUBLISHED])


def _beside(
    name: str,
    title: str,
    first: str,
    found: Findings,
    rows: Sequence[tuple[str, list[systems.Curves] | None, tuple[float, float] | None]],
    notes: Sequence[str],
) -> Tables:
    """Ours beside the published figure, for both dimensions."""
    data: list[Row] = []
    view: list[Row] = []
    for label, curves, paper in rows:
        shown: list[Cell] = [label]
        for d, dimension in enumerate(DIMENSIONS):
            figures = found.figures(d, curves[d]) if curves else None
            printed = paper[d] if paper else None
            data.append((label, dimension, *(_cells(figures) if figures else _NOTHING), printed))
            shown += [interval_text(figures["rmse_songs"]) if figures else None, printed]
        view.append(tuple(shown))
    names = (first, "dimension", *_FIGURE, "published_rmse")
    header = (first, "V-RMSE", "paper", "A-RMSE", "paper")
    return Table(name, title, names, tuple(data)), Table(
        name, title, header, tuple(view), tuple(notes)
    )


def lengths(found: Findings) -> Tables:
    """The paper's future work: trained at one sequence length, tested at another (section 5)."""
    data: list[Row] = []
    view: list[Row] = []
    for d, dimension in enumerate(DIMENSIONS):
        for job in found.fused[d].groups[0]:
            figures = [
                found.figures(d, systems.at_length(found.results, job, length)) for length in SCALES
            ]
            data += [
                (dimension, job.scale, length, *_cells(figure))
                for length, figure in zip(SCALES, figures, strict=True)
            ]
            view.append((dimension, job.scale, *(f["rmse_songs"].value for f in figures)))
            view.append(("", "", *(_bounds(f["rmse_songs"]) for f in figures)))
    title = "Trained at one sequence length, tested at another: RMSE on the test songs"
    names = ("dimension", "trained_at", "tested_at", *_FIGURE)
    header = ("dimension", "trained at", *(f"tested at {length}" for length in SCALES))
    notes = (_OURS, "the networks of Table 1")
    return (
        Table("lengths", title, names, tuple(data)),
        Table("lengths", title, header, tuple(view), notes),
    )


def all_measures(found: Findings) -> Tables:
    """Every measure of every system on the test songs."""
    data: list[Row] = []
    view: list[Row] = []
    for d, dimension in enumerate(DIMENSIONS):
        view.append((dimension.upper(), *([""] * 8)))
        for name, curves in found.everything[d].items():
            figures = found.figures(d, curves)
            data += [(dimension, name, key, *interval) for key, interval in figures.items()]
            view.append((name, *(interval.value for interval in figures.values())))
            view.append(("", *(_half_width(interval) for interval in figures.values())))
    title = f"All measures on the {len(found.split.test)} test songs"
    header = ("", "RMSE", "by song", "r", "by song", "CCC", "by song", "level", "shape")
    notes = (
        "RMSE, r and CCC: pooled over half-seconds, then the mean over songs (r and CCC over songs "
        "in which they are defined)",
        "level: the part of the RMSE that is the songs' mean error; shape: the part within songs; "
        "RMSE² = level² + shape²",
        "±: half the width of the 95 % interval by bootstrap over songs; limits in measures.csv",
    )
    return (
        Table(
            "measures",
            title,
            ("dimension", "system", "measure", "value", "low", "high"),
            tuple(data),
        ),
        Table("measures", title, header, tuple(view), notes),
    )


def _half_width(interval: Interval) -> str:
    width = interval.high - interval.low
    return "" if math.isnan(width) else f"±{width / 2:.3f}"


#: What the paper claims, the first being better than the second; and the constant, which it omits.
CLAIMS: Sequence[tuple[str, str]] = (
    *((SINGLE[scale], LSTM) for scale in SCALES),
    (LSTM, MLR),
    (LSTM, SVR),
    *((ELM, SINGLE[scale]) for scale in SCALES),
    *((AVG, SINGLE[scale]) for scale in SCALES),
    (ELM, AVG),
    (ELM, CONSTANT),
)


def tests(found: Findings) -> Tables:
    """The order of systems that the paper claims, tested song by song."""
    pairs = list(CLAIMS)
    if found.with_test:
        pairs += [(f"{name} (test audio seen)", name) for name in (AVG, ELM)]
    data: list[Row] = []
    view: list[Row] = []
    for d, dimension in enumerate(DIMENSIONS):
        curves = found.everything[d]
        compared = [paired(found.labels(d), curves[a], curves[b]) for a, b in pairs]
        adjusted = holm([result.p for result in compared])
        view.append((dimension.upper(), "", "", "", ""))
        for (a, b), result, corrected in zip(pairs, compared, adjusted, strict=True):
            verdict = "open"
            if corrected < 0.05:
                verdict = "yes" if result.difference < 0 else "the reverse"
            data.append((dimension, a, b, *result, corrected, verdict))
            shown = Interval(result.difference, result.low, result.high)
            view.append((f"{a} < {b}", interval_text(shown), result.p, corrected, verdict))
    title = "Is the first better than the second? Differences of RMSE, song by song"
    names = ("dimension", "first", "second", "difference", "low", "high", "p", "p_holm", "holds")
    header = ("claim", "difference", "p", "p (Holm)", "holds")
    notes = (
        "difference of the means of the songs' RMSE, negative: the first is better; [ ]: 95 % "
        "paired bootstrap over songs; p: paired sign-flip test over songs; Holm: corrected for the "
        f"{len(pairs)} tests of a dimension; holds: by that p < 0.05",
    )
    return (
        Table("tests", title, names, tuple(data)),
        Table("tests", title, header, tuple(view), notes),
    )


def nested(found: Findings) -> Tables:
    """The paper's validation figures beside those on songs that played no part in the training.

    On the same songs, those of the five validation sets: once predicted by the networks that they
    stopped and selected and the ELM that was trained on them, once by networks, a selection and an
    ELM that come from the other four sets.
    """
    results = found.results
    data: list[Row] = []
    view: list[Row] = []
    for d, dimension in enumerate(DIMENSIONS):
        labels: list[np.ndarray] = []
        own: dict[str, systems.Curves] = {}
        honest: dict[str, systems.Curves] = {}
        for p in range(PARTITIONS):
            labels += [song.labels[:, d] for song in results.members(p)]
            inner = systems.select(results, plan.nested(results.recipe, d, p))
            for total, curves in (
                (own, systems.own_curves(results, found.fused[d], p)),
                (honest, systems.ensemble_curves(results, inner, "without")),
            ):
                for name, values in curves.items():
                    total.setdefault(name, []).extend(values)
        view.append((dimension.upper(), "", "", ""))
        for name in own:
            seen, unseen = measures(labels, own[name]), measures(labels, honest[name])
            gap = paired(labels, honest[name], own[name])
            data.append((dimension, name, *seen["rmse_songs"], *unseen["rmse_songs"], *gap))
            view.append(
                (
                    name,
                    interval_text(seen["rmse_songs"]),
                    interval_text(unseen["rmse_songs"]),
                    interval_text(Interval(gap.difference, gap.low, gap.high)),
                )
            )
    count = sum(len(members) for members in found.split.validation)
    title = f"The optimism of validation figures: RMSE on the {count} songs of the validation sets"
    names = (
        *("dimension", "system"),
        *(f"{scheme}_{key}" for scheme in ("paper_scheme", "nested") for key in _FIGURE[:3]),
        *("optimism", "optimism_low", "optimism_high", "p"),
    )
    header = ("", "the paper's scheme", "nested", "optimism")
    notes = (
        "the paper's scheme: the songs stopped, selected and (ELM) trained what is scored on them; "
        "nested: they did not",
        "nested networks are the best of "
        f"{results.recipe.nested_trials} trials, the others of {results.recipe.trials}; features "
        "are standardised and pretrained on all development songs, without labels, in both",
        _OURS,
    )
    return (
        Table("nested", title, names, tuple(data)),
        Table("nested", title, header, tuple(view), notes),
    )
