"""What a song is like as a whole, in its own tags: ID3, Vorbis comments and MP4.

All names begin with MOODCURVE_, so that nothing of the collector's own is ever touched, and what
was written can be taken out again to the last of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from moodcurve.errors import InputError
from moodcurve.export.origin import credit
from moodcurve.export.scales import in_words, to_scale
from moodcurve.files import replacing

if TYPE_CHECKING:
    from moodcurve.curve import Curve

PREFIX = "MOODCURVE_"


class _Kind(NamedTuple):
    """How one kind of tags keeps a text: under which key, and in what."""

    prefix: str
    to_value: Callable[[str, str], Any]  # name and text to the tag's value
    to_text: Callable[[Any], str]


def tags_of(curve: Curve, scale: str = "-1..1") -> dict[str, str]:
    """The tags of a curve: means of valence and arousal, mood word of the mean, what made them.

    Raises InputError for a scale that is none of `SCALES`.
    """
    ends = in_words(scale)
    (*_, mood), *_ = curve.passages(1)
    return {
        f"{PREFIX}VALENCE": f"{to_scale(curve.valence.mean(), scale):z.4f}",
        f"{PREFIX}AROUSAL": f"{to_scale(curve.arousal.mean(), scale):z.4f}",
        f"{PREFIX}MOOD": mood,
        f"{PREFIX}SCALE": f"valence {ends['valence']}; arousal {ends['arousal']}",
        f"{PREFIX}ORIGIN": credit(curve),
    }


def read_tags(song: Path) -> dict[str, str]:
    """The tags of moodcurve's that a song has. Raises InputError where they cannot be read."""
    tags = _open(song).tags
    if tags is None:
        return {}
    kind = _kind(song, tags)
    return {
        f"{PREFIX}{key[len(kind.prefix) :].upper()}": kind.to_text(tags[key])
        for key in tags.keys()  # noqa: SIM118 (mutagen's tags are not all of them mappings)
        if key.upper().startswith(kind.prefix.upper())
    }


def write_tags(song: Path, tags: dict[str, str]) -> None:
    """Give a song these tags instead of those that moodcurve wrote before; none: take them out.

    What is tagged is a copy, which then takes the song's place; the song as it was is kept beside
    it (`backup`), unless there is such a file already. Raises InputError where tags cannot be read
    or written; the song is then as it was.
    """
    song = song.resolve()  # a link stays one
    kept = backup(song)
    try:
        if tags and not kept.exists():
            with replacing(kept) as part:
                shutil.copy2(song, part)
        with replacing(song) as part:
            shutil.copy2(song, part)
            _retag(part, tags)
    except _mutagen().MutagenError as error:
        raise InputError(f"{song}: tags cannot be written ({error}); it is as it was") from None


def backup(song: Path) -> Path:
    """Where the song is kept as it was before its first tags."""
    return song.with_name(f"{song.name}.bak")


def _retag(path: Path, wanted: dict[str, str]) -> None:
    song = _open(path)
    if song.tags is None:
        song.add_tags()
    kind = _kind(path, song.tags)
    for key in list(song.tags.keys()):
        if key.upper().startswith(kind.prefix.upper()):
            del song.tags[key]
    for name, text in wanted.items():
        song.tags[kind.prefix + name.removeprefix(PREFIX)] = kind.to_value(name, text)
    if not wanted and not song.tags:
        song.delete()  # there were none before
    elif getattr(song.tags, "version", (2, 4)) < (2, 4):  # ID3v2.3 stays so: some players need it
        song.tags.update_to_v23()
        song.save(v2_version=3, v23_sep=None)
    else:
        song.save()


def _open(path: Path) -> Any:
    mutagen = _mutagen()
    try:
        song = mutagen.File(path)
    except mutagen.MutagenError as error:
        raise InputError(f"{path}: its tags cannot be read ({error}); check the file") from None
    if song is None:
        raise InputError(f"{path}: no sound file with tags that are known here; convert it")
    return song


def _kind(path: Path, tags: Any) -> _Kind:
    from mutagen._vorbis import VCommentDict
    from mutagen.id3 import ID3, TXXX
    from mutagen.mp4 import AtomDataType, MP4FreeForm, MP4Tags

    text_frame: Any = TXXX  # untyped, as is the other
    free_form: Any = MP4FreeForm
    if isinstance(tags, ID3):
        return _Kind(
            f"TXXX:{PREFIX}",
            lambda name, text: text_frame(encoding=3, desc=name, text=[text]),
            lambda value: str(value.text[0]),
        )
    if isinstance(tags, MP4Tags):
        return _Kind(
            f"----:com.apple.iTunes:{PREFIX}",
            lambda _, text: [free_form(text.encode(), AtomDataType.UTF8)],
            lambda value: bytes(value[0]).decode(),
        )
    if isinstance(tags, VCommentDict):
        return _Kind(PREFIX, lambda _, text: [text], lambda value: str(value[0]))
    raise InputError(f"{path}: tags of another kind than ID3, Vorbis or MP4; convert the song")


def _mutagen() -> Any:
    try:
        import mutagen
    except ImportError:
        raise InputError("tags need mutagen; run: pip install 'moodcurve[tags]'") from None
    return mutagen
