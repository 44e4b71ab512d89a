"""From a song to its curve of emotion: valence and arousal every half-second."""

__version__ = "0.1.0"
