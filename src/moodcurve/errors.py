"""The one exception that a user's mistake raises."""


class InputError(Exception):
    """Something given to moodcurve cannot be used.

    The message is one line that names the file (or argument), what is wrong with it, and what to
    do. The command line prints it and nothing else; a bug in moodcurve never raises it.
    """
