"""What the tables of a run share: its systems' predictions, and how figures are shown."""

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from moodcurve.intervals import Interval, measures
from moodcurve.model import DIMENSIONS
from moodcurve.reproduce import plan, systems
from moodcurve.reproduce.split import WITH_TEST, Split
from moodcurve.reproduce.systems import AVG, ELM, Results
from moodcurve.reproduce.tables import Cell, Table

Row = tuple[Cell, ...]
#: `data` for the CSV, one figure a row with its interval, and `view` for people.
Tables = tuple[Table, Table]

FIGURE_COLUMNS = ("rmse", "low", "high", "pooled_rmse", "pooled_low", "pooled_high")
NOTHING: Row = (None,) * len(FIGURE_COLUMNS)

PUBLISHED = "paper: Li et al. 2016, on the test set and labels of MediaEval 2015"
OURS = "RMSE: mean of the songs' RMSE; [ ]: 95 % interval, by bootstrap over songs"


def figure_cells(figures: Mapping[str, Interval]) -> Row:
    """The cells under `FIGURE_COLUMNS`."""
    return (*figures["rmse_songs"], *figures["rmse"])


def bounds(interval: Interval) -> str:
    """An interval's limits as a cell of a view."""
    return "-" if math.isnan(interval.low) else f"[{interval.low:.3f}, {interval.high:.3f}]"


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
