from pathlib import Path

import numpy as np
import pytest

from moodcurve.corpora.folder import Song
from moodcurve.corpora.genres import GENRES, genre_weights, parse_genres


def song(*genres):
    return Song("x", Path("x.wav"), np.zeros(0), np.zeros((1, 2)), genres=genres)


@pytest.mark.parametrize(
    ("cells", "genres"),
    [
        (["\tBlues\t"], ["blues"]),
        (["Rock"], ["rock"]),
        (["pop", "rock", "electronic"], ["pop"]),
        (["Blues-SoulRB-Rock", "indie", "jazz"], ["blues", "soul", "rock"]),
        (["\tHip-Hop\t"], ["hip-hop"]),
        (["Rock-Hip-Hop-Jazz"], ["rock", "hip-hop", "jazz"]),
        (["Hip-Hop-Hip-Hop"], ["hip-hop"]),
        (["Rap"], ["hip-hop"]),
        (["hiphop", "electronic"], ["hip-hop"]),
        (["SoulRB-Country"], ["soul", "country"]),
        (["World/Folk"], ["folk & world"]),
        (["Folk-International-Pop"], ["folk & world", "pop"]),
        (["world", "ethno"], ["folk & world"]),
        (["reggae", "blues"], ["folk & world"]),
        (["Singer/Songwriter"], ["folk & world"]),
        (["Electronic/Fusion"], ["electronic"]),
        (["Classical-Instrumental"], ["classical", "instrumental"]),
        (["Experimental-Spoken"], ["experimental", "spoken"]),
        (["soul"], ["soul"]),
        (["punk", "pop"], ["rock"]),
        (["Metal"], ["rock"]),
        # song 2031: a comma in its title moves its genre to the right
        (["n/a", "folk", ""], ["folk & world"]),
        # song 1459: its genre is lost, and a listener's tag is all there is
        (["Bird of Youth", "indie", "Wolf Parade", "Canadian"], ["rock"]),
        # songs 2040 and 2042: their first tag is no genre
        (["acoustic", "pop", "rock"], ["pop"]),
        (["groove", "electronic", "experimental"], ["electronic"]),
        (["n/a", ""], []),
        (["rockabilly", "-", ""], []),
        ([], []),
    ],
)
def test_cells(cells, genres):
    assert parse_genres(cells) == tuple(genres)


def test_every_name_is_found_in_any_case():
    for name, genre in GENRES.items():
        assert parse_genres([f"\t{name.upper()} "]) == (genre,)


def test_weights_by_hand():
    songs = [song("rock"), song("rock", "pop"), song("jazz", "pop", "blues", "rock"), song()]
    weights = genre_weights(songs)
    assert list(weights) == ["blues", "jazz", "pop", "rock"]
    expected = [0.25 / 3, 0.25 / 3, 0.75 / 3, 1.75 / 3]
    np.testing.assert_allclose(list(weights.values()), expected)


def test_no_weights_without_genres():
    assert genre_weights([song(), song()]) == {}
    assert genre_weights([]) == {}
