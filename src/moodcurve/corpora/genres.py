"""The genres of an official corpus, in one vocabulary.

The metadata of DEAM name genres in three ways: those of the Free Music Archive, several joined by
``-`` (ids up to 2000), those of MedleyDB (2001 .. 2029), and a jamendo song's tags, most of them
no genres (2030 .. 2058). `GENRES` brings them to the archive's names, so that songs from all
three can be compared. A mapping marked "guess" is ours.
"""

from collections import defaultdict
from collections.abc import Sequence

from moodcurve.corpora.folder import Song

#: What a name stands for, in lower case; what is not here names no genre.
GENRES = {
    "blues": "blues",
    "classical": "classical",
    "country": "country",
    "electronic": "electronic",
    "electronic/fusion": "electronic",
    "experimental": "experimental",
    "folk": "folk & world",  # one genre, as in MedleyDB's "World/Folk"
    "international": "folk & world",
    "reggae": "folk & world",  # guess: the archive has it under "International"
    "singer/songwriter": "folk & world",  # guess: the archive has it under "Folk"
    "world": "folk & world",
    "world/folk": "folk & world",
    "hiphop": "hip-hop",  # and "hip-hop", see `parse_genres`
    "rap": "hip-hop",
    "instrumental": "instrumental",
    "jazz": "jazz",
    "pop": "pop",
    "indie": "rock",  # guess, and so are the next two
    "metal": "rock",
    "punk": "rock",
    "rock": "rock",
    "soulrb": "soul",
    "soul": "soul",
    "spoken": "spoken",
}


def parse_genres(cells: Sequence[str]) -> tuple[str, ...]:
    """Return the genres that a row of metadata names.

    The first cell that names any decides; those after it are listeners' tags. Before it there may
    be cells that name none: the row of a title with a comma in it is shifted to the right, and a
    song's first tag may be no genre ("acoustic").

    Args:
        cells: a row's cells from the column ``Genre`` rightwards, as they are in the file.

    Returns:
        Values of `GENRES` in the cell's order, each once; empty if no cell names any.
    """
    for cell in cells:
        # A hyphen joins genres, but in the name of this one.
        names = [name.strip() for name in cell.lower().replace("hip-hop", "hiphop").split("-")]
        if genres := [GENRES[name] for name in names if name in GENRES]:
            return tuple(dict.fromkeys(genres))
    return ()


def genre_weights(songs: Sequence[Song]) -> dict[str, float]:
    """Return the share of each genre in songs, in the order of the alphabet.

    Every song weighs the same, split evenly over its genres; songs without any are left out. The
    shares sum to 1; there is none where no song has a genre.
    """
    weights: dict[str, float] = defaultdict(float)
    for song in songs:
        for genre in song.genres:
            weights[genre] += 1 / len(song.genres)
    total = sum(weights.values())
    return {genre: weights[genre] / total for genre in sorted(weights)}
