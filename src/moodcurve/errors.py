"""The one exception that a user's mistake raises."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class InputError(Exception):
    """Something given to moodcurve cannot be used.

    The message is one line that names the file (or argument), what is wrong with it, and what to
    do. The command line prints it and nothing else; a bug in moodcurve never raises it.
    """


class Unfinished(InputError):
    """Work stopped half-way, by no mistake of the user's; what to do then is said all the same.

    The command line exits with 1: something was done.
    """


class JobsKilled(Unfinished):
    """Jobs whose workers died each time; all others are done."""

    def __init__(self, jobs: Sequence[Any]):
        names = ", ".join(map(str, jobs[:3])) + (", ..." if len(jobs) > 3 else "")
        super().__init__(
            f"{names}: killed each worker that tried, perhaps for want of memory; "
            "use fewer workers or a machine with more memory"
        )
        self.jobs = jobs


@contextmanager
def training_parts() -> Iterator[None]:
    """Say what to install where an import in the block fails: training needs more than the core."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"training needs {error.name}; run: pip install 'moodcurve[train]'"
        ) from None
