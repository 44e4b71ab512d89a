"""Quadrants and mood words, against what geometry says of single points."""

import math

import numpy as np
import pytest

from moodcurve.moods import NEUTRAL, WORDS, moods, quadrants


def one(function, valence, arousal):
    (found,) = function(np.array([valence], float), np.array([arousal], float))
    return str(found)


@pytest.mark.parametrize(
    ("valence", "arousal", "quadrant"),
    [
        (0.5, 0.5, "excited and pleasant"),
        (-0.5, 0.5, "excited and unpleasant"),
        (-0.5, -0.5, "calm and unpleasant"),
        (0.5, -0.5, "calm and pleasant"),
        (0.5, 0, "excited and pleasant"),
        (0, -0.5, "calm and pleasant"),
        (0.5, -1e-9, "calm and pleasant"),
        (0, 0, "neutral"),
        (0.099, 0, "neutral"),
        (-0.08, 0.08, "excited and unpleasant"),  # 0.113 from the middle
        (-0.07, 0.07, "neutral"),  # 0.099
        (0.1, 0, "excited and pleasant"),
    ],
)
def test_quadrants(valence, arousal, quadrant):
    assert one(quadrants, valence, arousal) == quadrant
    assert (one(moods, valence, arousal) == "neutral") == (quadrant == "neutral")


@pytest.mark.parametrize("radius", [NEUTRAL + 1e-9, 0.5, 1, math.sqrt(2)])
def test_each_word_at_its_own_angle(radius):
    assert len(WORDS) == 28
    angles = np.radians(list(WORDS.values()))
    assert moods(radius * np.cos(angles), radius * np.sin(angles)).tolist() == list(WORDS)


@pytest.mark.parametrize(
    ("degrees", "word"),
    [
        (0, "pleased"),  # 6.8 degrees away; happy is 7.8 away on the other side of 0
        (0.6, "happy"),  # 7.2 from happy, 7.4 from pleased at -6.8
        (0.4, "pleased"),
        (45, "excited"),
        (90, "tense"),
        (160, "frustrated"),
        (180, "miserable"),
        (270, "sleepy"),
        (269.7, "tired"),
        (290, "sleepy"),
        (300, "calm"),
    ],
)
def test_the_nearest_word(degrees, word):
    angle = math.radians(degrees)
    assert one(moods, 0.5 * math.cos(angle), 0.5 * math.sin(angle)) == word


def test_words_of_many_points_by_the_widest_cosine():
    """The nearest angle is that of the largest scalar product with the words' unit vectors."""
    valence, arousal = np.random.default_rng(0).uniform(-1, 1, (2, 5000))
    for v, a, word, quadrant in zip(
        valence, arousal, moods(valence, arousal), quadrants(valence, arousal), strict=True
    ):
        if math.sqrt(v * v + a * a) < 0.1:
            assert word == quadrant == "neutral"
            continue
        product = {
            name: v * math.cos(math.radians(d)) + a * math.sin(math.radians(d))
            for name, d in WORDS.items()
        }
        assert word == max(product, key=product.get)
        assert quadrant.startswith("excited" if a >= 0 else "calm")
        assert quadrant.endswith("and pleasant" if v >= 0 else "and unpleasant")


def test_the_half_circles_of_the_words():
    """Russell's pleasant words are all of valence above 0, his unpleasant ones below."""
    order = list(WORDS)
    angles = np.radians(list(WORDS.values()))
    assert np.all(np.diff(angles) > 0)
    pleasant = set(order[: order.index("tense")] + order[order.index("sleepy") :])
    excited = set(order[: order.index("miserable")])
    assert {word for word, x in zip(order, np.cos(angles), strict=True) if x > 0} == pleasant
    assert {word for word, y in zip(order, np.sin(angles), strict=True) if y > 0} == excited
