"""What the paper leaves out: all measures, tests, the optimism of its scheme, other lengths."""

import math
from collections.abc import Sequence

import numpy as np

from moodcurve.intervals import Interval, holm, measures, paired
from moodcurve.model import DIMENSIONS
from moodcurve.reproduce import plan, systems
from moodcurve.reproduce.findings import (
    FIGURE_COLUMNS,
    OURS,
    Findings,
    Row,
    Tables,
    bounds,
    figure_cells,
)
from moodcurve.reproduce.split import PARTITIONS
from moodcurve.reproduce.systems import AVG, CONSTANT, ELM, LSTM, MLR, SINGLE, SVR
from moodcurve.reproduce.tables import Table, interval_text
from moodcurve.training.presets import SCALES


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
                (dimension, job.scale, length, *figure_cells(figure))
                for length, figure in zip(SCALES, figures, strict=True)
            ]
            view.append((dimension, job.scale, *(f["rmse_songs"].value for f in figures)))
            view.append(("", "", *(bounds(f["rmse_songs"]) for f in figures)))
    title = "Trained at one sequence length, tested at another: RMSE on the test songs"
    names = ("dimension", "trained_at", "tested_at", *FIGURE_COLUMNS)
    header = ("dimension", "trained at", *(f"tested at {length}" for length in SCALES))
    notes = (OURS, "the networks of Table 1")
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


_SERIES = ("both columns: songs of the same groups were trained on; none of the test songs' were",)


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
        *(f"{scheme}_{key}" for scheme in ("paper_scheme", "nested") for key in FIGURE_COLUMNS[:3]),
        *("optimism", "optimism_low", "optimism_high", "p"),
    )
    header = ("", "the paper's scheme", "nested", "optimism")
    notes = (
        "the paper's scheme: the songs stopped, selected and (ELM) trained what is scored on them; "
        "nested: they did not",
        "nested networks are the best of "
        f"{results.recipe.nested_trials} trials, the others of {results.recipe.trials}; features "
        "are standardised and pretrained on all development songs, without labels, in both",
        OURS,
        *(_SERIES if any(song.group for song in found.split.development) else ()),
    )
    return (
        Table("nested", title, names, tuple(data)),
        Table("nested", title, header, tuple(view), notes),
    )
