"""Labelled songs: reading a corpus, and saying what is wrong with it."""
