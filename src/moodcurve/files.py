"""Writing files so that nothing half-written is ever left under its name."""

import errno
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moodcurve.errors import InputError, Unfinished


def check_folder(folder: Path) -> None:
    """Make `folder` if need be, and raise InputError where no file can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _unwritable(folder, error) from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` if the block ends well.

    The parent folder is made. No two writers share a temporary path, and it is short, whatever the
    length of the name. Raises InputError where the file cannot be written; where the disk is full,
    the InputError Unfinished.
    """
    part = path.with_name(f".{uuid.uuid4().hex}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> InputError:
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unfinished(f"{path}: cannot be written ({reason}); make room")
    return InputError(f"{path}: cannot be written ({reason}); choose another place")
