"""CURRENNT, the trainer the paper used: its files, its forward pass and its training.

Written from the formats' and equations' description; CURRENNT is GPL-3 and none of it is in here.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moodcurve.currennt.data import Data, read_data, write_data
    from moodcurve.currennt.networks import (
        NamedLayer,
        NamedNetwork,
        read_named_network,
        read_network,
        write_named_network,
        write_network,
    )
    from moodcurve.currennt.predictions import predict, write_predictions

__all__ = [
    "Data",
    "NamedLayer",
    "NamedNetwork",
    "predict",
    "read_data",
    "read_named_network",
    "read_network",
    "write_data",
    "write_named_network",
    "write_network",
    "write_predictions",
]

_HOME = {
    "Data": "data",
    "predict": "predictions",
    "read_data": "data",
    "write_data": "data",
    "write_predictions": "predictions",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, so that `--help` needs no numpy."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'networks')}"), name)
