"""The paper's tables, and the search for a structure that it mentions (sections 3.2.2 and 4)."""

from collections.abc import Sequence

from moodcurve.intervals import Interval, measures
from moodcurve.model import DIMENSIONS
from moodcurve.reproduce import plan, published, systems
from moodcurve.reproduce.findings import (
    FIGURE_COLUMNS,
    NOTHING,
    OURS,
    PUBLISHED,
    Findings,
    Row,
    Tables,
    bounds,
    figure_cells,
)
from moodcurve.reproduce.split import TRAINING, WITH_TEST
from moodcurve.reproduce.systems import AVG, CONSTANT, ELM, LSTM, MLR, RNN, SVR
from moodcurve.reproduce.tables import Cell, Table, interval_text
from moodcurve.training.presets import SCALES


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
                data.append((scale, where, dimension, *figure_cells(figures), paper))
                columns.append((figures["rmse_songs"], paper))
        view += [
            (scale, "ours", *(interval.value for interval, _ in columns)),
            ("", "95 %", *(bounds(interval) for interval, _ in columns)),
            ("", "paper", *(paper for _, paper in columns)),
        ]
    title = "Table 1. RMSE of BLSTM networks by sequence length"
    header = ("length", "", "V validation", "A validation", "V test", "A test")
    notes = (
        OURS,
        PUBLISHED,
        "validation: the set that stopped and selected the network, see table nested",
    )
    names = ("sequence_length", "set", "dimension", *FIGURE_COLUMNS, "published_rmse")
    return (
        Table("table1", title, names, tuple(data)),
        Table("table1", title, header, tuple(view), notes),
    )


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
    notes = [OURS, PUBLISHED]
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
    return _beside("table3", title, "model", found, rows, [OURS, PUBLISHED])


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
            data.append(
                (label, dimension, *(figure_cells(figures) if figures else NOTHING), printed)
            )
            shown += [interval_text(figures["rmse_songs"]) if figures else None, printed]
        view.append(tuple(shown))
    names = (first, "dimension", *FIGURE_COLUMNS, "published_rmse")
    header = (first, "V-RMSE", "paper", "A-RMSE", "paper")
    return Table(name, title, names, tuple(data)), Table(
        name, title, header, tuple(view), tuple(notes)
    )
