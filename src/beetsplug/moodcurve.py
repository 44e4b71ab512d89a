"""The beets plugin: valence and arousal of each song as fields of the library.

    plugins: moodcurve

`beet moodcurve [QUERY]` traces songs that have no values yet; `beet ls valence:0.3.. arousal:..0`
finds them. Values are means over the song in [-1, 1].
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from beets.dbcore.types import Float
from beets.plugins import BeetsPlugin
from beets.ui import Subcommand, UserError  # type: ignore[attr-defined]  # as plugins import them

from moodcurve import File2Curve, InputError

if TYPE_CHECKING:
    from beets.library import Item


class MoodcurvePlugin(BeetsPlugin):
    """Adds the fields `valence` and `arousal` to items, and the command `moodcurve`.

    Options in the configuration of beets, under `moodcurve`: `auto` (yes: trace what is imported),
    `model` (a name of `moodcurve models`, or a folder).
    """

    item_types: ClassVar[dict[str, Any]] = {"valence": Float(4), "arousal": Float(4)}

    def __init__(self) -> None:
        super().__init__()
        self.config.add({"auto": True, "model": "default"})
        if self.config["auto"].get(bool):
            self.import_stages = [self._imported]

    def commands(self) -> list[Subcommand]:
        """Beets asks for them."""
        command = Subcommand("moodcurve", help="trace valence and arousal of songs")
        command.parser.add_option(
            "-f", "--force", action="store_true", help="trace songs again that have values"
        )
        command.func = lambda library, options, query: self._trace(
            library.items(query), force=options.force
        )
        return [command]

    def _imported(self, session: Any, task: Any) -> None:
        self._trace(task.imported_items())

    @cached_property
    def _file2curve(self) -> File2Curve:
        try:
            return File2Curve(self.config["model"].as_str())
        except InputError as error:
            raise UserError(f"moodcurve: {error}") from None

    def _trace(self, items: Iterable[Item], force: bool | None = False) -> None:
        """Trace items and store their values; what cannot be read is logged, and left out."""
        for item in items:
            if not force and "valence" in item and "arousal" in item:
                continue
            file2curve = self._file2curve
            try:
                curve = file2curve(os.fsdecode(item.path))
            except InputError as error:
                self._log.error("{}", error)
                continue
            item.valence = round(float(curve.valence.mean()), 4)
            item.arousal = round(float(curve.arousal.mean()), 4)
            item.store()
            self._log.info("{}: valence {:+.2f}, arousal {:+.2f}", item, item.valence, item.arousal)
