"""Opens the libraries that hatch_build.py compiled: of each, the one made for this processor."""

import ctypes
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def open_library(path: Path, functions: Mapping[str, Sequence[Any]]) -> ctypes.CDLL:
    """Open a library, without its suffix, and say what its functions take; they return nothing.

    Raises ImportError where it is missing or of another system.
    """
    path = path.with_name(path.name + (".dll" if sys.platform == "win32" else ".so"))
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ImportError(
            f"{path} cannot be loaded ({error}); build moodcurve again with `pip install -e .`"
        ) from None
    for name, arguments in functions.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, None
    return library


def open_fitting(path: Path, functions: Mapping[str, Sequence[Any]]) -> ctypes.CDLL:
    """Open the library at `path` that was made for this generation of processors."""
    library = open_library(path, functions)
    generation = library.generation()
    if generation == 1:
        return library
    return open_library(path.with_name(f"{path.name}_v{generation}"), functions)
