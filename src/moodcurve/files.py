"""Writing files so that nothing half-written is ever left under its name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moodcurve.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` if the block ends well.

    The parent folder is made. Raises InputError where it cannot be written to.
    """
    part = path.with_name(f".{path.name}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path}: cannot be written ({reason}); choose another place") from None
    finally:
        part.unlink(missing_ok=True)
