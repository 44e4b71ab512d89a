"""Named ways to train: the paper's, and the one that trains well in an evening."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from moodcurve.errors import InputError
from moodcurve.features import ILL_CONDITIONED
from moodcurve.training.loop import Settings

SCALES = (10, 20, 30, 60)  # half-seconds (paper, section 3.2.2)


@dataclass(frozen=True)
class Preset:
    """Everything that decides how a model is trained.

    Attributes:
        layers, units: of each network; units are both directions together, as in CURRENNT.
        sigma: of the initial weights, N(0, sigma).
        settings: of the training loop.
        partitions: number of validation sets, and so of networks a scale.
        share: of the songs in each validation set.
        limit: standardised features are clipped to +-limit; None leaves them as they are.
        elm_nodes, elm_ridge: of the fusion; ridge 0 is the plain pseudo-inverse.
        elm_share, smoothing: of the fusion, see `fusion.settled`.
        left_out: names of the features that the networks do not see.
        contexts, listener: half-seconds over which harmony and the learned listener are heard, see
            `context.in_context`.
        listener_only: share of a song's weight with which networks also learn from the listener's
            numbers alone, as they know nothing else of songs of a corpus without audio.
        by_listener: dimensions that are predicted from the listener's inputs alone, the others 0.
        joint: one network for both dimensions instead of one each.
        balance: a song of n labelled rows counts n^(1 - balance) times as much as one of one row; 0
            is every row alike, as in the paper.
    """

    layers: int
    units: int
    sigma: float
    settings: Settings
    partitions: int
    share: float
    limit: float | None
    elm_nodes: int
    elm_ridge: float
    elm_share: float = 1.0
    smoothing: int = 1
    left_out: tuple[str, ...] = ()
    contexts: tuple[int, ...] = ()
    listener: tuple[int, ...] = ()
    listener_only: float = 0.0
    by_listener: tuple[str, ...] = ()
    joint: bool = False
    balance: float = 0.0


_PAPER = Preset(
    layers=5,
    units=250,
    sigma=0.1,
    settings=Settings(),  # its defaults are the paper's
    partitions=5,
    share=20 / 431,
    limit=None,
    elm_nodes=100,  # a guess: the paper does not say
    elm_ridge=0.0,
)

PRESETS: Mapping[str, Preset] = {
    "default": Preset(
        layers=1,
        units=32,
        sigma=0.1,
        settings=Settings(
            optimiser="adam",
            error="mean",
            learning_rate=2e-3,
            weight_decay=0.01,
            noise=0.6,
            course=2.0,
            batch=50,
            epochs=60,
            patience=10,
        ),
        partitions=5,
        share=0.2,
        limit=5.0,
        elm_nodes=50,
        elm_ridge=1.0,
        elm_share=0.5,
        smoothing=31,
        left_out=ILL_CONDITIONED,
        contexts=(20, 240),
        listener=(20,),
        listener_only=0.3,
        by_listener=("arousal",),
        joint=True,
        balance=0.5,
    ),
    "paper-2016": _PAPER,
    # CURRENNT 0.2-rc1 ignores `hybrid_online_batch`; a configuration with only that option set
    # made one update an epoch. Nobody knows which the authors ran.
    "paper-2016-full-batch": replace(_PAPER, settings=replace(_PAPER.settings, stochastic=False)),
}


def preset(name: str) -> Preset:
    """The preset of that name. Raises InputError for an unknown one."""
    if name not in PRESETS:
        raise InputError(f"--preset {name}: no such preset; use one of: {', '.join(PRESETS)}")
    return PRESETS[name]
