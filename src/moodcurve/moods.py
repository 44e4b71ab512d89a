"""What a point of the plane means in words: its quadrant, and the nearest word of Russell's circle.

Source: J. A. Russell, "A circumplex model of affect", Journal of Personality and Social Psychology
39 (1980), 1161-1178: 28 words that people placed on a circle, 0 degrees pleasant, 90 excited.
"""

import numpy as np
from numpy.typing import NDArray

NEUTRAL = 0.1
"""Closer to the middle than this no direction is named: it is well under what the shipped model is
typically wrong by, so that its direction there is chance."""

WORDS = {
    "happy": 7.8,
    "delighted": 24.9,
    "excited": 48.6,
    "astonished": 69.8,
    "aroused": 73.8,
    "tense": 92.8,
    "alarmed": 96.5,
    "angry": 99.0,
    "afraid": 116.0,
    "annoyed": 123.0,
    "distressed": 138.0,
    "frustrated": 141.0,
    "miserable": 188.7,
    "sad": 207.5,
    "gloomy": 209.0,
    "depressed": 211.0,
    "bored": 241.9,
    "droopy": 256.7,
    "tired": 267.7,
    "sleepy": 271.9,
    "calm": 316.2,
    "relaxed": 318.0,
    "satisfied": 319.0,
    "at ease": 321.0,
    "content": 323.0,
    "serene": 328.6,
    "glad": 349.0,
    "pleased": 353.2,
}
"""Russell's words and their angles in degrees, as others quote them; not checked in the paper."""

_QUADRANTS = np.array(  # [excited, pleasant]
    [
        ["calm and unpleasant", "calm and pleasant"],
        ["excited and unpleasant", "excited and pleasant"],
    ]
)

Values = NDArray[np.float64]
Names = NDArray[np.str_]


def quadrants(valence: Values, arousal: Values) -> Names:
    """The quadrant of each point, (n,), of values (n,) in [-1, 1]; 0 counts as pleasant, excited.

    Within `NEUTRAL` of the middle it is "neutral".
    """
    found = _QUADRANTS[(arousal >= 0).astype(int), (valence >= 0).astype(int)]
    return np.where(_near_the_middle(valence, arousal), "neutral", found)


def moods(valence: Values, arousal: Values) -> Names:
    """The word of `WORDS` nearest in angle to each point, (n,), of values (n,) in [-1, 1].

    Within `NEUTRAL` of the middle it is "neutral". How far from the middle a point is otherwise
    plays no part: Russell's words lie on one circle.
    """
    words, angles = np.array(list(WORDS)), np.array(list(WORDS.values()))
    apart = angles - np.degrees(np.arctan2(arousal, valence))[:, None]
    nearest = np.abs((apart + 180) % 360 - 180).argmin(axis=1)
    return np.where(_near_the_middle(valence, arousal), "neutral", words[nearest])


def _near_the_middle(valence: Values, arousal: Values) -> NDArray[np.bool_]:
    return np.hypot(valence, arousal) < NEUTRAL
