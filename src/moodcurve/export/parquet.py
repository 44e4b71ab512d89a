"""Parquet: the table of a curve with what made it in the file's metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from moodcurve.errors import InputError
from moodcurve.export.json import origin
from moodcurve.files import replacing

if TYPE_CHECKING:
    from moodcurve.curve import Curve
    from moodcurve.export.table import Table


def check_pyarrow() -> None:
    """Raise InputError where pyarrow is not installed."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise InputError("Parquet needs pyarrow; run: pip install 'moodcurve[parquet]'") from None


def write_parquet(curve: Curve, table: Table, path: Path) -> None:
    """Write a row a row of the table; the key "moodcurve" of the metadata has the JSON document.

    Raises InputError without pyarrow, or where the file cannot be written.
    """
    check_pyarrow()
    import pyarrow
    from pyarrow import parquet

    columns = pyarrow.table(table.columns)
    about = json.dumps(origin(curve, table)).encode()  # a name that is no Unicode is escaped
    with replacing(path) as part:
        parquet.write_table(columns.replace_schema_metadata({"moodcurve": about}), part)
