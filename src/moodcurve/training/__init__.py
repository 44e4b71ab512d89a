"""Training: the only part of moodcurve that needs torch."""
