"""Writing files so that nothing half-written is ever left under its name."""

import errno
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moodcurve.errors import InputError, Unfinished

_FULL = (errno.ENOSPC, errno.EDQUOT)


def check_folder(folder: Path) -> None:
    """Make `folder` if need be, and raise InputError where no file can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise unwritable(folder, error) from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` if the block ends well.

    The parent folder is made. No two writers share a temporary path, and it is short, whatever the
    length of the name. Raises InputError where the file cannot be written; where the disk is full,
    the InputError Unfinished.
    """
    part = path.with_name(f".{uuid.uuid4().hex}.part{path.suffix}")
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise InputError(f"{path}: a device or pipe, which would be replaced; name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path, error) from None


@contextmanager
def reserved(folder: Path, size: int) -> Iterator[None]:
    """Hold `size` bytes of the disk that `folder` is on while the block runs, by a nameless file.

    So what is written at the end of long work will have room. Raises InputError where there is not
    so much. Where the system cannot hold room, as on Windows and macOS, nothing is held.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno in (*_FULL, errno.EFBIG):
                raise InputError(
                    f"{folder}: no room for {size / 1e6:.0f} MB ({error.strerror}); make room or "
                    "choose another place"
                ) from None
        yield


def unwritable(path: Path, error: OSError) -> InputError:
    """What to raise where a file cannot be written: where the disk is full, Unfinished."""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return Unfinished(f"{path}: cannot be written ({reason}); make room")
    return InputError(f"{path}: cannot be written ({reason}); choose another place")
