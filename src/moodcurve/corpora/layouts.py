"""Opening a corpus, whatever its layout: anyone's own folder, DEAM, or PMEmo."""

from os import PathLike
from pathlib import Path

from moodcurve.corpora.deam import is_deam, read_deam
from moodcurve.corpora.folder import Corpus, read_corpus
from moodcurve.corpora.pmemo import is_pmemo, read_pmemo
from moodcurve.errors import InputError


def open_corpus(folder: str | PathLike[str], scale: str = "release", rows: bool = True) -> Corpus:
    """Read a corpus in any of the layouts; which one it is, is seen from its files.

    Args:
        folder: the corpus.
        scale: of the labels of DEAM, see `moodcurve.corpora.deam.read_deam`.
        rows: whether the songs of DEAM or PMEmo must have features or audio; without, labels are
            enough. Anyone's own corpus always has audio.

    Raises:
        InputError: if anything is wrong with the corpus: all problems at once, the first line
            their number, then one line each; or if another scale than "release" is asked of a
            corpus that has but one.
    """
    folder = Path(folder)
    # PMEmo first: its marker is the name of a file, and DEAM's are looked for one level below too.
    pmemo = is_pmemo(folder)
    if not pmemo and is_deam(folder):
        return read_deam(folder, scale, rows)
    if scale != "release":
        raise InputError(f"{folder}: scale {scale} is DEAM's, and this is none; leave it out")
    if pmemo:
        return read_pmemo(folder, rows)
    _check_depth(folder)
    return read_corpus(folder)


def _check_depth(folder: Path) -> None:
    """Raise if the corpus is in a folder of the folder."""
    labels = ("dynamic.csv", "static.csv")
    if any((folder / file).exists() for file in labels):
        return
    for below in sorted(folder.glob("*")):
        if is_pmemo(below) or any((below / file).exists() for file in labels):
            raise InputError(f"{folder}: unpacked one level too deep; give {below} instead")
