"""Named sizes of the experiment: the paper's, one for an evening or less, one for seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from moodcurve.errors import InputError
from moodcurve.training.loop import Settings
from moodcurve.training.presets import PRESETS, Preset

#: What a baseline is trained with: it is given the best chance, not the paper's learning rate.
_ADAM = PRESETS["default"].settings


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what the experiment trains.

    Attributes:
        preset: the BLSTM networks, their training and the ELM.
        pretraining: of the denoising autoencoder; its `patience` plays no part.
        pretrained_layers: how many layers it gives.
        trials: networks of each scale and partition (paper: 3).
        nested_trials: the same for the nested variant.
        searched_layers, searched_units: the grid of the search for a structure.
        baseline: the training of the LSTM and RNN baselines.
        lstm: sizes (layers, units) that the LSTM baseline is tuned over.
        rnn: numbers of units that the RNN baseline is tuned over.
        smoothing: widths in half-seconds that the RNN's smoothing is tuned over.
        svr_rows: most half-seconds that an SVR is fitted on.
    """

    preset: Preset
    pretraining: Settings
    pretrained_layers: int
    trials: int
    nested_trials: int
    searched_layers: tuple[int, ...]
    searched_units: tuple[int, ...]
    baseline: Settings
    lstm: tuple[tuple[int, int], ...]
    rnn: tuple[int, ...]
    smoothing: tuple[int, ...]
    svr_rows: int


_PAPER = PRESETS["paper-2016"]
_SMALL = replace(PRESETS["default"], layers=3)
_TINY = replace(_ADAM, epochs=2, patience=2)

RECIPES: Mapping[str, Recipe] = {
    "paper-2016": Recipe(
        preset=_PAPER,
        pretraining=replace(_PAPER.settings, epochs=20),  # a guess: the paper does not say
        pretrained_layers=2,
        trials=3,
        nested_trials=3,
        searched_layers=(1, 2, 3, 4, 5, 6),
        searched_units=(100, 150, 200, 250, 300),
        baseline=_ADAM,
        lstm=((1, 64), (2, 64), (2, 128)),
        rnn=(10, 30),
        smoothing=(1, 5, 9, 15, 21),
        svr_rows=6000,
    ),
    "quick": Recipe(
        preset=_SMALL,
        pretraining=replace(_ADAM, epochs=10),
        pretrained_layers=2,
        trials=3,
        nested_trials=1,
        searched_layers=(1, 2, 3, 4),
        searched_units=(16, 32, 64),
        baseline=_ADAM,
        lstm=((2, 32), (3, 32)),
        rnn=(10, 30),
        smoothing=(1, 5, 9, 15, 21),
        svr_rows=3000,
    ),
    "smoke": Recipe(
        preset=replace(_SMALL, units=4, settings=_TINY, elm_nodes=5),
        pretraining=replace(_TINY, epochs=1),
        pretrained_layers=2,
        trials=2,
        nested_trials=1,
        searched_layers=(1, 2),
        searched_units=(2,),
        baseline=_TINY,
        lstm=((1, 4),),
        rnn=(3,),
        smoothing=(1, 5),
        svr_rows=100,
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of that name. Raises InputError for an unknown one."""
    if name not in RECIPES:
        raise InputError(f"--preset {name}: no such preset; use one of: {', '.join(RECIPES)}")
    return RECIPES[name]
