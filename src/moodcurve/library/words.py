"""A place in the plane from words or numbers: "sad, calm", or "-0.4,0.2"."""

from __future__ import annotations

import re

import numpy as np

from moodcurve.errors import InputError
from moodcurve.moods import WORDS

MIDDLE = "neutral"

SYNONYMS = {
    "aggressive": "angry",
    "anxious": "afraid",
    "bright": "glad",
    "cheerful": "happy",
    "dark": "gloomy",
    "energetic": "excited",
    "furious": "angry",
    "gentle": "relaxed",
    "joyful": "delighted",
    "lively": "excited",
    "melancholic": "sad",
    "melancholy": "sad",
    "nervous": "tense",
    "peaceful": "serene",
    "quiet": "calm",
    "scary": "afraid",
    "slow": "tired",
    "soft": "relaxed",
    "stressed": "distressed",
    "tranquil": "calm",
    "upbeat": "delighted",
}
"""Words that people use of music, and the one of Russell's that we take them for."""


def place(text: str, reach: float) -> tuple[float, float]:
    """Valence and arousal of a text: two numbers in [-1, 1], or mood words with commas between.

    Words are Russell's (`moods.WORDS`), `SYNONYMS` and "neutral". They name directions; `reach` is
    the distance from the middle, 0 .. 1, at which they are looked for. Of several words it is the
    mean. Raises InputError for anything else.
    """
    text = " ".join(text.split())
    numbers = _numbers(text)
    if numbers:
        if not all(-1 <= number <= 1 for number in numbers):
            raise InputError(f'"{text}": valence and arousal are from -1 to 1')
        return numbers
    points = []
    for word in filter(None, map(str.strip, re.split(r",|;|\band\b", text.lower()))):
        word = SYNONYMS.get(word, word)
        if word == MIDDLE:
            points.append((0.0, 0.0))
        elif word in WORDS:
            angle = np.radians(WORDS[word])
            points.append((reach * np.cos(angle), reach * np.sin(angle)))
        else:
            known = ", ".join(sorted([*WORDS, *SYNONYMS, MIDDLE]))
            raise InputError(f'"{word}": no mood word; give "VALENCE,AROUSAL" or some of: {known}')
    if not points:
        raise InputError('no mood given; write it as "sad, calm" or "-0.4,0.2"')
    valence, arousal = np.mean(points, axis=0)
    return float(valence), float(arousal)


def _numbers(text: str) -> tuple[float, float] | None:
    try:
        valence, arousal = map(float, text.split(","))
    except ValueError:
        return None
    return valence, arousal
